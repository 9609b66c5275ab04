// SPDX-License-Identifier: GPL-2.0
#include "support/acts.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "support/network.hpp"

namespace egress::test {
namespace {

int secret_by(int fd, const SocketAddress& to) {
  const int error = sendto(fd, "secret", 6, 0, to.get(), to.length) == 6 ? 0 : errno;
  close(fd);
  return error;
}

}  // namespace

int send_with_fast_open(int socket, const SocketAddress& to) {
  return sendto(socket, "secret", 6, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, to.get(), to.length) == 6 ? 0 : errno;
}

int connect_with_fast_open(int socket, const SocketAddress& to) {
  const int on = 1;
  if (setsockopt(socket, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) != 0) return ENOSYS;
  if (connect(socket, to.get(), to.length) != 0) return errno;
  return send(socket, "secret", 6, MSG_DONTWAIT | MSG_NOSIGNAL) == 6 ? 0 : errno;
}

int send_without_copy(int socket, const SocketAddress& /*to*/) {
  static std::array<char, bulk> data{};
  const int on = 1;
  if (setsockopt(socket, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) != 0) return ENOSYS;
  return send(socket, data.data(), data.size(), MSG_ZEROCOPY | MSG_NOSIGNAL) == ssize_t{bulk} ? 0 : errno;
}

int send_a_file(int socket, const SocketAddress& /*to*/) {
  const int file = memfd_create("file", MFD_CLOEXEC);
  if (ftruncate(file, bulk) != 0) return errno;
  const ssize_t sent = sendfile(socket, file, nullptr, bulk);
  const int error = sent == ssize_t{bulk} ? 0 : errno;
  close(file);
  return error;
}

int splice_a_pipe(int socket, const SocketAddress& /*to*/) {
  static const std::array<char, bulk> data{};
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0 || write(pipe[1], data.data(), bulk) != ssize_t{bulk}) return errno;
  std::size_t left = bulk;
  while (left > 0) {
    const ssize_t moved = splice(pipe[0], nullptr, socket, nullptr, left, 0);
    if (moved <= 0) return errno;
    left -= static_cast<std::size_t>(moved);
  }
  close(pipe[0]);
  close(pipe[1]);
  return 0;
}

int send_crafted(const Packet& packet, const SocketAddress& called) {
  SocketAddress to = called;
  // The kernel takes a port in such an IPv6 address for a protocol; the same place in sockaddr_in.
  reinterpret_cast<sockaddr_in6*>(&to.storage)->sin6_port = 0;
  const int fd = socket(to.get()->sa_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  const ssize_t sent = sendto(fd, packet.bytes().data(), packet.size(), 0, to.get(), to.length);
  const int error = sent == static_cast<ssize_t>(packet.size()) ? 0 : errno;
  close(fd);
  return error;
}

int send_by_segments(int /*socket*/, const SocketAddress& to) {
  // RFC 8754: next header, length, type, segments left, last entry, flags, tag; the last segment is the first hop.
  std::array<std::uint8_t, 8 + 2 * sizeof(in6_addr)> option{0, 4, 4, 1, 1, 0, 0, 0};
  inet_pton(AF_INET6, "2001:db8:bad::2", option.data() + 8 + sizeof(in6_addr));
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, option.data(), option.size()) != 0) return ENOSYS;
  return secret_by(fd, to);
}

int send_with_option(std::uint8_t kind, const SocketAddress& to) {
  std::array<std::uint8_t, 8> option{kind, 7, 4, 203, 0, 113, 8, 0};
  if (kind == IPOPT_RR) option = {kind, 7, 4, 0, 0, 0, 0, 0};
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option.data(), option.size()) != 0) return ENOSYS;
  return secret_by(fd, to);
}

int add_ipv6_options(int socket, const SocketAddress& /*to*/) {
  const unsigned char padding[8] = {0, 0, 1, 4};  // one PadN, as long as Linux takes
  return setsockopt(socket, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding)) == 0 ? 0 : errno;
}

int send_echo_request(int socket, const SocketAddress& to) {
  icmphdr request{};
  request.type = ICMP_ECHO;
  request.checksum = htons(0xFFFF - (ICMP_ECHO << 8));  // nothing else is in it
  return sendto(socket, &request, sizeof(request), 0, to.get(), to.length) == sizeof(request) ? 0 : errno;
}

int join_group(int socket, const SocketAddress& group) {
  const int device = static_cast<int>(if_nametoindex(Network::client_device));
  if (group.storage.ss_family == AF_INET6) {
    ipv6_mreq membership{};
    membership.ipv6mr_multiaddr = reinterpret_cast<const sockaddr_in6*>(&group.storage)->sin6_addr;
    membership.ipv6mr_interface = static_cast<unsigned>(device);
    return setsockopt(socket, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &membership, sizeof(membership)) == 0 ? 0 : errno;
  }
  ip_mreqn membership{};
  membership.imr_multiaddr = reinterpret_cast<const sockaddr_in*>(&group.storage)->sin_addr;
  membership.imr_ifindex = device;
  return setsockopt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)) == 0 ? 0 : errno;
}

int allow_broadcast(int socket, const SocketAddress& /*to*/) {
  const int on = 1;
  return setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) == 0 ? 0 : errno;
}

}  // namespace egress::test
