// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/selection.hpp"
#include "cli/table.hpp"

namespace egress::cli {

Result<int> verb_extend(Context& context) {
  const auto sentence = parse_extend_sentence(context.options(), std::chrono::system_clock::now());
  if (!sentence) return sentence.error();
  auto filter = context.open();
  if (!filter) return filter.error();
  const auto clocks = read_clocks(*filter);  // what can fail comes before the change
  if (!clocks) return clocks.error();
  const auto rule = filter->extend(sentence->id, sentence->lifetime);
  if (!rule) return rule.error();
  if (context.json()) {
    context.print_json(to_json(*rule, *clocks));
    return exit_done;
  }
  const std::string end =
      sentence->lifetime ? fmt::format("ends in {}", format_duration(*sentence->lifetime)) : "no end";
  context.print(fmt::format("rule {}: {}, {}\n", static_cast<std::uint32_t>(rule->id),
                            rule_text(rule->action, rule->subject, rule->destination), end));
  return exit_done;
}

}  // namespace egress::cli
