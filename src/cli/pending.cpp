// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/command.hpp"

namespace egress::cli {

Result<int> Context::report_pending(const Filter& filter, const std::vector<RuleId>& ids) const {
  const auto rules = filter.rules();
  if (!rules) {
    // The change is made all the same.
    note(fmt::format("done, but not known whether any rule is pending: {}", rules.error().message()));
    return options_.strict ? exit_not_in_force : exit_done;
  }
  std::set<std::string> waiting;
  for (const Rule& rule : *rules) {
    if (rule.cgroups.empty() && std::ranges::count(ids, rule.id) > 0) waiting.insert(format(rule.subject));
  }
  for (const std::string& subject : waiting) {
    note(fmt::format("{}: pending: no such cgroup yet (in force before the first process can enter it)", subject));
  }
  return options_.strict && !waiting.empty() ? exit_not_in_force : exit_done;
}

}  // namespace egress::cli
