// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <vector>

#include "cli/json.hpp"
#include "egress/filter.hpp"

namespace egress::cli {

/// Now on both clocks, as close together as two reads can be.
[[nodiscard]] Result<Clocks> read_clocks(const Filter& filter);

/// Whether a rule is one of the subject's: by name, or by the id of a cgroup that its name stands for now.
/// A subject that is `only` asks for rules of that scope alone.
[[nodiscard]] bool is_of(const Rule& rule, const Subject& subject);

/// The rules of the subject, in their order.
[[nodiscard]] std::vector<Rule> rules_of(std::vector<Rule> rules, const Subject& subject);

/// The rule of this id; NotFound if it does not exist or is over.
[[nodiscard]] Result<Rule> find_rule(const Filter& filter, RuleId id);

}  // namespace egress::cli
