// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <unordered_set>

#include "engine/maintenance.hpp"
#include "engine/names.hpp"
#include "engine/records.hpp"
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

/// Who has rules in the arrays.
struct SetMembers {
  std::vector<std::uint32_t> ids;  ///< of the sets that are meant: all, or one more than are wanted
  std::size_t count = 0;           ///< how many these sets have
  std::size_t others = 0;          ///< how many rules of other sets there are
};
/// `everything`: there are no other sets, and nobody needs to know how many more than `most` there are.
[[nodiscard]] SetMembers members_of(Tables& tables, const SetMarks& sets, std::size_t most, bool everything);

/// What a removal may have left behind: nothing but what its own rules needed; what rules that the kernel swept
/// needed, too; or anything, of a writer that was killed.
enum class Leftovers { Own, Swept, Any };

/// Removes rules that no packet may match any more, and then everything that only they needed: shapes, sets,
/// subjects, names, bindings, policies. Waits for readers wherever one may stand on what goes. May be
/// interrupted anywhere and done again.
[[nodiscard]] Result<void> clean(Workbench bench, const std::unordered_set<std::uint32_t>& rules, Leftovers leftovers);

/// The same for all rules of whole sets, and for these sets: what it takes is one walk over the arrays, whatever they
/// hold. `others`: whether other sets have rules. Precondition: no packet may match any rule of theirs any more, or
/// packets that still may decide the same whether they meet all of these rules, a part or none.
[[nodiscard]] Result<void> clean_sets(Workbench bench, const SetMarks& sets, bool others);

}  // namespace egress
