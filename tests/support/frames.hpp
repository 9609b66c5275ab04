// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <initializer_list>

#include "support/endpoint.hpp"
#include "support/packet_builder.hpp"

// Frames and packets that no socket of their destination sends. The acts are Actor's: each makes one datagram from
// the client's address to the address and port it is given, or says ENOSYS if the kernel cannot.
namespace egress::test {

/// A datagram of the client to this address and port.
[[nodiscard]] Packet datagram_to(const SocketAddress& to);
/// The second fragment of one, without ports.
[[nodiscard]] Packet later_fragment_to(const SocketAddress& to);

/// VLAN tags of identifier 0, outermost first.
[[nodiscard]] ByteList tags(std::initializer_list<int> types);
/// A frame of the client's device to its neighbour with `front` between the addresses and the type of `packet`.
[[nodiscard]] ByteList frame_of(const Packet& packet, const ByteList& front = {});
/// A PPPoE session frame with the protocol in one byte, as PPP allows.
[[nodiscard]] ByteList pppoe_frame_of(const Packet& packet);
/// A frame of no kind that has an IP address.
[[nodiscard]] ByteList frame_without_ip();

enum class Queue { Used, Bypassed };

/// By a packet socket on the client's device: 0 or an errno.
int send_frame(const ByteList& frame, Queue queue);

// Packet sockets (B8), and what they may put in front of or into the packet (C3, C5).
int queued(int socket, const SocketAddress& to);
int bypassing(int socket, const SocketAddress& to);
int fragment_queued(int socket, const SocketAddress& to);
int fragment_bypassing(int socket, const SocketAddress& to);
int tagged_queued(int socket, const SocketAddress& to);
int priority_tagged(int socket, const SocketAddress& to);
int double_tagged_queued(int socket, const SocketAddress& to);
int double_tagged(int socket, const SocketAddress& to);
/// More tags than are followed; Linux takes them all off.
int nine_times_tagged_queued(int socket, const SocketAddress& to);
int nine_times_tagged(int socket, const SocketAddress& to);
int in_pppoe_queued(int socket, const SocketAddress& to);
int in_pppoe(int socket, const SocketAddress& to);
int not_ip(int socket, const SocketAddress& to);

/// B9: by an AF_XDP socket in copy mode.
int by_xdp_socket(int socket, const SocketAddress& to);

// B7: a packet that a process makes comes in by a TUN device and is forwarded. IPv4.
int by_tun(int socket, const SocketAddress& to);
int stream_by_tun(int socket, const SocketAddress& to);
/// Of what stream_by_tun() sends.
[[nodiscard]] std::uint16_t source_port_of_stream();

}  // namespace egress::test
