// SPDX-License-Identifier: GPL-2.0
#include "sys/netlink.hpp"

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace egress {
namespace {

/// A kernel that has more to say says it in several messages of at most this size.
constexpr std::size_t answer_size = 32768;

int visit_message(const nlmsghdr* message, void* visitor) {
  (*static_cast<const Netlink::Visitor*>(visitor))(message);
  return MNL_CB_OK;
}

/// The last message of an answer begins with a number: 0, or an error. A dump that the kernel cannot make ends like
/// one that is complete (NLMSG_DONE), and libmnl by itself does not look at that number.
int end_answer(const nlmsghdr* message, void* /*visitor*/) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(int)) return MNL_CB_STOP;
  const int result = *static_cast<const int*>(mnl_nlmsg_get_payload(message));
  if (result >= 0) return MNL_CB_STOP;
  errno = -result;
  return MNL_CB_ERROR;
}

int visit_attribute(const nlattr* attribute, void* visitor) {
  (*static_cast<const AttributeVisitor*>(visitor))(attribute);
  return MNL_CB_OK;
}

}  // namespace

void visit_attributes(const nlmsghdr* message, std::size_t header, const AttributeVisitor& visit) {
  mnl_attr_parse(message, static_cast<unsigned>(header), visit_attribute, const_cast<AttributeVisitor*>(&visit));
}

void visit_attributes(const nlattr* nest, const AttributeVisitor& visit) {
  mnl_attr_parse_nested(nest, visit_attribute, const_cast<AttributeVisitor*>(&visit));
}

void Netlink::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Result<Netlink> Netlink::open(int protocol) {
  Netlink netlink(mnl_socket_open2(protocol, SOCK_CLOEXEC));
  int err = errno;
  if (!netlink.socket_) return system_error("open netlink", {}, err);
  const int failed = mnl_socket_bind(netlink.socket_.get(), 0, MNL_SOCKET_AUTOPID);
  err = errno;
  if (failed) return system_error("open netlink", {}, err);
  return netlink;
}

Result<void> Netlink::ask(nlmsghdr* request, const Visitor& visit) const {
  request->nlmsg_flags |= NLM_F_REQUEST;
  if (!(request->nlmsg_flags & NLM_F_DUMP)) request->nlmsg_flags |= NLM_F_ACK;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
    const int err = errno;
    return system_error("ask netlink", {}, err);
  }
  alignas(nlmsghdr) std::array<char, answer_size> answer;
  std::array<mnl_cb_t, NLMSG_MIN_TYPE> control{};  // the rest is passed over: libmnl uses none of its own then
  control[NLMSG_ERROR] = control[NLMSG_DONE] = end_answer;
  const unsigned port = mnl_socket_get_portid(socket_.get());
  for (int state = MNL_CB_OK; state > MNL_CB_STOP;) {
    const ssize_t got = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
    int err = errno;
    if (got < 0 && err == EINTR) continue;
    if (got < 0) return system_error("ask netlink", {}, err);
    state = mnl_cb_run2(answer.data(), static_cast<std::size_t>(got), request->nlmsg_seq, port, visit_message,
                        const_cast<Visitor*>(&visit), control.data(), control.size());
    err = errno;
    if (state < MNL_CB_STOP) return system_error("ask netlink", {}, err);
  }
  return {};
}

Result<void> Netlink::listen(int group) const {
  const int failed = mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
  const int err = errno;
  if (failed) return system_error("listen to netlink", {}, err);
  return {};
}

int Netlink::fd() const { return mnl_socket_get_fd(socket_.get()); }

void Netlink::drain() const {
  std::array<char, answer_size> message;
  // ENOBUFS: there was more to tell than room for it.
  while (::recv(fd(), message.data(), message.size(), MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {
  }
}

}  // namespace egress
