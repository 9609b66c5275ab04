// SPDX-License-Identifier: GPL-2.0
#include "support/sniffer.hpp"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "support/require.hpp"

namespace egress::test {
namespace {

constexpr std::size_t snap = 96;
constexpr std::size_t batch = 64;

std::uint16_t big_endian(std::span<const std::uint8_t> packet, std::size_t at) {
  if (packet.size() < at + 2) return 0;
  return static_cast<std::uint16_t>(packet[at] << 8 | packet[at + 1]);
}

void read_ports(FrameKey& key, std::span<const std::uint8_t> packet, std::size_t header) {
  if (key.protocol != 6 && key.protocol != 17 && key.protocol != 136) return;
  key.from_port = big_endian(packet, header);
  key.port = big_endian(packet, header + 2);
}

}  // namespace

std::array<std::uint8_t, 16> address_key(const std::string& text) {
  std::array<std::uint8_t, 16> key{};
  const Endpoint endpoint{text};
  if (endpoint.v6()) {
    require(inet_pton(AF_INET6, text.c_str(), key.data()) == 1, "read address", text.c_str());
    return key;
  }
  key[10] = key[11] = 0xff;
  require(inet_pton(AF_INET, text.c_str(), key.data() + 12) == 1, "read address", text.c_str());
  return key;
}

Sniffer::Sniffer(const std::string& device)
    : fd_(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
  require(fd_ >= 0, "open packet socket");
  const int on = 1;
  const int room = 64 << 20;
  require(setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0, "ignore outgoing packets");
  require(setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0, "set receive buffer");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
  require(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "watch device", device.c_str());
}

void Sniffer::drain() {
  static std::array<std::array<std::uint8_t, snap>, batch> packets;
  std::array<iovec, batch> vectors{};
  std::array<mmsghdr, batch> messages{};
  for (std::size_t i = 0; i < batch; ++i) {
    vectors[i] = {packets[i].data(), snap};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (;;) {
    const int got = recvmmsg(fd_, messages.data(), batch, MSG_DONTWAIT, nullptr);
    if (got <= 0) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      count(std::span(packets[i]).first(std::min<std::size_t>(messages[i].msg_len, snap)));
    }
  }
}

std::uint64_t Sniffer::unseen() {
  tpacket_stats statistics{};
  socklen_t length = sizeof(statistics);
  require(getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0, "read packet statistics");
  unseen_ += statistics.tp_drops;  // reading resets it
  return unseen_;
}

void Sniffer::count(std::span<const std::uint8_t> packet) {
  if (packet.size() < 20) return;
  FrameKey key;
  std::uint64_t bytes = 0;
  if (packet[0] >> 4 == 4) {
    key.to[10] = key.to[11] = 0xff;
    std::copy_n(packet.begin() + 16, 4, key.to.begin() + 12);
    key.protocol = packet[9];
    bytes = big_endian(packet, 2);
    const bool first = (big_endian(packet, 6) & 0x1fff) == 0;
    if (first) read_ports(key, packet, static_cast<std::size_t>(packet[0] & 15) * 4);
  } else if (packet[0] >> 4 == 6 && packet.size() >= 40) {
    std::copy_n(packet.begin() + 24, 16, key.to.begin());
    key.protocol = packet[6];
    bytes = 40U + big_endian(packet, 4);
    read_ports(key, packet, 40);
  } else {
    return;  // ARP
  }
  Arrived& arrived = frames_[key];
  ++arrived.packets;
  arrived.bytes += bytes;
}

}  // namespace egress::test
