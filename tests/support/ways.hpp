// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "support/stage.hpp"

namespace egress::test {

/// Where packets meet the rules: at the packet hook of the cgroup alone; beside it at the device that they leave by
/// (tc); beside it where they come in from the container (XDP).
enum class Layer { Cgroup, Device, Container };

/// What is documented of a packet that a rule forbids.
enum class Fate { Stopped, Passes, PassesBefore6_6 };

/// Which addresses a way's packets go to: every way has one that is forbidden and one that is permitted for itself.
enum class Goal { V4, V6, V4ByPort, V6ByPort, Group4, Group6, Broadcast };

/// Where Seen::BehindNat is.
constexpr const char* address_behind_nat = "198.51.100.201";

/// The other end of an IPsec tunnel.
constexpr const char* gateway = "192.0.2.2";

/// Where it is seen that a packet was not stopped.
enum class Seen {
  AtPeer,       ///< by its destination, as it came off the wire
  InSocket,     ///< by a socket of the peer, behind tags that were taken off
  AsSession,    ///< as a PPPoE frame
  AtHop,        ///< at the first hop of a source route
  BehindNat,    ///< at the address that NAT of the container puts in the place of the forbidden one, or NAT outside in
                ///< its
  AtGateway,    ///< as ESP (RFC 4303) at the other end of an IPsec tunnel
  InContainer,  ///< by a receiver in the container: it never leaves that
};

/// What was made before the rule.
struct Prepared {
  SocketHandle socket{-1};
  std::uint16_t port = 0;
};

/// One packet to be made.
struct Attempt {
  Stage& stage;
  const Actor& actor;
  Endpoint to;
  Prepared prepared = {};
};

/// A way to make packets, from the list of failures: the row and what is done.
struct Way {
  const char* row;
  const char* how;
  Goal goal;
  std::array<Fate, 3> answers;  ///< by Layer
  int (*make)(const Attempt&);  ///< ENOSYS if the kernel cannot; other errors are only said
  Prepared (*before)(const Attempt&) = nullptr;
  Seen seen = Seen::AtPeer;
  /// Where it is stopped it is stopped wherever it leads, as that cannot be read.
  bool to_anywhere = false;
};

/// The documented table.
[[nodiscard]] std::span<const Way> ways();

/// As destinations of a rule: all that is forbidden to some way.
[[nodiscard]] std::string forbidden_destinations();
[[nodiscard]] Endpoint forbidden_to(const Way& way);
[[nodiscard]] Endpoint permitted_to(const Way& way);

}  // namespace egress::test
