// SPDX-License-Identifier: GPL-2.0
//
// The reference parser. src/datapath/flow.bpf.h must read every packet exactly as this file does; tests compare
// the two. The rules, in full:
//
//  - The version nibble must be 4 or 6 and the fixed header complete. Else: malformed.
//  - IPv4: IHL below 5 or beyond the packet is malformed; so is a total length below the header, except 0, which
//    GSO packets beyond 64 KiB have. Otherwise the total length is not believed: what is there counts.
//  - IPv4 options are walked to the end of the header or the end-of-list option. An option that lacks its length
//    byte, says less than 2, or leaves the header is malformed. LSRR and SSRR make the packet source-routed.
//  - IPv6: up to 8 extension headers are followed (hop-by-hop, routing, fragment, AH, destination options,
//    mobility, HIP, shim6). ESP and "no next header" are final protocols. If a ninth extension header follows,
//    neither protocol nor ports are known. A header that leaves the packet, or of which 8 bytes are not there, is
//    malformed. Any routing header makes the packet source-routed.
//  - A fragment that is not the first has no ports. In IPv6 the walk ends there: its protocol is what the fragment
//    header names, and is unknown if that is yet another extension header.
//  - TCP, UDP, UDP-Lite, SCTP and DCCP have ports: the destination port is at offset 2, and is unknown if the first
//    four bytes are not all there.
//  - ICMPv6 types 130-137 and 143 in IPv6, not in a later fragment, are neighbour discovery and MLD.
//
// Of a malformed packet only the family and, if its fixed header is there, the destination are told.
#include "core/evaluate.hpp"

namespace egress {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t ipv4_header = 20, ipv6_header = 40;
constexpr std::size_t shortest_extension = 8;
constexpr int most_extensions = 8;
constexpr std::uint8_t option_end = 0, option_nop = 1, option_lsrr = 131, option_ssrr = 137;  // RFC 791
constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, authentication = 51, destination_options = 60,
                       mobility = 135, hip = 139, shim6 = 140;  // IANA protocol numbers

/// Precondition of both: the bytes are there.
std::uint8_t byte_at(Bytes bytes, std::size_t offset) { return std::to_integer<std::uint8_t>(bytes[offset]); }

std::uint16_t big_endian_at(Bytes bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(byte_at(bytes, offset) << 8 | byte_at(bytes, offset + 1));
}

Address address_at(Bytes packet, std::size_t offset, Family family) {
  Address address{.family = family};
  for (std::size_t i = 0; i < address.bits() / 8; ++i) address.bytes[i] = byte_at(packet, offset + i);
  return address;
}

Flow malformed(Family family, const Address& destination = {}) {
  Flow flow;
  flow.destination = destination;
  flow.destination.family = family;
  flow.malformed = true;
  return flow;
}

bool is_extension(std::uint8_t next_header) {
  switch (next_header) {
    case hop_by_hop:
    case routing:
    case fragment:
    case authentication:
    case destination_options:
    case mobility:
    case hip:
    case shim6:
      return true;
    default:
      return false;
  }
}

bool is_neighbour_discovery(std::uint8_t type) { return (type >= 130 && type <= 137) || type == 143; }

/// Fills in the port. `transport` begins with the header of flow.protocol.
void read_port(Bytes transport, bool later_fragment, Flow& flow) {
  if (!protocol::has_ports(flow.protocol)) return;
  if (later_fragment || transport.size() < 4) {
    flow.ports_known = false;
    return;
  }
  flow.port = big_endian_at(transport, 2);
}

enum class Options { Plain, SourceRoute, Broken };

Options read_options(Bytes options) {
  Options found = Options::Plain;
  while (!options.empty()) {
    const std::uint8_t kind = byte_at(options, 0);
    if (kind == option_end) return found;
    if (kind == option_nop) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2) return Options::Broken;
    const std::size_t length = byte_at(options, 1);
    if (length < 2 || length > options.size()) return Options::Broken;
    if (kind == option_lsrr || kind == option_ssrr) found = Options::SourceRoute;
    options = options.subspan(length);
  }
  return found;
}

Flow parse_ipv4(Bytes packet) {
  if (packet.size() < ipv4_header) return malformed(Family::V4);
  const Address destination = address_at(packet, 16, Family::V4);
  const std::size_t header = (byte_at(packet, 0) & 0xFu) * 4u;
  if (header < ipv4_header || header > packet.size()) return malformed(Family::V4, destination);
  const std::uint16_t total = big_endian_at(packet, 2);
  if (total != 0 && total < header) return malformed(Family::V4, destination);
  const Options options = read_options(packet.subspan(ipv4_header, header - ipv4_header));
  if (options == Options::Broken) return malformed(Family::V4, destination);

  Flow flow;
  flow.destination = destination;
  flow.protocol = byte_at(packet, 9);
  flow.source_routed = options == Options::SourceRoute;
  const bool later_fragment = (big_endian_at(packet, 6) & 0x1FFF) != 0;
  read_port(packet.subspan(header), later_fragment, flow);
  return flow;
}

/// Length in bytes of an extension header. Precondition: its first two bytes are there.
std::size_t extension_length(std::uint8_t kind, Bytes header) {
  const std::size_t units = byte_at(header, 1);
  if (kind == fragment) return 8;
  if (kind == authentication) return (units + 2) * 4;  // RFC 4302
  return (units + 1) * 8;
}

/// Where the chain of extension headers ends.
struct ChainEnd {
  std::uint8_t next_header = 0;
  Bytes rest;
  bool routed = false;
  bool later_fragment = false;
};

/// Follows the chain; nullopt if a header of it is truncated.
std::optional<ChainEnd> follow_chain(std::uint8_t next_header, Bytes rest) {
  ChainEnd end{.next_header = next_header, .rest = rest};
  for (int i = 0; i < most_extensions && is_extension(end.next_header) && !end.later_fragment; ++i) {
    if (end.rest.size() < shortest_extension) return std::nullopt;
    const std::uint8_t kind = end.next_header;
    const std::size_t length = extension_length(kind, end.rest);
    if (length > end.rest.size()) return std::nullopt;
    if (kind == routing) end.routed = true;
    if (kind == fragment) end.later_fragment = (big_endian_at(end.rest, 2) & 0xFFF8) != 0;
    end.next_header = byte_at(end.rest, 0);
    end.rest = end.rest.subspan(length);
  }
  return end;
}

Flow parse_ipv6(Bytes packet) {
  if (packet.size() < ipv6_header) return malformed(Family::V6);
  // ::ffff:a.b.c.d on the wire stays IPv6: it is no way to reach a.b.c.d.
  const Address destination = address_at(packet, 24, Family::V6);
  const std::optional<ChainEnd> end = follow_chain(byte_at(packet, 6), packet.subspan(ipv6_header));
  if (!end) return malformed(Family::V6, destination);

  Flow flow;
  flow.destination = destination;
  flow.protocol = end->next_header;
  flow.source_routed = end->routed;
  if (is_extension(end->next_header)) {
    flow.protocol_known = flow.ports_known = false;
    return flow;
  }
  read_port(end->rest, end->later_fragment, flow);
  const bool icmpv6 = flow.protocol == protocol::icmpv6 && !end->later_fragment && !end->rest.empty();
  flow.neighbour_discovery = icmpv6 && is_neighbour_discovery(byte_at(end->rest, 0));
  return flow;
}

}  // namespace

Flow parse_packet(std::span<const std::byte> packet) {
  if (packet.empty()) return malformed(Family::V4);
  switch (byte_at(packet, 0) >> 4) {
    case 4:
      return parse_ipv4(packet);
    case 6:
      return parse_ipv6(packet);
    default:
      return malformed(Family::V4);
  }
}

}  // namespace egress
