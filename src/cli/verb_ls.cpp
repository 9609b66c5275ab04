// SPDX-License-Identifier: GPL-2.0
#include "cli/command.hpp"
#include "cli/selection.hpp"
#include "cli/table.hpp"

namespace egress::cli {
namespace {

Result<std::vector<Rule>> wanted_rules(const Context& context, const Filter& filter, const TargetWords& target) {
  auto rules = filter.rules();
  if (!rules) return rules.error();
  if (context.options().name) {
    std::erase_if(*rules, [&context](const Rule& rule) { return rule.policy != context.options().name; });
  }
  if (!target.subject) return *std::move(rules);
  const auto subject = context.resolve(filter, *target.subject);
  if (!subject) return subject.error();
  return rules_of(*std::move(rules), *subject);
}

/// As dump() writes the array, but never all of it in memory: a rule in JSON is some kilobytes there.
void print_json_of(const Context& context, const std::vector<Rule>& rules, const Clocks& clocks) {
  constexpr std::size_t at_once = 1 << 16;
  std::string out = "[";
  for (const Rule& rule : rules) {
    if (&rule != &rules.front()) out += ",\n ";
    out += dump(to_json(rule, clocks));
    if (out.size() < at_once) continue;
    context.print(out);
    out.clear();
  }
  context.print(out + "]\n");
}

}  // namespace

Result<int> verb_ls(Context& context) {
  const auto target = parse_target("ls", context.options());
  if (!target) return target.error();
  const auto filter = context.open();
  if (!filter) return filter.error();
  const auto rules = wanted_rules(context, *filter, *target);
  if (!rules) return rules.error();
  const auto clocks = read_clocks(*filter);
  if (!clocks) return clocks.error();
  if (context.json()) {
    print_json_of(context, *rules, *clocks);
  } else if (rules->empty()) {
    context.note("no rules");
  } else {
    context.print(rules_table(*rules, clocks->boot, context.colour()));
  }
  return exit_done;
}

Result<int> verb_show(Context& context) {
  const auto& words = context.options().words;
  if (words.size() != 1) return usage_error({}, "expected one rule id", "example: egress show 7");
  const auto id = parse_rule_id(words.front());
  if (!id) return id.error();
  const auto filter = context.open();
  if (!filter) return filter.error();
  const auto rule = find_rule(*filter, *id);
  if (!rule) return rule.error();
  const auto clocks = read_clocks(*filter);
  if (!clocks) return clocks.error();
  if (context.json()) {
    context.print_json(to_json(*rule, *clocks));
  } else {
    context.print(rule_details(*rule, clocks->boot, clocks->wall));
  }
  return exit_done;
}

}  // namespace egress::cli
