// SPDX-License-Identifier: GPL-2.0
#include "support/actor.hpp"

#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace egress::test {
namespace {

enum class Verb {
  Open,
  Bind,
  Port,
  Connect,
  Listen,
  Accept,
  Close,
  Send,
  SendTo,
  SendMessage,
  SendMany,
  Receive,
  TryUdp,
  TryTcp,
  Segment,
  Enter,
  MakeDirectory,
  LiveAndDie,
};

struct Order {
  Verb verb = Verb::Close;
  int socket = -1;
  int family = 0, type = 0, protocol = 0;
  SocketAddress address{};
  std::uint64_t size = 0;
  std::uint64_t count = 0;
  int bound_ms = 0;
  std::array<char, 1024> path{};
  std::array<char, 1024> home{};
};

struct Report {
  int error = 0;
  std::uint64_t value = 0;
  Sent sent{};
};

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

std::array<char, 65536> payload{};

int send_to(int fd, const SocketAddress& to, std::size_t size) {
  return result_of(sendto(fd, payload.data(), size, MSG_NOSIGNAL, to.get(), to.length));
}

int send_message(int fd, Order& order) {
  iovec vector{payload.data(), order.size};
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

void obey_bulk(Order& order, Report& report) {
  for (std::uint64_t i = 0; i < order.count && report.sent.failed == 0; ++i) {
    note(report.sent,
         order.verb == Verb::SendMany ? send_to(order.socket, order.address, order.size) : live_once(order));
  }
}

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
      report.error = result_of(send(fd, payload.data(), order.size, MSG_NOSIGNAL));
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

int act(const Channel& channel) {
  Order order;
  while (channel.receive(order)) channel.send(obey(order));
  return 0;
}

void put_path(std::array<char, 1024>& field, const std::string& path) {
  require(path.size() < field.size(), "path is too long", path.c_str());
  std::copy(path.begin(), path.end(), field.begin());
}

Order order_on(Verb verb, SocketHandle socket) {
  Order order;
  order.verb = verb;
  order.socket = static_cast<int>(socket);
  return order;
}

Order order_to(Verb verb, SocketHandle socket, const Endpoint& to) {
  Order order = order_on(verb, socket);
  order.address = socket_address(to);
  order.family = to.family();
  return order;
}

constexpr SocketHandle no_socket{-1};

/// Runs one action instead of the tests when the program is started as `NAME --act udp ADDRESS PORT`:
/// what `egress run` starts. Prints the errno, as its very first act after the send.
[[gnu::constructor]] void act_from_command_line(int count, char** arguments, char** /*environment*/) {
  if (count != 5 || std::string(arguments[1]) != "--act") return;
  const Endpoint to{arguments[3], static_cast<std::uint16_t>(std::strtoul(arguments[4], nullptr, 10))};
  Order order = order_to(Verb::TryUdp, no_socket, to);
  order.bound_ms = 400;
  dprintf(STDOUT_FILENO, "%d\n", try_once(order, std::string(arguments[2]) == "tcp" ? SOCK_STREAM : SOCK_DGRAM));
  _exit(0);
}

}  // namespace

Actor Actor::start(const ChildPlace& place) {
  auto [ours, theirs] = Channel::make();
  const Channel& end = theirs;
  ChildProcess child = ChildProcess::start(place, {theirs.fd()}, [&end] { return act(end); });
  return Actor(std::move(ours), std::move(child));
}

SocketHandle Actor::open(int family, int type, int protocol) const {
  Order order = order_on(Verb::Open, no_socket);
  order.family = family;
  order.type = type;
  order.protocol = protocol;
  return static_cast<SocketHandle>(channel_.call<Report>(order).error);
}

int Actor::bind(SocketHandle socket, const Endpoint& here) const {
  return channel_.call<Report>(order_to(Verb::Bind, socket, here)).error;
}

std::uint16_t Actor::port_of(SocketHandle socket) const {
  return static_cast<std::uint16_t>(channel_.call<Report>(order_on(Verb::Port, socket)).value);
}

int Actor::connect(SocketHandle socket, const Endpoint& to, std::chrono::milliseconds bound) const {
  Order order = order_to(Verb::Connect, socket, to);
  order.bound_ms = static_cast<int>(bound.count());
  return channel_.call<Report>(order).error;
}

int Actor::segment_datagrams(SocketHandle socket, std::size_t size) const {
  Order order = order_on(Verb::Segment, socket);
  order.size = size;
  return channel_.call<Report>(order).error;
}

int Actor::listen(SocketHandle socket) const { return channel_.call<Report>(order_on(Verb::Listen, socket)).error; }

SocketHandle Actor::accept(SocketHandle socket, std::chrono::milliseconds bound) const {
  Order order = order_on(Verb::Accept, socket);
  order.bound_ms = static_cast<int>(bound.count());
  return static_cast<SocketHandle>(channel_.call<Report>(order).error);
}

void Actor::close(SocketHandle socket) const { (void)channel_.call<Report>(order_on(Verb::Close, socket)); }

int Actor::send(SocketHandle socket, std::size_t size) const {
  Order order = order_on(Verb::Send, socket);
  order.size = size;
  return channel_.call<Report>(order).error;
}

int Actor::send_to(SocketHandle socket, const Endpoint& to, std::size_t size) const {
  Order order = order_to(Verb::SendTo, socket, to);
  order.size = size;
  return channel_.call<Report>(order).error;
}

int Actor::send_message(SocketHandle socket, const Endpoint& to, std::size_t size) const {
  Order order = order_to(Verb::SendMessage, socket, to);
  order.size = size;
  return channel_.call<Report>(order).error;
}

Sent Actor::send_many(SocketHandle socket, const Endpoint& to, std::uint64_t count, std::size_t size) const {
  Order order = order_to(Verb::SendMany, socket, to);
  order.count = count;
  order.size = size;
  return channel_.call<Report>(order).sent;
}

std::uint64_t Actor::receive(SocketHandle socket, std::chrono::milliseconds bound) const {
  Order order = order_on(Verb::Receive, socket);
  order.bound_ms = static_cast<int>(bound.count());
  return channel_.call<Report>(order).value;
}

int Actor::try_udp(const Endpoint& to) const {
  return channel_.call<Report>(order_to(Verb::TryUdp, no_socket, to)).error;
}

int Actor::try_tcp(const Endpoint& to, std::chrono::milliseconds bound) const {
  Order order = order_to(Verb::TryTcp, no_socket, to);
  order.bound_ms = static_cast<int>(bound.count());
  return channel_.call<Report>(order).error;
}

int Actor::enter(const std::string& cgroup_directory) const {
  Order order = order_on(Verb::Enter, no_socket);
  put_path(order.path, cgroup_directory);
  return channel_.call<Report>(order).error;
}

int Actor::make_directory(const std::string& directory) const {
  Order order = order_on(Verb::MakeDirectory, no_socket);
  put_path(order.path, directory);
  return channel_.call<Report>(order).error;
}

Sent Actor::live_and_die(const std::string& cgroup_directory, const std::string& home, const Endpoint& to,
                         std::uint64_t count) const {
  Order order = order_to(Verb::LiveAndDie, no_socket, to);
  put_path(order.path, cgroup_directory);
  put_path(order.home, home);
  order.count = count;
  return channel_.call<Report>(order).sent;
}

}  // namespace egress::test
