// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <vector>

#include "core/evaluate.hpp"
#include "engine/snapshot.hpp"
#include "engine/tables.hpp"

namespace egress {

/// The sets that judge packets of the cgroup at `leaf`, in the order of judgement: own sets from the cgroup up to
/// the root, then rules of other tools in the same order. Found by the names of the rules, not by bindings.
[[nodiscard]] std::vector<JudgedSet> judged_sets(const Snapshot& snapshot, const World& world, const std::string& leaf);

}  // namespace egress
