// SPDX-License-Identifier: GPL-2.0
#include "cli/selection.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace egress::cli {

Result<Clocks> read_clocks(const Filter& filter) {
  const auto boot = filter.now();
  if (!boot) return boot.error();
  return Clocks{*boot, std::chrono::system_clock::now()};
}

bool is_of(const Rule& rule, const Subject& subject) {
  if (subject.scope == Subject::Scope::Only && rule.subject.scope != Subject::Scope::Only) return false;
  if (rule.subject.kind == subject.kind && rule.subject.name == subject.name) return true;
  if (subject.kind != Subject::Kind::Id) return false;
  return std::ranges::any_of(rule.cgroups, [&subject](CgroupId id) {
    return subject.name == fmt::format("{}", static_cast<std::uint64_t>(id));
  });
}

std::vector<Rule> rules_of(std::vector<Rule> rules, const Subject& subject) {
  std::erase_if(rules, [&subject](const Rule& rule) { return !is_of(rule, subject); });
  return rules;
}

Result<Rule> find_rule(const Filter& filter, RuleId id) {
  const auto rules = filter.rules();
  if (!rules) return rules.error();
  const auto rule = std::ranges::find(*rules, id, &Rule::id);
  if (rule != rules->end()) return *rule;
  return Error{.kind = ErrorKind::NotFound,
               .operation = "find rule",
               .object = fmt::format("rule {}", static_cast<std::uint32_t>(id)),
               .cause = "no such rule, or it is over",
               .remedy = "see egress ls",
               .code = 0};
}

}  // namespace egress::cli
