// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/sets.hpp"
#include "engine/tables.hpp"

namespace egress {

/// The rules of one set that are in force, in the order of their ids.
struct OwnSet {
  SetName name;
  std::vector<Rule> rules;
};

/// A rule that another tool wrote.
struct DoorEntry {
  std::uint32_t key = 0;  ///< of drop_configs
  CgroupId cgroup{};
  Rule rule;  ///< its id is the key, or another one if a rule of ours has that
};

/// What is in force at one moment and one epoch, in core values. Needs no lock.
struct Snapshot {
  BootTime now;
  std::vector<OwnSet> sets;      ///< sets of one subject's name in the order in which they judge
  std::vector<DoorEntry> doors;  ///< complete entries that are not over

  /// Every rule in the order of ids.
  [[nodiscard]] std::vector<Rule> rules() const&;
  [[nodiscard]] std::vector<Rule> rules() &&;
  [[nodiscard]] const Rule* find(RuleId id) const;
  [[nodiscard]] const DoorEntry* find_door(RuleId id) const;
};

/// `Listing` also reads counts, reasons and the cgroups that bear the names; a Verdict needs none of them.
enum class Detail { Verdict, Listing };

/// The cgroups that bear the name of a subject now.
[[nodiscard]] std::vector<CgroupId> cgroups_bearing(const World& world, const Subject& subject);

/// With `only` the snapshot holds at least the rules of these ids, if they are in force, and not every other one.
[[nodiscard]] Result<Snapshot> read_snapshot(Tables& tables, World& world, Detail detail,
                                             std::optional<std::span<const RuleId>> only = std::nullopt);

}  // namespace egress
