// SPDX-License-Identifier: GPL-2.0
#include "engine/maintenance.hpp"

#include <thread>

#include "engine/records.hpp"

namespace egress {

namespace {

constexpr int attempts = 1000;
constexpr std::chrono::milliseconds between_attempts{1};
constexpr unsigned beats_of_renewal = 1024;

enum class Taken { No, Anew, Held };

/// The lease is stored before the word is taken: a sweep must not find an old one beside the new holder.
Result<Taken> try_take(Tables& tables, World& world) {
  auto now = world.now();
  if (!now) return std::move(now).error();
  const auto until = static_cast<std::uint64_t>((now->since_boot + Maintenance::lease).count());
  egress_control& control = tables.control();
  tables.store(control.lease_until, until);
  if (load(control.maintenance) == EGRESS_MAINTENANCE_LIBRARY) return Taken::Held;
  return tables.swap(control.maintenance, EGRESS_MAINTENANCE_FREE, EGRESS_MAINTENANCE_LIBRARY) ? Taken::Anew
                                                                                               : Taken::No;
}

Result<Taken> take_word(Tables& tables, World& world) {
  for (int attempt = 0; attempt < attempts; ++attempt) {
    auto taken = try_take(tables, world);
    if (!taken) return std::move(taken).error();
    if (*taken != Taken::No) return *taken;
    std::this_thread::sleep_for(between_attempts);
  }
  return Error{ErrorKind::Failed, "", "rules", "the kernel's sweep holds them", "try again", 0};
}

}  // namespace

Result<Maintenance> Maintenance::take(Tables& tables, World& world) {
  if (auto done = take_word(tables, world); !done) return std::move(done).error();
  return Maintenance(tables, world);
}

Maintenance::~Maintenance() {
  if (tables_ == nullptr) return;
  // False if a sweep took the word over: then it is not ours to free.
  static_cast<void>(tables_->swap(tables_->control().maintenance, EGRESS_MAINTENANCE_LIBRARY, EGRESS_MAINTENANCE_FREE));
}

Result<void> Maintenance::renew() {
  auto taken = take_word(*tables_, *world_);
  if (!taken) return std::move(taken).error();
  lost_ |= *taken == Taken::Anew;
  return {};
}

Result<void> Maintenance::beat() { return ++beats_ % beats_of_renewal == 0 ? renew() : Result<void>(); }

}  // namespace egress
