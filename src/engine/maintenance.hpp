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
      : tables_(std::exchange(other.tables_, nullptr)), world_(std::exchange(other.world_, nullptr)) {}
  Maintenance& operator=(Maintenance&&) = delete;
  ~Maintenance();

  /// Tells the sweep that this holder is alive; to be called at least every few seconds of work. Takes the
  /// word again if it was lost: a sweep leaves rules alone while a change is pending.
  [[nodiscard]] Result<void> renew();

  static constexpr std::chrono::seconds lease{5};

 private:
  Maintenance(Tables& tables, World& world) : tables_(&tables), world_(&world) {}

  Tables* tables_;
  World* world_;
};

}  // namespace egress
