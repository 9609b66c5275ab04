// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <cstdint>

#include "support/actor.hpp"

namespace egress::test {

/// What an Actor asks its process to do, and what it hears back. Both ends are one program.
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
  Perform,
  JudgeSocket,
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
  Act act = nullptr;
  std::array<char, 1024> path{};
  std::array<char, 1024> home{};
};

struct Report {
  int error = 0;
  std::uint64_t value = 0;
  Sent sent{};
};

/// Carries out one order in the calling process.
[[nodiscard]] Report obey(Order& order);

}  // namespace egress::test
