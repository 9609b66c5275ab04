// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/table.hpp"

namespace egress::cli {
namespace {

/// Exactly one way to say which rules; a subject and a policy may go together.
Result<void> check_selection(const TargetWords& target, const Options& options) {
  const bool narrowed = target.subject.has_value() || options.name.has_value();
  const int ways = (target.ids.empty() ? 0 : 1) + (narrowed ? 1 : 0) + (options.all ? 1 : 0);
  if (ways == 1) return {};
  const std::string_view remedy =
      "example: egress rm 7 8, egress rm cgroup /app, egress rm --name POLICY, egress rm --all";
  return usage_error({}, ways == 0 ? "expected which rules to remove" : "more than one way to say which rules",
                     std::string(remedy))
      .in("rm");
}

/// Rules that are named one by one when they are gone.
constexpr std::size_t longest_echo = 1000;

void print_removed(const Context& context, const Removed& removed) {
  if (context.json()) return context.print_json(ids_json(removed.ids));
  if (removed.rules.empty() && !removed.ids.empty()) {
    context.print(fmt::format("{} rules removed, ids {} to {}\n", removed.ids.size(),
                              static_cast<std::uint32_t>(removed.ids.front()),
                              static_cast<std::uint32_t>(removed.ids.back())));
  }
  for (const Rule& rule : removed.rules) {
    context.print(fmt::format("rule {} removed: {}\n", static_cast<std::uint32_t>(rule.id),
                              rule_text(rule.action, rule.subject, rule.destination)));
  }
}

}  // namespace

Result<int> verb_rm(Context& context) {
  const auto target = parse_target("rm", context.options());
  if (!target) return target.error();
  if (auto checked = check_selection(*target, context.options()); !checked) return checked.error();
  auto filter = context.open();
  if (!filter) return filter.error();
  Selection selection{target->ids, std::nullopt, context.options().name, context.options().all};
  if (target->subject) {
    const auto subject = context.resolve(*filter, *target->subject);
    if (!subject) return subject.error();
    selection.subject = *subject;
  }
  const auto removed = filter->remove(selection, longest_echo);
  if (!removed) return removed.error();
  print_removed(context, *removed);
  return exit_done;
}

}  // namespace egress::cli
