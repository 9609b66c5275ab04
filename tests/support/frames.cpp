// SPDX-License-Identifier: GPL-2.0
#include "support/frames.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "support/network.hpp"
#include "support/xdp_socket.hpp"

namespace egress::test {
namespace {

constexpr const char* forwarded_source = "198.51.100.77";
constexpr std::initializer_list<int> nine{0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100};

std::uint16_t port_of(const SocketAddress& to) {
  return ntohs(reinterpret_cast<const sockaddr_in*>(to.get())->sin_port);  // the same place in sockaddr_in6
}

int inject(const Packet& packet) {
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, "t0", IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) return ENODEV;
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ioctl(control, SIOCGIFFLAGS, &request);
  request.ifr_flags |= IFF_UP;
  ioctl(control, SIOCSIFFLAGS, &request);
  close(control);
  std::ofstream("/proc/sys/net/ipv4/ip_forward") << 1;
  std::ofstream("/proc/sys/net/ipv4/conf/all/rp_filter") << 0;
  std::ofstream("/proc/sys/net/ipv4/conf/t0/rp_filter") << 0;
  const bool sent = write(fd, packet.bytes().data(), packet.size()) == static_cast<ssize_t>(packet.size());
  close(fd);
  return sent ? 0 : EIO;
}

Packet stream_to(const SocketAddress& to) {
  return Ipv4({.dst = text_of(to), .src = forwarded_source}).tcp(port_of(to));
}

}  // namespace

Packet datagram_to(const SocketAddress& to) {
  if (to.get()->sa_family == AF_INET) return Ipv4({.dst = text_of(to), .src = "192.0.2.1"}).udp(port_of(to));
  return Ipv6({.dst = text_of(to), .src = "2001:db8::1"}).udp(port_of(to));
}

Packet later_fragment_to(const SocketAddress& to) {
  const ByteList middle(64, std::byte{0x41});  // where a parser that does not look reads port 0x4141
  if (to.get()->sa_family == AF_INET) {
    return Ipv4({.dst = text_of(to), .src = "192.0.2.1"}).fragment(185).raw(IPPROTO_UDP, middle);
  }
  return Ipv6({.dst = text_of(to), .src = "2001:db8::1"})
      .fragment({.offset = 185, .more = false})
      .raw(IPPROTO_UDP, middle);
}

ByteList tags(std::initializer_list<int> types) {
  ByteList bytes;
  for (const int type : types) {
    const ByteList tag = byte_list({type >> 8, type & 0xFF, 0, 0});
    bytes.insert(bytes.end(), tag.begin(), tag.end());
  }
  return bytes;
}

ByteList frame_of(const Packet& packet, const ByteList& front) {
  const ByteList plain = packet.ethernet();
  ByteList frame = byte_list({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1});
  frame.insert(frame.end(), front.begin(), front.end());
  frame.insert(frame.end(), plain.begin() + ETHER_ADDR_LEN * 2, plain.end());
  return frame;
}

ByteList pppoe_frame_of(const Packet& packet) {
  const auto length = static_cast<int>(packet.size()) + 1;  // the protocol's byte counts
  ByteList frame =
      byte_list({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x64, 0x11, 0, 0, 1, length >> 8, length & 0xFF, 0x21});
  frame.insert(frame.end(), packet.bytes().begin(), packet.bytes().end());
  return frame;
}

ByteList frame_without_ip() { return byte_list({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5, 1, 2, 3, 4}); }

int send_frame(const ByteList& frame, Queue queue) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  const int on = queue == Queue::Bypassed ? 1 : 0;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
  sockaddr_ll device{};
  device.sll_family = AF_PACKET;
  device.sll_ifindex = static_cast<int>(if_nametoindex(Network::client_device));
  device.sll_protocol = htons(0x88B5);  // for experiments: what the frame is, its bytes say
  const ssize_t sent = sendto(fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&device), sizeof(device));
  const int err = errno;
  close(fd);
  return sent < 0 ? err : 0;
}

int queued(int, const SocketAddress& to) { return send_frame(frame_of(datagram_to(to)), Queue::Used); }
int bypassing(int, const SocketAddress& to) { return send_frame(frame_of(datagram_to(to)), Queue::Bypassed); }
int fragment_queued(int, const SocketAddress& to) { return send_frame(frame_of(later_fragment_to(to)), Queue::Used); }
int fragment_bypassing(int, const SocketAddress& to) {
  return send_frame(frame_of(later_fragment_to(to)), Queue::Bypassed);
}
int tagged_queued(int, const SocketAddress& to) {
  return send_frame(frame_of(datagram_to(to), tags({0x8100})), Queue::Used);
}
int priority_tagged(int, const SocketAddress& to) {
  return send_frame(frame_of(datagram_to(to), tags({0x8100})), Queue::Bypassed);
}
int double_tagged_queued(int, const SocketAddress& to) {
  return send_frame(frame_of(datagram_to(to), tags({0x88A8, 0x8100})), Queue::Used);
}
int double_tagged(int, const SocketAddress& to) {
  return send_frame(frame_of(datagram_to(to), tags({0x88A8, 0x8100})), Queue::Bypassed);
}
int nine_times_tagged_queued(int, const SocketAddress& to) {
  return send_frame(frame_of(datagram_to(to), tags(nine)), Queue::Used);
}
int nine_times_tagged(int, const SocketAddress& to) {
  return send_frame(frame_of(datagram_to(to), tags(nine)), Queue::Bypassed);
}
int in_pppoe_queued(int, const SocketAddress& to) { return send_frame(pppoe_frame_of(datagram_to(to)), Queue::Used); }
int in_pppoe(int, const SocketAddress& to) { return send_frame(pppoe_frame_of(datagram_to(to)), Queue::Bypassed); }
int not_ip(int, const SocketAddress&) { return send_frame(frame_without_ip(), Queue::Bypassed); }

int by_xdp_socket(int, const SocketAddress& to) {
  XdpSocket socket(Network::client_device);
  return socket.error() != 0 ? socket.error() : socket.send(frame_of(datagram_to(to)));
}

int by_tun(int, const SocketAddress& to) {
  return inject(Ipv4({.dst = text_of(to), .src = forwarded_source}).udp(port_of(to)));
}
int stream_by_tun(int, const SocketAddress& to) { return inject(stream_to(to)); }

std::uint16_t source_port_of_stream() {
  const Packet packet = stream_to(socket_address({"203.0.113.7", 1}));
  return static_cast<std::uint16_t>(std::to_integer<int>(packet.bytes()[20]) << 8 |
                                    std::to_integer<int>(packet.bytes()[21]));
}

}  // namespace egress::test
