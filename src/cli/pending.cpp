// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <set>

#include "cli/command.hpp"

namespace egress::cli {

Result<int> Context::report_pending(const Filter& filter, const std::set<Subject>& subjects) const {
  std::set<std::string> waiting;
  for (const Subject& subject : subjects) {
    if (filter.cgroups_of(subject).empty()) waiting.insert(format(subject));
  }
  for (const std::string& subject : waiting) {
    note(fmt::format("{}: pending: no such cgroup yet (in force before the first process can enter it)", subject));
  }
  return options_.strict && !waiting.empty() ? exit_not_in_force : exit_done;
}

}  // namespace egress::cli
