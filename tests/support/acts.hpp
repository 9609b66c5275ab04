// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <netinet/ip.h>

#include "support/endpoint.hpp"
#include "support/packet_builder.hpp"

// Acts of an Actor with sockets: what the socket interface has beside connect, send and sendto. Each returns 0 or an
// errno, ENOSYS if the kernel lacks it. Those that take no socket make one for themselves.
namespace egress::test {

// ---- TCP

int send_with_fast_open(int socket, const SocketAddress& to);
int connect_with_fast_open(int socket, const SocketAddress& to);

/// What each of the next three sends over a connected socket.
constexpr std::size_t bulk = 60'000;
int send_without_copy(int socket, const SocketAddress& to);
int send_a_file(int socket, const SocketAddress& to);
int splice_a_pipe(int socket, const SocketAddress& to);

// ---- Headers that the caller has a say in

/// A whole packet, by a raw socket that is told to send it to `called`.
int send_crafted(const Packet& packet, const SocketAddress& called);

/// IPv6 over 2001:db8:bad::2, by a segment routing header, which any user may set.
int send_by_segments(int socket, const SocketAddress& to);

/// A datagram with one IPv4 option of `kind` that has room for one address, which is 203.0.113.8.
int send_with_option(std::uint8_t kind, const SocketAddress& to);
/// IPv4 over 203.0.113.8.
template <std::uint8_t kind>
int send_by_source_route(int /*socket*/, const SocketAddress& to) {
  return send_with_option(kind, to);
}
inline int send_with_recorded_route(int /*socket*/, const SocketAddress& to) { return send_with_option(IPOPT_RR, to); }

/// Destination options in every packet of the socket.
int add_ipv6_options(int socket, const SocketAddress& to);

int send_echo_request(int socket, const SocketAddress& to);

// ---- Groups

/// Datagrams to the group that come in by the client's device are the socket's too.
int join_group(int socket, const SocketAddress& group);
int allow_broadcast(int socket, const SocketAddress& to);

}  // namespace egress::test
