// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "support/child_process.hpp"
#include "support/endpoint.hpp"

namespace egress::test {

/// Sends that followed each other with the same answer. Times are of the boot clock, in nanoseconds: the
/// verdict on the first of them fell between first_start and first_end, on the last between last_start and last_end.
struct Stretch {
  std::uint32_t answer = 0;
  std::uint64_t count = 0;
  std::uint64_t first_start = 0, first_end = 0;
  std::uint64_t last_start = 0, last_end = 0;
};

/// What to send: one UDP datagram to each destination in turn, again and again.
struct FloodPlan {
  std::vector<Endpoint> destinations;
  std::chrono::nanoseconds period{0};  ///< of a round; 0 = as fast as it goes
  /// false: a story for each destination, answer = errno of the send.
  /// true, for two destinations of which exactly one is forbidden at any time: one story, answer = the
  /// destination that is forbidden, as each single send tells.
  bool which_is_forbidden = false;
};

/// A sender in a process of its own that notes what became of every datagram.
class Flood {
 public:
  static Flood start(const ChildPlace& place, const FloodPlan& plan);

  Flood(Flood&& other) noexcept;
  Flood(const Flood&) = delete;
  ~Flood();

  /// Ends it; afterwards the stories are complete.
  void stop();

  [[nodiscard]] std::uint64_t rounds() const;
  /// Waits until so many more rounds were sent, at most 10 s.
  void wait_for_rounds(std::uint64_t more) const;
  [[nodiscard]] std::vector<Stretch> story(std::size_t destination = 0) const;
  /// Answers other than 0 and EPERM, or changes beyond the room for them: must be zero.
  [[nodiscard]] std::uint64_t odd() const;
  /// Sends that passed, over all stories; only with a story for each destination.
  [[nodiscard]] std::uint64_t passed(std::size_t destination) const;

 private:
  struct Shared;
  Flood(ChildProcess child, Shared* shared) : child_(std::move(child)), shared_(shared) {}

  ChildProcess child_;
  Shared* shared_;
};

}  // namespace egress::test
