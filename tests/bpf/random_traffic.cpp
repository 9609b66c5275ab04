// SPDX-License-Identifier: GPL-2.0
#include "bpf/random_traffic.hpp"

#include <chrono>
#include <cstring>

#include "core/evaluate.hpp"

namespace egress::test {

using namespace std::chrono_literals;
using test::byte_list;
using test::Ipv4;
using test::Ipv4Fields;
using test::Ipv6;
using test::Packet;

namespace {

constexpr std::uint16_t ethertype_ipv4 = 0x0800, ethertype_ipv6 = 0x86DD, ethertype_arp = 0x0806;

std::uint8_t byte(int value) { return static_cast<std::uint8_t>(value); }

}  // namespace

std::string RandomTraffic::address4() {
  return one_of<std::string>({"203.0.113.", "203.0.112.", "198.51.100."}) + std::to_string(below(4) * 64 + below(3));
}

std::string RandomTraffic::address6() {
  if (once_in(10)) return "::ffff:" + address4();
  return one_of<std::string>({"2001:db8::", "2001:db8:0:1::", "2001:db8:1::", "ff02::", "fe80::"}) +
         std::to_string(1 + below(4));
}

std::uint16_t RandomTraffic::port() {
  return one_of<std::uint16_t>({1, 53, 80, 443, 8000, 8001, 8050, 8099, 8100, 0x1234, 65535});
}

Destination RandomTraffic::destination() {
  Destination to;
  const int kind = below(10);
  if (kind > 1 && kind < 6) {
    const int length = one_of<int>({0, 1, 8, 16, 22, 23, 24, 25, 31, 32, 32, 32});
    to.prefix = canonical_prefix(*read_address(address4()), byte(length));
  } else if (kind >= 6) {
    const int length = one_of<int>({0, 3, 16, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 128});
    to.prefix = canonical_prefix(*read_address(address6()), byte(length));
  }
  if (once_in(3)) {
    const std::uint16_t at = port();
    to.ports = PortRange{at, at};
  } else if (once_in(4)) {
    to.ports = one_of<PortRange>({{8000, 8099}, {8001, 8050}, {1, 65535}, {53, 443}, {1, 80}, {8099, 65535}});
  }
  if (once_in(2)) {
    to.protocol = to.ports ? one_of<std::uint8_t>({6, 17, 33, 132, 136})
                           : one_of<std::uint8_t>({6, 17, 33, 132, 136, 1, 1, 58, 58, 47, 50, 59, 0, 4, 60});
  }
  return to;
}

/// Deadlines keep away from the moment of judgement: over long ago, an hour ahead, or none.
RuleSpec RandomTraffic::rule() {
  RuleSpec spec;
  spec.action = one_of<Action>(
      {Action::Drop, Action::Drop, Action::Reject, Action::Audit, Action::Audit, Action::Allow, Action::Allow});
  spec.destination = destination();
  spec.lifetime = one_of<Lifetime>({Lifetime{}, Lifetime{1h}, Lifetime{1h}, Lifetime{1ms}});
  spec.include_nd = once_in(3);
  return spec;
}

drop_config RandomTraffic::door(std::uint64_t now) {
  drop_config config{};
  const Address address = *read_address(address4());
  std::memcpy(&config.dst_ip, address.bytes.data(), sizeof config.dst_ip);
  if (once_in(12)) config.dst_ip = 0;
  config.dst_port = once_in(2) ? std::uint16_t{0} : port();
  config.ttl = one_of<std::uint32_t>({DROP_CONFIG_NO_END, DROP_CONFIG_NO_END, 3600, 3600, 0, 1});
  config.created_at = one_of<std::uint64_t>({now, now, 0, now + 10'000'000'000, std::uint64_t{1} << 63, ~0ull});
  if (config.ttl == 1) config.created_at = now - 1'500'000'000;  // over by half a second
  return config;
}

template <typename Builder>
Packet RandomTraffic::finish(const Builder& packet) {
  switch (below(8)) {
    case 0:
      return packet.sctp(port());
    case 1:
      return packet.dccp(port());
    case 2:
      return packet.udplite(port());
    case 3:
      return packet.raw(one_of<std::uint8_t>({47, 50, 58, 59, 1, 4, 60, 255}), byte_list({135, 2, 3, 4, 5, 6, 7, 8}));
    case 4:
    case 5:
      return packet.tcp(port(), 20);
    default:
      return packet.udp(port());
  }
}

Packet RandomTraffic::packet4() {
  Ipv4Fields fields{.dst = address4()};
  if (once_in(40)) fields.ihl = byte(below(16));
  if (once_in(40)) fields.total_length = static_cast<std::uint16_t>(one_of<int>({0, 1, 19, 20, 24, 65535}));
  Ipv4 packet(fields);
  if (once_in(60)) {  // the most that fits
    for (int i = 0; i < 10; ++i) packet = packet.option_bytes({1, 1, 1, one_of<int>({1, 1, 1, 7})});
  } else {
    if (once_in(5)) packet = packet.option(byte(one_of<int>({7, 68, 148, 131, 137, 0})), {4, 0, 0, 0});
    if (once_in(8)) packet = packet.option_bytes({1, one_of<int>({7, 131, 0, 1}), one_of<int>({0, 1, 2, 3, 60})});
  }
  if (once_in(6)) packet = packet.fragment(static_cast<std::uint16_t>(below(3)), once_in(2));
  return once_in(8) ? packet.icmp(byte(below(20))) : finish(packet);
}

Ipv6 RandomTraffic::with_extension(const Ipv6& packet) {
  switch (below(12)) {
    case 0:
      return packet.hop_by_hop(byte(below(3)));
    case 1:
      return once_in(2) ? packet.routing(byte(below(2))) : packet.hop_by_hop();
    case 2:
      return packet.authentication(byte(below(6)));
    case 3:
      return packet.fragment({.offset = static_cast<std::uint16_t>(once_in(2) ? 0 : 5), .more = once_in(2)});
    case 4:
      return packet.mobility();
    case 5:
      return once_in(2) ? packet.hip() : packet.shim6();
    default:
      return packet.destination_options(byte(below(2)));
  }
}

Packet RandomTraffic::packet6() {
  Ipv6 packet({.dst = address6()});
  const int headers = once_in(2) ? 0 : one_of<int>({1, 1, 2, 3, 4, 7, 8, 9, 10});
  for (int i = 0; i < headers; ++i) packet = with_extension(packet);
  if (!once_in(5)) return finish(packet);
  return packet.icmpv6(one_of<std::uint8_t>({1, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 143, 144}));
}

Packet RandomTraffic::garbage() {
  test::ByteList bytes(static_cast<std::size_t>(1 + below(100)));
  for (std::byte& each : bytes) each = std::byte{byte(below(256))};
  if (once_in(2)) bytes[0] = std::byte{byte(one_of<int>({0x45, 0x46, 0x4F, 0x60, 0x60, 0x6F}))};
  return Packet(bytes);
}

Frame RandomTraffic::frame() {
  Packet packet = once_in(30) ? garbage() : once_in(2) ? packet4() : packet6();
  bool whole = true;
  if (once_in(8) && packet.size() > 1) {
    packet = packet.truncated(static_cast<std::size_t>(1 + below(static_cast<int>(packet.size()) - 1)));
    whole = false;
  }
  if (once_in(8)) {
    packet = packet.with_byte(static_cast<std::size_t>(below(static_cast<int>(packet.size()))), byte(below(256)));
    whole = false;
  }
  Frame frame{{packet.bytes().begin(), packet.bytes().end()}, ethertype_ipv4, 1};
  const int version = std::to_integer<int>(frame.packet[0]) >> 4;
  if (version == 6) frame.ethertype = ethertype_ipv6;
  if (once_in(25)) {
    whole = false;
    frame.ethertype = one_of<std::uint16_t>({ethertype_ipv4, ethertype_ipv6, ethertype_arp, 0x88CC});
  }
  // What cannot be read is no GSO packet; behind extension headers nobody knows where a segment's header ends.
  const bool plain = version == 4 || (version == 6 && (frame.packet.size() < 7 || frame.packet[6] == std::byte{6} ||
                                                       frame.packet[6] == std::byte{17}));
  if (whole && plain && once_in(10) && !parse_packet(frame.packet).malformed) {
    frame.segments = static_cast<std::uint32_t>(2 + below(40));
  }
  return frame;
}

}  // namespace egress::test
