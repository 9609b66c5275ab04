// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "egress/destination.hpp"
#include "egress/rule.hpp"

namespace egress {

/// A TCP or UDP socket of this machine, as the kernel tells of it (sock_diag(7)).
struct Socket {
  enum class State : std::uint8_t { Unconnected, Listening, Connected };

  /// How the kernel finds it again: unlike addresses and ports, never another socket.
  struct Key {
    std::uint64_t netns = 0;  ///< inode of its network namespace
    std::uint8_t family = 0;  ///< AF_INET or AF_INET6; one of AF_INET6 may speak IPv4
    std::array<std::uint8_t, 48> id{};

    bool operator==(const Key&) const = default;
  };

  State state = State::Unconnected;
  std::uint8_t protocol = protocol::tcp;  ///< or protocol::udp
  Address local;                          ///< IPv4-mapped IPv6 is IPv4, here and in `remote`
  std::uint16_t local_port = 0;
  Address remote;  ///< of a connected socket
  std::uint16_t remote_port = 0;
  CgroupId cgroup{};         ///< in which it was made, and whose packets it sends; it may be gone
  std::uint64_t inode = 0;   ///< as /proc/PID/fd names it; 0 = no process holds it any more
  std::vector<int> holders;  ///< processes known to hold it open, where they were looked for
  Key key;

  bool operator==(const Socket&) const = default;
};

/// "tcp 192.0.2.1:40000 to 203.0.113.7:443", "tcp listening on [::1]:80", "udp 0.0.0.0:5353"
[[nodiscard]] std::string format(const Socket& socket);

/// What becomes of sockets that are connected to what new rules drop or reject.
enum class Established : std::uint8_t {
  Keep,      ///< they stay; what TCP sends is delayed until the rules end
  Cut,       ///< they are destroyed
  ByAction,  ///< destroyed where a reject rule decides, kept where a drop rule does
};

/// What rules would mean for the sockets that there are.
struct Reach {
  std::vector<Socket> stopped;  ///< connected, of a cgroup of the subject, to what the rules would drop or reject
  /// Held by processes of the subject but made in a cgroup that the rules do not cover: what they send is not
  /// judged by these rules. Only those that the rules would matter to: listening, UDP, or connected to what would
  /// be dropped. TCP sockets that are neither bound nor connected are not told of by the kernel.
  std::vector<Socket> foreign;
  std::string problem;  ///< why sockets may be missing here; empty = none is
};

/// What became of sockets that were to be destroyed.
struct CutReport {
  std::size_t destroyed = 0;
  /// Of these, how many connected while the rules were being made. What they would have told their peers is dropped
  /// by the rules: those peers learn of it when they send next.
  std::size_t late = 0;
  std::size_t kept = 0;  ///< were to be destroyed, and are not
  std::string problem;   ///< why some are kept, or may have been missed; empty = neither
};

}  // namespace egress
