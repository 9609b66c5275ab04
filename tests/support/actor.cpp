// SPDX-License-Identifier: GPL-2.0
#include "support/actor.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "support/actor_protocol.hpp"

namespace egress::test {
namespace {

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
/// what `egress run` starts. Prints the errno, as its very first act after the send. `packet` opens a packet socket.
[[gnu::constructor]] void act_from_command_line(int count, char** arguments, char** /*environment*/) {
  if (count != 5 || std::string(arguments[1]) != "--act") return;
  const Endpoint to{arguments[3], static_cast<std::uint16_t>(std::strtoul(arguments[4], nullptr, 10))};
  Order order = order_to(std::string(arguments[2]) == "tcp" ? Verb::TryTcp : Verb::TryUdp, no_socket, to);
  order.bound_ms = 400;
  if (std::string(arguments[2]) == "packet") {
    order.verb = Verb::Open;
    order.family = AF_PACKET;
    order.type = SOCK_RAW;
    const int opened = obey(order).error;  // a descriptor, or a negative errno
    dprintf(STDOUT_FILENO, "%d\n", opened < 0 ? -opened : 0);
    _exit(0);
  }
  dprintf(STDOUT_FILENO, "%d\n", obey(order).error);
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

int Actor::perform(SocketHandle socket, const Endpoint& to, Act act) const {
  Order order = order_to(Verb::Perform, socket, to);
  order.act = act;
  return channel_.call<Report>(order).error;
}

int Actor::judge_socket(const std::string& program_pin, int family, int type) const {
  Order order = order_on(Verb::JudgeSocket, no_socket);
  put_path(order.path, program_pin);
  order.family = family;
  order.type = type;
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
