// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <unordered_set>

#include "engine/maintenance.hpp"
#include "engine/names.hpp"
#include "engine/sets.hpp"
#include "engine/tables.hpp"

namespace egress {

/// What a writer works with.
struct Workbench {
  Tables& tables;
  World& world;
  Maintenance& maintenance;
  Names& names;
  Sets& sets;
};

/// Removes rules that no packet may match any more, and then everything that only they needed: shapes, sets,
/// subjects, names, bindings, policies. Waits for readers wherever one may stand on what goes. May be
/// interrupted anywhere and done again.
[[nodiscard]] Result<void> clean(Workbench bench, const std::unordered_set<std::uint32_t>& rules, Names::Prune how);

}  // namespace egress
