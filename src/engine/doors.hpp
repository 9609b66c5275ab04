// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <vector>

#include "engine/snapshot.hpp"
#include "engine/tables.hpp"

/// Rules that other tools wrote: they may be replaced at any moment, under nobody's lock.
namespace egress {

/// Removes entries, all or (if the kernel refuses one and nobody dies meanwhile) none.
class DoorRemoval {
 public:
  explicit DoorRemoval(Tables& tables) : tables_(tables) {}

  [[nodiscard]] Result<void> remove(const std::vector<DoorEntry>& doors);
  /// Puts back what remove() took.
  void undo();

 private:
  [[nodiscard]] Result<void> remove_one(const DoorEntry& door);

  struct Taken {
    std::uint32_t key;
    drop_config config;
    bool was_named;
  };
  Tables& tables_;
  std::vector<Taken> taken_;
};

/// Lets the entry end at another moment, counted from `now`. NotFound if another rule
/// stands there by now.
[[nodiscard]] Result<void> extend_door(Tables& tables, const DoorEntry& door, Lifetime lifetime, BootTime now);

}  // namespace egress
