// SPDX-License-Identifier: GPL-2.0
#include "sys/socket_diag.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

namespace egress {
namespace {

constexpr std::uint16_t cgroup_id_attribute = INET_DIAG_CGROUP_ID;  // 5.8
constexpr std::uint32_t every_state = ~((1U << TCP_TIME_WAIT) | (1U << 0));
constexpr std::size_t longest_answer = 65536;  // the kernel fills at most 32 KiB at a time

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};
static_assert(sizeof(Request) == NLMSG_LENGTH(sizeof(inet_diag_req_v2)));

Request request_of(int type, int flags, int family, int protocol) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = static_cast<std::uint16_t>(type);
  request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  request.body.sdiag_family = static_cast<std::uint8_t>(family);
  request.body.sdiag_protocol = static_cast<std::uint8_t>(protocol);
  return request;
}

/// The first `T` of the bytes, which need not be aligned; zeros if they are fewer.
template <typename T>
T read_as(std::span<const std::byte> bytes) {
  T value{};
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// What is left of `bytes` behind an item of this length: netlink aligns to four.
std::span<const std::byte> behind(std::span<const std::byte> bytes, std::size_t length) {
  return bytes.subspan(std::min(bytes.size(), (length + 3) & ~std::size_t{3}));
}

/// An error's number, that of an end or acknowledgement being 0; nullopt for data.
std::optional<int> ending(std::uint16_t type, std::span<const std::byte> payload) {
  if (type == NLMSG_ERROR || type == NLMSG_DONE) return -read_as<int>(payload);
  return std::nullopt;
}

/// Sends a request and hands every piece of data of the answer to `take`. 0 or an errno.
template <typename Take>
int ask(int fd, const Request& request, Take take) {
  if (::send(fd, &request, sizeof request, 0) < 0) return errno;
  std::vector<std::byte> buffer(longest_answer);
  for (;;) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EPIPE;
    std::span<const std::byte> rest(buffer.data(), static_cast<std::size_t>(got));
    while (rest.size() >= sizeof(nlmsghdr)) {
      const auto header = read_as<nlmsghdr>(rest);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) return EPROTO;
      const auto payload = rest.subspan(sizeof header, header.nlmsg_len - sizeof header);
      if (const auto error = ending(header.nlmsg_type, payload)) return *error;
      take(payload);
      rest = behind(rest, header.nlmsg_len);
    }
  }
}

std::optional<CgroupId> cgroup_of(std::span<const std::byte> attributes) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto attribute = read_as<nlattr>(attributes);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > attributes.size()) return std::nullopt;
    if ((attribute.nla_type & NLA_TYPE_MASK) == cgroup_id_attribute) {
      return CgroupId{read_as<std::uint64_t>(attributes.subspan(sizeof attribute))};
    }
    attributes = behind(attributes, attribute.nla_len);
  }
  return std::nullopt;
}

Address address_of(int family, const __be32 (&words)[4]) {
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  Address address;
  if (family == AF_INET) {
    std::memcpy(address.bytes.data(), words, 4);
  } else if (std::memcmp(words, mapped.data(), mapped.size()) == 0) {
    std::memcpy(address.bytes.data(), &words[3], 4);
  } else {
    address.family = Family::V6;
    std::memcpy(address.bytes.data(), words, 16);
  }
  return address;
}

Socket::State state_of(const inet_diag_msg& message) {
  if (message.idiag_state == TCP_LISTEN) return Socket::State::Listening;
  return message.id.idiag_dport != 0 ? Socket::State::Connected : Socket::State::Unconnected;
}

std::uint16_t host_order(__be16 port) { return static_cast<std::uint16_t>(__builtin_bswap16(port)); }

Socket socket_of(const inet_diag_msg& message, std::uint8_t protocol, std::uint64_t netns) {
  Socket socket;
  socket.state = state_of(message);
  socket.protocol = protocol;
  socket.local = address_of(message.idiag_family, message.id.idiag_src);
  socket.local_port = host_order(message.id.idiag_sport);
  if (socket.state == Socket::State::Connected) {
    socket.remote = address_of(message.idiag_family, message.id.idiag_dst);
    socket.remote_port = host_order(message.id.idiag_dport);
  }
  socket.inode = message.idiag_inode;
  socket.key = {netns, message.idiag_family, {}};
  static_assert(sizeof message.id == sizeof socket.key.id);
  std::memcpy(socket.key.id.data(), &message.id, sizeof message.id);
  return socket;
}

/// Opens a netlink socket in another network namespace, of which it stays wherever it is used from.
struct Visit {
  int netns = -1;
  Fd fd;
  int err = 0;

  static void* run(void* argument) {
    auto& visit = *static_cast<Visit*>(argument);
    if (::setns(visit.netns, CLONE_NEWNET) == 0) {
      visit.fd.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    }
    visit.err = errno;
    return nullptr;
  }
};

/// Runs a visit in a thread of its own, which ends: the caller must not be seen elsewhere. With the usual 8 MiB of
/// stack, what a memory limit leaves may be gone.
void send_out(Visit& visit) {
  constexpr std::size_t stack = 256 * 1024;
  pthread_attr_t attributes;
  pthread_t thread{};
  visit.err = ::pthread_attr_init(&attributes);
  if (visit.err != 0) return;
  ::pthread_attr_setstacksize(&attributes, stack);
  visit.err = ::pthread_create(&thread, &attributes, Visit::run, &visit);
  if (visit.err == 0) ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
}

Error list_error(const char* protocol, int err) {
  const bool missing = err == ENOENT || err == EINVAL;
  return system_error("list sockets", protocol, err,
                      missing ? std::string("modprobe ") + protocol + "_diag; CONFIG_INET_DIAG" : std::string());
}

}  // namespace

Result<SocketDiag> SocketDiag::open(const NetworkNamespace& netns) {
  Visit visit{netns.fd.get(), {}, 0};
  send_out(visit);
  if (visit.fd.valid()) return SocketDiag(std::move(visit.fd), netns.inode);
  return system_error("list sockets", "network namespace " + std::to_string(netns.inode), visit.err);
}

Result<std::vector<Socket>> SocketDiag::list() const {
  std::vector<Socket> sockets;
  for (const std::uint8_t protocol : {protocol::tcp, protocol::udp}) {
    const auto take = [&](std::span<const std::byte> payload) {
      if (payload.size() < sizeof(inet_diag_msg)) return;
      const auto cgroup = cgroup_of(behind(payload, sizeof(inet_diag_msg)));
      if (!cgroup) return;
      sockets.push_back(socket_of(read_as<inet_diag_msg>(payload), protocol, netns_));
      sockets.back().cgroup = *cgroup;
    };
    for (const int family : {AF_INET, AF_INET6}) {
      Request request = request_of(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, protocol);
      request.body.idiag_states = every_state;
      const int err = ask(fd_.get(), request, take);
      if (err != 0) return list_error(protocol == protocol::tcp ? "tcp" : "udp", err);
    }
  }
  return sockets;
}

int SocketDiag::destroy(const Socket& socket) const {
  Request request = request_of(SOCK_DESTROY, NLM_F_ACK, socket.key.family, socket.protocol);
  std::memcpy(&request.body.id, socket.key.id.data(), sizeof request.body.id);
  return ask(fd_.get(), request, [](std::span<const std::byte>) {});
}

bool can_destroy_sockets() {
  const SocketDiag diag(Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)), 0);
  Socket nobody;  // no port, no cookie: never one of a socket
  nobody.key.family = AF_INET;
  return diag.destroy(nobody) != EOPNOTSUPP;
}

}  // namespace egress
