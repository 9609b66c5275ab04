// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "support/channel.hpp"
#include "support/child_process.hpp"
#include "support/endpoint.hpp"

namespace egress::test {

/// A socket inside an Actor; negative errno if it could not be made.
enum class SocketHandle : int {};

/// Something an actor does that has no word of its own: 0 or an errno. A function of the test program, as the
/// actor is a fork of it.
using Act = int (*)(int socket, const SocketAddress& to);

/// What became of a number of sends.
struct Sent {
  std::uint64_t passed = 0;
  std::uint64_t refused = 0;  ///< EPERM
  std::uint64_t failed = 0;   ///< another errno, in `other`
  int other = 0;

  bool operator==(const Sent&) const = default;
};

/// A process in a cgroup and a network namespace that does what the test tells it. Calls return 0 or the
/// errno that the actor's system call got; ETIMEDOUT also when a bound ran out.
class Actor {
 public:
  static Actor start(const ChildPlace& place);

  [[nodiscard]] pid_t pid() const { return child_.pid(); }

  [[nodiscard]] SocketHandle open(int family, int type, int protocol = 0) const;
  [[nodiscard]] SocketHandle udp(const Endpoint& to) const { return open(to.family(), SOCK_DGRAM); }
  [[nodiscard]] SocketHandle tcp(const Endpoint& to) const { return open(to.family(), SOCK_STREAM); }

  [[nodiscard]] int bind(SocketHandle socket, const Endpoint& here) const;
  /// The port the socket is bound to.
  [[nodiscard]] std::uint16_t port_of(SocketHandle socket) const;
  [[nodiscard]] int connect(SocketHandle socket, const Endpoint& to,
                            std::chrono::milliseconds bound = std::chrono::milliseconds(400)) const;
  /// Later sends are cut into datagrams of this size by the kernel (UDP_SEGMENT).
  [[nodiscard]] int segment_datagrams(SocketHandle socket, std::size_t size) const;
  [[nodiscard]] int listen(SocketHandle socket) const;
  [[nodiscard]] SocketHandle accept(SocketHandle socket, std::chrono::milliseconds bound) const;
  void close(SocketHandle socket) const;

  [[nodiscard]] int send(SocketHandle socket, std::size_t size = 100) const;
  [[nodiscard]] int send_to(SocketHandle socket, const Endpoint& to, std::size_t size = 100) const;
  [[nodiscard]] int send_message(SocketHandle socket, const Endpoint& to, std::size_t size = 100) const;
  /// `count` times send_to, without leaving the actor.
  [[nodiscard]] Sent send_many(SocketHandle socket, const Endpoint& to, std::uint64_t count,
                               std::size_t size = 100) const;
  /// Messages or bytes that wait in the socket, which are taken.
  [[nodiscard]] std::uint64_t receive(SocketHandle socket, std::chrono::milliseconds bound) const;

  /// One datagram from a new socket: 0 or the errno of the first call that failed.
  [[nodiscard]] int try_udp(const Endpoint& to) const;
  /// One connection from a new socket.
  [[nodiscard]] int try_tcp(const Endpoint& to, std::chrono::milliseconds bound = std::chrono::milliseconds(400)) const;

  /// `socket` may be none (SocketHandle{-1}).
  [[nodiscard]] int perform(SocketHandle socket, const Endpoint& to, Act act) const;

  /// What a pinned program (tests/net/creation.bpf.c) says of a socket that the actor would make: 0 or an errno.
  [[nodiscard]] int judge_socket(const std::string& program_pin, int family, int type) const;

  /// Moves the actor; its sockets stay with the cgroup they were made in.
  [[nodiscard]] int enter(const std::string& cgroup_directory) const;
  /// Makes a directory as the actor's user.
  [[nodiscard]] int make_directory(const std::string& directory) const;

  /// `count` times: makes the cgroup, enters it, sends one datagram from a new socket, goes back to `home`
  /// and removes it. What became of the datagrams.
  [[nodiscard]] Sent live_and_die(const std::string& cgroup_directory, const std::string& home, const Endpoint& to,
                                  std::uint64_t count) const;

 private:
  Actor(Channel channel, ChildProcess child) : channel_(std::move(channel)), child_(std::move(child)) {}
  Channel channel_;
  ChildProcess child_;
};

}  // namespace egress::test
