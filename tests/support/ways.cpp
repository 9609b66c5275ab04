// SPDX-License-Identifier: GPL-2.0
#include "support/ways.hpp"

#include <cerrno>
#include <fstream>

#include "support/acts.hpp"
#include "support/frames.hpp"
#include "support/io_uring.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t port = 0x1234;
constexpr std::uint16_t closed_port = 0x7777;
constexpr std::uint16_t waiting_port = 0x1238;  // nobody else at the peer is bound to it
constexpr auto bound = 100ms;                   // of what waits for an answer that may be dropped
constexpr SocketHandle none{-1};
constexpr int mptcp = 262;       // IPPROTO_MPTCP
constexpr int experiment = 253;  // RFC 3692

bool is_open(SocketHandle socket) { return static_cast<int>(socket) >= 0; }

template <Act act>
int by(const Attempt& attempt) {
  return attempt.actor.perform(attempt.prepared.socket, attempt.to, act);
}

std::string home_of(const Endpoint& to) { return to.v6() ? "2001:db8::1" : "192.0.2.1"; }

// ---- B1 to B4: answers to the peer, which calls from the address in question

Prepared listener(const Attempt& attempt) {
  const Actor& actor = attempt.actor;
  const Endpoint here{home_of(attempt.to)};
  const SocketHandle socket = actor.tcp(here);
  (void)actor.bind(socket, here);
  (void)actor.listen(socket);
  return {socket, actor.port_of(socket)};
}

/// A call from the address to this port of the client.
int call_from(const Attempt& attempt, std::uint16_t from, std::uint16_t to) {
  const Actor& far = attempt.stage.far();
  const SocketHandle socket = far.tcp(attempt.to);
  const int error = far.bind(socket, {attempt.to.address, from});
  if (error != 0) return error;
  (void)far.connect(socket, {home_of(attempt.to), to}, bound);
  far.close(socket);
  return 0;
}

template <int syn_cookies>
int answer_call(const Attempt& attempt) {
  const Act set = [](int, const SocketAddress&) {
    std::ofstream("/proc/sys/net/ipv4/tcp_syncookies") << syn_cookies;
    return 0;
  };
  (void)attempt.actor.perform(none, attempt.to, set);
  return call_from(attempt, 0, attempt.prepared.port);
}

int reset_call(const Attempt& attempt) { return call_from(attempt, 0, closed_port); }

int answer_unreachable(const Attempt& attempt) {
  const Actor& far = attempt.stage.far();
  const SocketHandle socket = far.udp(attempt.to);
  const int error = far.bind(socket, {attempt.to.address});
  return error != 0 ? error : far.send_to(socket, {home_of(attempt.to), closed_port});
}

int answer_echo(const Attempt& attempt) {
  const Actor& far = attempt.stage.far();
  const SocketHandle socket = far.open(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  const int error = far.bind(socket, {attempt.to.address});
  return error != 0 ? error : far.perform(socket, {home_of(attempt.to)}, send_echo_request);
}

/// A connection that this side closed first; its ports stay in TIME_WAIT.
Prepared time_wait(const Attempt& attempt) {
  const Actor& far = attempt.stage.far();
  const Endpoint to{attempt.to.address, waiting_port};
  const SocketHandle called = far.tcp(to);
  const SocketHandle calling = attempt.actor.tcp(to);
  (void)far.bind(called, to);
  (void)far.listen(called);
  (void)attempt.actor.connect(calling, to);
  const SocketHandle accepted = far.accept(called, 1000ms);
  const Prepared prepared{none, attempt.actor.port_of(calling)};
  attempt.actor.close(calling);
  (void)far.receive(accepted, 1000ms);  // the end of the stream
  far.close(accepted);
  far.close(called);
  return prepared;
}

/// The peer calls again from the port that it was connected by.
int answer_time_wait(const Attempt& attempt) { return call_from(attempt, waiting_port, attempt.prepared.port); }

// ---- B5: groups

SocketHandle group_socket(const Attempt& attempt) {
  const SocketHandle socket = attempt.actor.udp(attempt.to);
  if (!attempt.to.v6()) (void)attempt.actor.perform(socket, attempt.to, allow_broadcast);
  return socket;
}

Prepared connected_to_group(const Attempt& attempt) {
  const SocketHandle socket = group_socket(attempt);
  (void)attempt.actor.connect(socket, attempt.to);
  return {socket};
}

int send_to_group(const Attempt& attempt) { return attempt.actor.send_to(group_socket(attempt), attempt.to); }

// ---- B6: processes of a network namespace whose packets the container forwards

int forwarded(const Attempt& attempt) { return attempt.stage.inner("/c").try_udp(attempt.to); }
int forwarded_of_the_cgroup(const Attempt& attempt) { return attempt.stage.inner("/a").try_udp(attempt.to); }

// ---- C: headers

int send_with_ipv6_options(const Attempt& attempt) {
  const SocketHandle socket = attempt.actor.udp(attempt.to);
  (void)attempt.actor.perform(socket, attempt.to, add_ipv6_options);
  return attempt.actor.send_to(socket, attempt.to);
}

/// More extension headers than are followed.
int send_long_chain(int, const SocketAddress& to) {
  Ipv6 packet({.dst = text_of(to), .src = "2001:db8::1"});
  for (int i = 0; i < 9; ++i) packet = packet.destination_options();
  return send_crafted(packet.udp(port), to);
}

int send_later_fragment(int, const SocketAddress& to) { return send_crafted(later_fragment_to(to), to); }

int send_large(const Attempt& attempt) {
  return attempt.actor.send_to(attempt.actor.udp(attempt.to), attempt.to, 3000);
}

Endpoint mapped(const Endpoint& to) { return {"::ffff:" + to.address, to.port}; }
int send_mapped(const Attempt& attempt) { return attempt.actor.try_udp(mapped(attempt.to)); }
int connect_mapped(const Attempt& attempt) { return attempt.actor.try_tcp(mapped(attempt.to), bound); }

// ---- D: addresses

/// A datagram to `called`, in whose place NAT of the container puts `instead`.
int send_translated(const Attempt& attempt, const std::string& called, const std::string& instead) {
  const Outcome set =
      attempt.stage.configure("nft", "table ip t { chain output { type nat hook output priority -100;\nip daddr " +
                                         called + " dnat to " + instead + "\n}\n}\n");
  if (set.status != 0) return ENOSYS;
  const int error = attempt.actor.try_udp({called, attempt.to.port});
  (void)attempt.stage.configure("nft", "delete table ip t\n");
  return error;
}

constexpr const char* virtual_address = "198.51.100.200";
int send_to_virtual_address(const Attempt& attempt) {
  return send_translated(attempt, virtual_address, attempt.to.address);
}
int send_and_translate(const Attempt& attempt) {
  return send_translated(attempt, attempt.to.address, address_behind_nat);
}

/// The same outside of the container, where nothing of it is seen any more.
int send_past_nat(const Attempt& attempt, const std::string& called, const std::string& instead) {
  const Outcome set = attempt.stage.configure_peer(
      "nft", "table ip t { chain prerouting { type nat hook prerouting priority -100;\nip daddr " + called +
                 " dnat to " + instead + "\n}\n}\n");
  if (set.status != 0) return ENOSYS;
  const int error = attempt.actor.try_udp({called, attempt.to.port});
  (void)attempt.stage.configure_peer("nft", "delete table ip t\n");
  return error;
}

int send_to_translated_outside(const Attempt& attempt) {
  return send_past_nat(attempt, attempt.to.address, address_behind_nat);
}
int send_and_translate_outside(const Attempt& attempt) {
  return send_past_nat(attempt, address_behind_nat, attempt.to.address);
}

/// IPsec without secrets (NULL encryption, RFC 2410) in tunnel mode: on the wire only the gateway is seen.
int send_by_ipsec(const Attempt& attempt) {
  const std::string ends = std::string("src 192.0.2.1 dst ") + gateway;
  const Outcome set = attempt.stage.configure(
      "ip", "xfrm state add " + ends + " proto esp spi 0x77 mode tunnel auth digest_null \"\" enc cipher_null \"\"\n" +
                "xfrm policy add src 192.0.2.1/32 dst " + attempt.to.address + "/32 dir out tmpl " + ends +
                " proto esp mode tunnel\n");
  const int error = set.status != 0 ? ENOSYS : attempt.actor.try_udp(attempt.to);
  (void)attempt.stage.configure("ip", "xfrm policy deleteall\n");
  (void)attempt.stage.configure("ip", "xfrm state deleteall\n");
  return error;
}

int send_by_tunnel(const Attempt& attempt) {
  const std::string inner = attempt.stage.beyond_tunnel(attempt.to.address);
  return inner.empty() ? ENOSYS : attempt.actor.try_udp({inner, port});
}
Prepared tunnel(const Attempt& attempt) {
  (void)attempt.stage.beyond_tunnel(attempt.to.address);
  return {};
}

int send_headers_of_its_own(int, const SocketAddress& to) {
  return send_crafted(datagram_to(to), socket_address({"198.51.100.202"}));
}

// ---- E: the socket interface

int send_datagram(const Attempt& attempt) { return attempt.actor.try_udp(attempt.to); }
int connect_stream(const Attempt& attempt) { return attempt.actor.try_tcp(attempt.to, bound); }
int send_connected(const Attempt& attempt) { return attempt.actor.send(attempt.prepared.socket); }

Prepared connected_datagrams(const Attempt& attempt) {
  const SocketHandle socket = attempt.actor.udp(attempt.to);
  (void)attempt.actor.connect(socket, attempt.to);
  return {socket};
}

/// With room for what is never acknowledged.
Prepared connected_stream(const Attempt& attempt) {
  const Act make_room = [](int socket, const SocketAddress&) {
    const int size = 1 << 20;
    return setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  };
  const SocketHandle socket = attempt.actor.tcp(attempt.to);
  (void)attempt.actor.perform(socket, attempt.to, make_room);
  (void)attempt.actor.connect(socket, attempt.to);
  return {socket};
}

/// One that may talk to the address it is connected to.
Prepared connected_elsewhere(const Attempt& attempt) {
  const SocketHandle socket = attempt.actor.udp(attempt.to);
  (void)attempt.actor.connect(socket, {"198.51.100.203", port});
  return {socket};
}

int send_beside(const Attempt& attempt) { return attempt.actor.send_to(attempt.prepared.socket, attempt.to); }

int connect_by_protocol(const Attempt& attempt, int protocol) {
  const SocketHandle socket = attempt.actor.open(AF_INET, SOCK_STREAM, protocol);
  if (!is_open(socket)) return ENOSYS;
  const int error = attempt.actor.connect(socket, attempt.to, bound);
  attempt.actor.close(socket);
  return error;
}

int connect_paths(const Attempt& attempt) { return connect_by_protocol(attempt, mptcp); }
int associate(const Attempt& attempt) { return connect_by_protocol(attempt, IPPROTO_SCTP); }

template <Act act>
int with_fast_open(const Attempt& attempt) {
  const Act set = [](int, const SocketAddress&) {
    std::ofstream("/proc/sys/net/ipv4/tcp_fastopen") << 5;  // 4: data in the first SYN, without a cookie
    return 0;
  };
  (void)attempt.actor.perform(none, attempt.to, set);
  const SocketHandle socket = attempt.actor.tcp(attempt.to);
  const int error = attempt.actor.perform(socket, attempt.to, act);
  return error == EINPROGRESS ? 0 : error;
}

int send_partly_covered(const Attempt& attempt) {
  const SocketHandle socket = attempt.actor.open(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  return is_open(socket) ? attempt.actor.send_to(socket, attempt.to) : ENOSYS;
}

int echo_by_raw_socket(const Attempt& attempt) {
  return attempt.actor.perform(attempt.actor.open(AF_INET, SOCK_RAW, IPPROTO_ICMP), attempt.to, send_echo_request);
}

int send_raw(const Attempt& attempt) {
  return attempt.actor.send_to(attempt.actor.open(AF_INET6, SOCK_RAW, experiment), {attempt.to.address});
}

int echo_by_ping_socket(const Attempt& attempt) {
  const Act set = [](int, const SocketAddress&) {
    std::ofstream("/proc/sys/net/ipv4/ping_group_range") << "0 65534";
    return 0;
  };
  (void)attempt.actor.perform(none, attempt.to, set);
  return attempt.actor.perform(attempt.actor.open(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), attempt.to, send_echo_request);
}

// ---- The table

using enum Fate;
constexpr std::array everywhere{Stopped, Stopped, Stopped};  // the packet hook sees it
constexpr std::array at_devices{Passes, Stopped, Stopped};   // only where it leaves
constexpr std::array by_container{Passes, Passes, Stopped};  // only where it comes in
constexpr std::array nowhere{Passes, Passes, Passes};
constexpr std::array since_6_6{PassesBefore6_6, Stopped, Stopped};

constexpr Way table[] = {
    {"B1", "SYN-ACK with a cookie, IPv4", Goal::V4, at_devices, answer_call<2>, listener},
    {"B1", "SYN-ACK with a cookie, IPv6", Goal::V6, at_devices, answer_call<2>, listener},
    {"B2", "SYN-ACK of a listener, IPv4", Goal::V4, everywhere, answer_call<1>, listener},
    {"B2", "SYN-ACK of a listener, IPv6", Goal::V6, since_6_6, answer_call<1>, listener},
    {"B3", "RST of a closed port, IPv4", Goal::V4, by_container, reset_call},
    {"B3", "RST of a closed port, IPv6", Goal::V6, by_container, reset_call},
    {"B3", "ICMP port unreachable", Goal::V4, by_container, answer_unreachable},
    {"B3", "echo reply", Goal::V4, by_container, answer_echo},
    {"B4", "ACK of a connection in TIME_WAIT", Goal::V4, by_container, answer_time_wait, time_wait},
    {"B5", "datagram to a group, IPv4", Goal::Group4, everywhere, send_to_group},
    {"B5", "datagram to a group, IPv6", Goal::Group6, everywhere, send_to_group},
    {"B5", "broadcast", Goal::Broadcast, everywhere, send_to_group},
    {"B5", "datagram to a group, connected before the rule", Goal::Group4, everywhere, send_connected,
     connected_to_group},
    {"B5", "its copy for receivers in the container", Goal::Group4, everywhere, send_to_group, nullptr,
     Seen::InContainer},
    {"B5", "the same, IPv6", Goal::Group6, everywhere, send_to_group, nullptr, Seen::InContainer},
    {"B5", "the same, connected before the rule, IPv4", Goal::Group4, nowhere, send_connected, connected_to_group,
     Seen::InContainer},
    {"B5", "the same, connected before the rule, IPv6", Goal::Group6, everywhere, send_connected, connected_to_group,
     Seen::InContainer},
    {"B6", "forwarded for a process of another cgroup", Goal::V4, by_container, forwarded},
    {"B6", "forwarded for a process of the cgroup", Goal::V4, everywhere, forwarded_of_the_cgroup},
    {"B7", "injected by a TUN device", Goal::V4, by_container, by<by_tun>},
    {"B8", "packet socket, IPv4", Goal::V4, at_devices, by<queued>},
    {"B8", "packet socket, IPv6", Goal::V6, at_devices, by<queued>},
    {"B8", "packet socket past the queue, IPv4", Goal::V4, by_container, by<bypassing>},
    {"B8", "packet socket past the queue, IPv6", Goal::V6, by_container, by<bypassing>},
    {"B9", "AF_XDP, copied", Goal::V4, by_container, by<by_xdp_socket>},
    {"C1", "IPv4 options before the port", Goal::V4ByPort, everywhere, by<send_with_recorded_route>},
    {"C2", "IPv6 options before the port", Goal::V6ByPort, everywhere, send_with_ipv6_options},
    {"C2", "nine IPv6 extension headers before the port", Goal::V6ByPort, everywhere, by<send_long_chain>},
    {"C3", "later fragment made by hand, IPv4", Goal::V4ByPort, everywhere, by<send_later_fragment>},
    {"C3", "later fragment made by hand, IPv6", Goal::V6ByPort, everywhere, by<send_later_fragment>},
    {"C3", "later fragment by packet socket", Goal::V4ByPort, at_devices, by<fragment_queued>},
    {"C3", "later fragment by packet socket past the queue", Goal::V4ByPort, by_container, by<fragment_bypassing>},
    {"C4", "fragments that the kernel makes, IPv4", Goal::V4ByPort, everywhere, send_large},
    {"C4", "fragments that the kernel makes, IPv6", Goal::V6ByPort, everywhere, send_large},
    {"C5", "VLAN tag of identifier 0", Goal::V4, at_devices, by<tagged_queued>, nullptr, Seen::InSocket},
    {"C5", "VLAN tag, past the queue", Goal::V4, by_container, by<priority_tagged>, nullptr, Seen::InSocket},
    {"C5", "two tags (QinQ)", Goal::V4, at_devices, by<double_tagged_queued>, nullptr, Seen::InSocket},
    {"C5", "two tags (QinQ), past the queue", Goal::V4, by_container, by<double_tagged>, nullptr, Seen::InSocket},
    {"C5", "nine tags", Goal::V4, at_devices, by<nine_times_tagged_queued>, nullptr, Seen::InSocket, true},
    {"C5", "nine tags, past the queue", Goal::V4, by_container, by<nine_times_tagged>, nullptr, Seen::InSocket, true},
    {"C5", "PPPoE", Goal::V4, at_devices, by<in_pppoe_queued>, nullptr, Seen::AsSession},
    {"C5", "PPPoE, past the queue", Goal::V4, by_container, by<in_pppoe>, nullptr, Seen::AsSession},
    {"C6", "UDP over an IPv6 socket to an IPv4 address", Goal::V4, everywhere, send_mapped},
    {"C6", "TCP over an IPv6 socket to an IPv4 address", Goal::V4, everywhere, connect_mapped},
    {"D1", "NAT of the container leads to the forbidden address", Goal::V4, everywhere, send_to_virtual_address},
    {"D1", "NAT of the container leads from it elsewhere", Goal::V4, nowhere, send_and_translate, nullptr,
     Seen::BehindNat},
    {"D2", "NAT outside of the container leads from it elsewhere", Goal::V4, everywhere, send_to_translated_outside},
    {"D2", "NAT outside of the container leads to it", Goal::V4, nowhere, send_and_translate_outside, nullptr,
     Seen::BehindNat},
    {"D3", "outer packet of a VXLAN", Goal::V4, at_devices, send_by_tunnel, tunnel},
    {"D4", "packet inside of an IPsec tunnel", Goal::V4, nowhere, send_by_ipsec, nullptr, Seen::AtGateway},
    {"D5", "source route (LSRR)", Goal::V4, everywhere, by<send_by_source_route<IPOPT_LSRR>>, nullptr, Seen::AtHop,
     true},
    {"D5", "segment routing header", Goal::V6, everywhere, by<send_by_segments>, nullptr, Seen::AtHop, true},
    {"D6", "header of the caller, sent to another address", Goal::V4, everywhere, by<send_headers_of_its_own>},
    {"E1", "TCP connect, IPv4", Goal::V4, everywhere, connect_stream},
    {"E1", "TCP connect, IPv6", Goal::V6, everywhere, connect_stream},
    {"E2", "UDP sendto, IPv4", Goal::V4, everywhere, send_datagram},
    {"E2", "UDP sendto, IPv6", Goal::V6, everywhere, send_datagram},
    {"E3", "UDP, connected before the rule", Goal::V4, everywhere, send_connected, connected_datagrams},
    {"E4", "MPTCP", Goal::V4, everywhere, connect_paths},
    {"E5", "TCP Fast Open by sendto", Goal::V4, everywhere, with_fast_open<send_with_fast_open>},
    {"E5", "TCP Fast Open by connect", Goal::V4, everywhere, with_fast_open<connect_with_fast_open>},
    {"E6", "io_uring", Goal::V4, everywhere, by<only_send<0>>},
    {"E6", "io_uring, polled by the kernel", Goal::V4, everywhere, by<only_send<IORING_SETUP_SQPOLL>>},
    {"E7", "MSG_ZEROCOPY", Goal::V4, everywhere, by<send_without_copy>, connected_stream},
    {"E7", "sendfile", Goal::V4, everywhere, by<send_a_file>, connected_stream},
    {"E7", "splice", Goal::V4, everywhere, by<splice_a_pipe>, connected_stream},
    {"E8", "UDP-Lite", Goal::V4ByPort, everywhere, send_partly_covered},
    {"E9", "raw socket, ICMP", Goal::V4, everywhere, echo_by_raw_socket},
    {"E9", "raw socket, IPv6", Goal::V6, everywhere, send_raw},
    {"E10", "ping socket", Goal::V4, everywhere, echo_by_ping_socket},
    {"E11", "SCTP", Goal::V4ByPort, everywhere, associate},
    {"E12", "UDP to another address than connected to (QUIC)", Goal::V4, everywhere, send_beside, connected_elsewhere},
};

/// `offset` added to the place of the way in the table: each has addresses of its own, so that a late packet of one is
/// not taken for another's.
std::string address_of(const Way& way, const char* v4, int offset, const char* v6) {
  const auto place = static_cast<int>(&way - table);
  const bool is_v6 = way.goal == Goal::V6 || way.goal == Goal::V6ByPort;
  return is_v6 ? v6 + std::to_string(place + 1) : v4 + std::to_string(place + offset);
}

std::uint16_t port_for(const Way& way) { return way.seen == Seen::InSocket ? Stage::tagged_port : port; }

}  // namespace

std::span<const Way> ways() { return table; }

std::string forbidden_destinations() {
  return "203.0.113.128/25,[2001:db8:bad:1::/64],239.1.1.1,ff05::1234,192.0.2.255,"
         // By port; 203.0.113.8 is the first hop of source routes, and permitted.
         "203.0.113.16/28:4660,203.0.113.32/27:4660,203.0.113.64/26:4660,[2001:db8:bad:2::/64]:4660";
}

Endpoint forbidden_to(const Way& way) {
  switch (way.goal) {
    case Goal::Group4:
      return {"239.1.1.1", Stage::group_port};
    case Goal::Group6:
      return {"ff05::1234", Stage::group_port};
    case Goal::Broadcast:
      return {"192.0.2.255", Stage::group_port};
    case Goal::V4ByPort:
    case Goal::V6ByPort:
      return {address_of(way, "203.0.113.", 0, "2001:db8:bad:2::"), port};
    case Goal::V4:
    case Goal::V6:
      break;
  }
  return {address_of(way, "203.0.113.", 128, "2001:db8:bad:1::"), port_for(way)};
}

Endpoint permitted_to(const Way& way) {
  switch (way.goal) {
    case Goal::Group4:
      return {"239.1.1.2", Stage::group_port};
    case Goal::Group6:
      return {"ff05::1235", Stage::group_port};
    case Goal::Broadcast:
      return {"255.255.255.255", Stage::group_port};
    default:
      return {address_of(way, "198.51.100.", 10, "2001:db8:fee:1::"), port_for(way)};
  }
}

}  // namespace egress::test
