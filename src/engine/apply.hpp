// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "egress/filter.hpp"
#include "engine/snapshot.hpp"
#include "engine/transaction.hpp"

namespace egress {

/// What makes the rules of a policy's name equal to the policy.
///
/// A rule whose destination, action and flags are wanted as they are stays: same id, same counts, a new
/// deadline and reason. On trial it is replaced by one like it instead, so that the former deadline can come
/// back; the ids of those follow the ids of `diff.added` in `change.added`.
struct ApplyPlan {
  Change change;
  std::vector<Transaction::Deadline> deadlines;                ///< of rules that stay
  std::vector<std::pair<std::uint32_t, std::string>> reasons;  ///< of rules that stay, where they differ
  PolicyDiff diff;
};

/// Usage for a policy that cannot be: no name, a subject or destination twice, a lifetime out of bounds.
[[nodiscard]] Result<ApplyPlan> plan_apply(const Snapshot& snapshot, const Policy& policy, bool on_trial);

/// Refuses what no rule can be: lifetimes and reasons out of bounds.
[[nodiscard]] Result<void> check_spec(const RuleSpec& spec);
[[nodiscard]] Result<void> check_lifetime(const Lifetime& lifetime);
[[nodiscard]] Result<void> check_policy_name(const std::string& name);

}  // namespace egress
