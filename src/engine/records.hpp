// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "egress/error.hpp"
#include "engine/tables.hpp"

/// Records of the shared memory: how they are read and stored while the datapath reads them.
namespace egress {

/// Unwraps a text of the maps, which ends at its first zero byte or at its end.
[[nodiscard]] std::string text_of(const egress_text& text);
[[nodiscard]] egress_text make_text(std::string_view text);

/// What the turn of a rule says: it comes in an epoch, or goes in one.
[[nodiscard]] bool comes(const egress_rule& rule);
[[nodiscard]] bool goes(const egress_rule& rule);
[[nodiscard]] std::uint32_t turn_to_go(std::uint32_t epoch);

/// Whether a rule is visible to a packet that read `epoch`.
[[nodiscard]] bool visible(const egress_rule& rule, std::uint32_t epoch);

/// Whether a rule was written for an epoch that is still to come.
[[nodiscard]] bool unborn(const egress_rule& rule, std::uint32_t epoch);

/// Whether a rule was removed, for the epoch or an earlier one, and no trial can bring it back.
[[nodiscard]] bool dead(const egress_rule& rule, std::uint32_t epoch);

/// Whether a rule decides at this moment: visible, not over, and on the side of the trial that counts now.
[[nodiscard]] bool in_force(const egress_rule& rule, std::uint32_t epoch, std::uint64_t trial_deadline,
                            std::uint64_t now);

/// The epoch after `epoch`. None has 31 lower bits of zero: a rule without a turn has.
[[nodiscard]] std::uint32_t following(std::uint32_t epoch);

[[nodiscard]] std::uint32_t load(const __u32& word);
[[nodiscard]] std::uint64_t load(const __u64& word);

/// A copy of a record that changes meanwhile, word by word.
[[nodiscard]] egress_rule load_rule(const egress_rule& record);
[[nodiscard]] egress_set load_set(const egress_set& record);
[[nodiscard]] egress_run load_run(const egress_run& run);

/// Brings every array. Before a change that walks over them when it is made: what cannot be mapped must show before.
void bring_all(Tables& tables);

/// The sets and the anchors that ever were in use, and the places before them.
[[nodiscard]] std::span<egress_set> known_sets(Tables& tables);
[[nodiscard]] std::span<egress_anchor> known_anchors(Tables& tables);
/// Before the first store to a place of either.
void know_subject(Tables& tables, std::uint32_t place);

/// Sets by their index, true = meant.
using SetMarks = std::vector<bool>;

[[nodiscard]] inline bool is_of(const egress_rule& rule, const SetMarks& sets) {
  return rule.set < sets.size() && sets[rule.set];
}

/// The record at the place of this id, whoever stands there.
[[nodiscard]] egress_rule& slot_of(Tables& tables, std::uint32_t id);

/// Writes a record into a free place; its id last.
void store_rule(Tables& tables, const egress_rule& rule);
void store_flags(Tables& tables, egress_rule& record, std::uint8_t flags);

/// One store each.
void store_run(Tables& tables, egress_run& run, egress_run value);
void store_heads(Tables& tables, egress_heads& pair, egress_heads value);
void store_shape(Tables& tables, egress_shape& shape, const egress_shape& value);

/// Ids of the rules for which `wanted` holds, one pass over the array.
template <typename Predicate>
[[nodiscard]] std::vector<std::uint32_t> rules_where(Tables& tables, Predicate wanted) {
  std::vector<std::uint32_t> ids;
  for (const egress_rule& rule : tables.rules()) {
    if (rule.id != 0 && wanted(rule)) ids.push_back(rule.id);
  }
  return ids;
}

}  // namespace egress
