// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <utility>

#include "engine/tables.hpp"

namespace egress {

/// The right to change rules, shared with the sweep of the kernel by control.maintenance. Precondition of
/// every use: the caller holds the lock of writers, so a LIBRARY found there was left by a dead process.
class Maintenance {
 public:
  /// Waits for a sweep under way, for a bounded time.
  [[nodiscard]] static Result<Maintenance> take(Tables& tables, World& world);

  Maintenance(Maintenance&& other) noexcept
      : tables_(std::exchange(other.tables_, nullptr)),
        world_(std::exchange(other.world_, nullptr)),
        lost_(other.lost_),
        beats_(other.beats_) {}
  Maintenance& operator=(Maintenance&&) = delete;
  ~Maintenance();

  /// Tells the sweep that this holder is alive. Takes the word again if it was lost, which happens to a process
  /// that was stopped for longer than the lease.
  [[nodiscard]] Result<void> renew();
  /// renew(), once in many calls: for loops of microseconds each.
  [[nodiscard]] Result<void> beat();
  /// For walks over records, of nanoseconds each: whether it is time for renew(), once in many calls.
  [[nodiscard]] bool is_due() { return ++steps_ % steps_of_renewal == 0; }
  /// Whether renew() ever found the word lost since start_afresh(). A sweep then took over rules out of their
  /// chains and may have settled a trial: what was read of either before, and written after it, may be wrong.
  [[nodiscard]] bool was_lost() const { return lost_; }
  void start_afresh() { lost_ = false; }
  /// For the heir of a writer that may have stood still like that.
  void assume_lost() { lost_ = true; }

  /// An over rule is gone within a second, also when a command was killed just before.
  static constexpr std::chrono::milliseconds lease{500};

 private:
  static constexpr unsigned steps_of_renewal = 65536;

  Maintenance(Tables& tables, World& world) : tables_(&tables), world_(&world) {}

  Tables* tables_;
  World* world_;
  bool lost_ = false;
  unsigned beats_ = 0;
  unsigned steps_ = 0;
};

}  // namespace egress
