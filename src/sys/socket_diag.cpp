// SPDX-License-Identifier: GPL-2.0
#include "sys/socket_diag.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#include <array>
#include <cstring>
#include <optional>

#include "core/address.hpp"

namespace egress {
namespace {

constexpr std::uint32_t every_state = ~((1U << TCP_TIME_WAIT) | (1U << 0));

/// A request and room for nothing else.
template <typename Body>
struct Request {
  alignas(nlmsghdr) std::array<char, 128> buffer{};
  nlmsghdr* header = nullptr;
  Body* body = nullptr;

  Request(std::uint16_t type, std::uint16_t flags) {
    static_assert(sizeof buffer >= NLMSG_SPACE(sizeof *body));
    header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = flags;
    body = static_cast<Body*>(mnl_nlmsg_put_extra_header(header, sizeof *body));
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
};

std::optional<CgroupId> cgroup_of(const nlmsghdr* message) {
  std::optional<CgroupId> cgroup;
  visit_attributes(message, sizeof(inet_diag_msg), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == INET_DIAG_CGROUP_ID) cgroup = CgroupId{mnl_attr_get_u64(attribute)};  // 5.8
  });
  return cgroup;
}

Address address_of(int family, const __be32 (&words)[4]) {
  Address address;
  address.family = family == AF_INET ? Family::V4 : Family::V6;
  std::memcpy(address.bytes.data(), words, family == AF_INET ? 4 : 16);
  return unmapped(address);
}

Socket::State state_of(const inet_diag_msg& message) {
  if (message.idiag_state == TCP_LISTEN) return Socket::State::Listening;
  return message.id.idiag_dport != 0 ? Socket::State::Connected : Socket::State::Unconnected;
}

Socket socket_of(const inet_diag_msg& message, std::uint8_t protocol, std::uint64_t netns) {
  Socket socket;
  socket.state = state_of(message);
  socket.protocol = protocol;
  socket.local = address_of(message.idiag_family, message.id.idiag_src);
  socket.local_port = ntohs(message.id.idiag_sport);
  if (socket.state == Socket::State::Connected) {
    socket.remote = address_of(message.idiag_family, message.id.idiag_dst);
    socket.remote_port = ntohs(message.id.idiag_dport);
  }
  socket.inode = message.idiag_inode;
  socket.key = {netns, message.idiag_family, {}};
  static_assert(sizeof message.id == sizeof socket.key.id);
  std::memcpy(socket.key.id.data(), &message.id, sizeof message.id);
  return socket;
}

Error list_error(const char* protocol, int err) {
  const bool missing = err == ENOENT || err == EINVAL;
  return system_error("list sockets", protocol, err,
                      missing ? std::string("modprobe ") + protocol + "_diag; CONFIG_INET_DIAG" : std::string());
}

}  // namespace

Result<SocketDiag> SocketDiag::open(const NetworkNamespace& netns) {
  Result<Netlink> netlink = Error{};
  Result<void> entered = enter_namespace(netns.fd.get(), [&] { netlink = Netlink::open(NETLINK_SOCK_DIAG); });
  if (entered && netlink) return SocketDiag(*std::move(netlink), netns.inode);
  const Error& error = entered ? netlink.error() : entered.error();
  return system_error("list sockets", "network namespace " + std::to_string(netns.inode), error.code);
}

Result<std::vector<Socket>> SocketDiag::list() const {
  std::vector<Socket> sockets;
  const auto ask = [&](nlmsghdr* request, std::uint8_t protocol) {
    return netlink_.ask(request, [&](const nlmsghdr* message) {
      if (mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg)) return;
      const auto cgroup = cgroup_of(message);
      if (!cgroup) return;
      const auto* body = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(message));
      sockets.push_back(socket_of(*body, protocol, netns_));
      sockets.back().cgroup = *cgroup;
    });
  };
  // The older request tells of both families in one walk over the kernel's table of connections, which is long even
  // when it is empty.
  Request<inet_diag_req> tcp(TCPDIAG_GETSOCK, NLM_F_DUMP);
  tcp.body->idiag_states = every_state;
  if (auto asked = ask(tcp.header, protocol::tcp); !asked) return list_error("tcp", asked.error().code);
  for (const int family : {AF_INET, AF_INET6}) {
    Request<inet_diag_req_v2> udp(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
    udp.body->sdiag_family = static_cast<std::uint8_t>(family);
    udp.body->sdiag_protocol = protocol::udp;
    udp.body->idiag_states = every_state;
    if (auto asked = ask(udp.header, protocol::udp); !asked) return list_error("udp", asked.error().code);
  }
  return sockets;
}

int SocketDiag::destroy(const Socket& socket) const {
  Request<inet_diag_req_v2> request(SOCK_DESTROY, 0);
  request.body->sdiag_family = socket.key.family;
  request.body->sdiag_protocol = socket.protocol;
  std::memcpy(&request.body->id, socket.key.id.data(), sizeof request.body->id);
  Result<void> asked = netlink_.ask(request.header, [](const nlmsghdr*) {});
  return asked ? 0 : asked.error().code;
}

bool can_destroy_sockets() {
  Result<Netlink> netlink = Netlink::open(NETLINK_SOCK_DIAG);
  if (!netlink) return true;
  const SocketDiag diag(*std::move(netlink), 0);
  Socket nobody;  // no port, no cookie: never one of a socket
  nobody.key.family = AF_INET;
  return diag.destroy(nobody) != EOPNOTSUPP;
}

}  // namespace egress
