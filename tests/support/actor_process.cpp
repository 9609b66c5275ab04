// SPDX-License-Identifier: GPL-2.0
// The process behind Actor.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/actor_protocol.hpp"

namespace egress::test {
namespace {

int result_of(long returned) { return returned < 0 ? errno : 0; }

bool wait_for(int fd, short events, int bound_ms) {
  pollfd file{fd, events, 0};
  return poll(&file, 1, bound_ms) == 1;
}

int connect_within(int fd, const Order& order) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int error = result_of(connect(fd, order.address.get(), order.address.length));
  if (error == EINPROGRESS) {
    socklen_t length = sizeof(error);
    error = wait_for(fd, POLLOUT, order.bound_ms) ? 0 : ETIMEDOUT;
    if (error == 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  fcntl(fd, F_SETFL, flags);
  return error;
}

std::array<char, 65536> what_is_sent{};

int send_to(int fd, const SocketAddress& to, std::size_t size) {
  return result_of(sendto(fd, what_is_sent.data(), size, MSG_NOSIGNAL, to.get(), to.length));
}

int send_message(int fd, Order& order) {
  iovec vector{what_is_sent.data(), order.size};
  msghdr message{};
  message.msg_name = &order.address.storage;
  message.msg_namelen = order.address.length;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  return result_of(sendmsg(fd, &message, MSG_NOSIGNAL));
}

void note(Sent& sent, int error) {
  if (error == 0) ++sent.passed;
  if (error == EPERM) ++sent.refused;
  if (error == 0 || error == EPERM) return;
  ++sent.failed;
  sent.other = error;
}

int try_once(const Order& order, int type) {
  const int fd = socket(order.family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int error = type == SOCK_DGRAM ? send_to(fd, order.address, 100) : connect_within(fd, order);
  close(fd);
  return error;
}

int live_once(const Order& order) {
  if (mkdir(order.path.data(), 0755) != 0) return errno == EPERM ? EIO : errno;
  int error = enter_cgroup(order.path.data());
  if (error != 0) return error == EPERM ? EIO : error;
  const int verdict = try_once(order, SOCK_DGRAM);
  error = enter_cgroup(order.home.data());
  if (error != 0) return EIO;
  return rmdir(order.path.data()) == 0 ? verdict : EIO;
}

std::uint64_t take_all(int fd, const Order& order) {
  static std::array<char, 65536> buffer;
  if (!wait_for(fd, POLLIN, order.bound_ms)) return 0;
  std::uint64_t taken = 0;
  int type = 0;
  socklen_t length = sizeof(type);
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
  for (;;) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 || (got == 0 && type == SOCK_STREAM)) return taken;
    taken += type == SOCK_STREAM ? static_cast<std::uint64_t>(got) : 1;
  }
}

std::uint64_t local_port(int fd) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length);
  return ntohs(reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port);  // the same place in sockaddr_in6
}

int accept_within(int fd, const Order& order) {
  if (!wait_for(fd, POLLIN, order.bound_ms)) return -ETIMEDOUT;
  const int accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
  return accepted < 0 ? -errno : accepted;
}

int opened(const Order& order) {
  const int fd = socket(order.family, order.type | SOCK_CLOEXEC, order.protocol);
  if (fd < 0) return -errno;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return fd;
}

int segment(const Order& order) {
  const int size = static_cast<int>(order.size);
  return result_of(setsockopt(order.socket, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
}

/// In this process, as its own system call would.
int judge_socket(const Order& order) {
  const int program = bpf_obj_get(order.path.data());
  if (program < 0) return errno;
  const std::uint64_t socket[] = {static_cast<std::uint64_t>(order.family), static_cast<std::uint64_t>(order.type), 0};
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = socket, .ctx_size_in = sizeof(socket));
  const int error = result_of(bpf_prog_test_run_opts(program, &options));
  close(program);
  return error != 0 ? error : -static_cast<int>(options.retval);
}

void obey_bulk(Order& order, Report& report) {
  for (std::uint64_t i = 0; i < order.count && report.sent.failed == 0; ++i) {
    note(report.sent,
         order.verb == Verb::SendMany ? send_to(order.socket, order.address, order.size) : live_once(order));
  }
}

}  // namespace

Report obey(Order& order) {
  Report report;
  const int fd = order.socket;
  switch (order.verb) {
    case Verb::Open:
      report.error = opened(order);
      break;
    case Verb::Bind:
      report.error = result_of(bind(fd, order.address.get(), order.address.length));
      break;
    case Verb::Port:
      report.value = local_port(fd);
      break;
    case Verb::Connect:
      report.error = connect_within(fd, order);
      break;
    case Verb::Listen:
      report.error = result_of(listen(fd, 16));
      break;
    case Verb::Accept:
      report.error = accept_within(fd, order);
      break;
    case Verb::Close:
      close(fd);
      break;
    case Verb::Send:
      report.error = result_of(send(fd, what_is_sent.data(), order.size, MSG_NOSIGNAL));
      break;
    case Verb::SendTo:
      report.error = send_to(fd, order.address, order.size);
      break;
    case Verb::SendMessage:
      report.error = send_message(fd, order);
      break;
    case Verb::Receive:
      report.value = take_all(fd, order);
      break;
    case Verb::TryUdp:
      report.error = try_once(order, SOCK_DGRAM);
      break;
    case Verb::TryTcp:
      report.error = try_once(order, SOCK_STREAM);
      break;
    case Verb::Segment:
      report.error = segment(order);
      break;
    case Verb::Perform:
      report.error = order.act(fd, order.address);
      break;
    case Verb::JudgeSocket:
      report.error = judge_socket(order);
      break;
    case Verb::Enter:
      report.error = enter_cgroup(order.path.data());
      break;
    case Verb::MakeDirectory:
      report.error = result_of(mkdir(order.path.data(), 0755));
      break;
    case Verb::SendMany:
    case Verb::LiveAndDie:
      obey_bulk(order, report);
      break;
  }
  return report;
}

}  // namespace egress::test
