// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "core/escape.hpp"

namespace egress::cli {

namespace {

using Number = std::optional<std::uint32_t>;

Result<Number> number_of_rules(std::string_view option, const std::optional<std::string>& text) {
  if (!text) return Number();
  const auto number = parse_number(*text, 1, 16'777'216);
  if (number) return Number(static_cast<std::uint32_t>(*number));
  return usage_error(fmt::format("{} {}", option, *text), "not a number of rules", "1 to 16777216");
}

}  // namespace

Result<int> verb_load(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  const auto max_rules = number_of_rules("--max-rules", context.options().max_rules);
  if (!max_rules) return max_rules.error();
  const auto max_map_rules = number_of_rules("--max-map-rules", context.options().max_map_rules);
  if (!max_map_rules) return max_map_rules.error();
  const auto filter = Filter::load(context.instance(), {*max_rules, *max_map_rules, context.options().debug});
  if (!filter) return filter.error();
  context.note(fmt::format("loaded, pins in {}", context.instance().pin_dir));
  for (const std::string& part : filter->missing()) context.note("this kernel lacks " + escape(part));
  return exit_done;
}

Result<int> verb_unload(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  const auto unloaded = Filter::unload(context.instance());
  if (!unloaded) {
    // --force is for scripts that want it gone, whatever was there.
    if (context.options().force && unloaded.error().kind == ErrorKind::NotFound) return exit_done;
    return unloaded.error();
  }
  context.note("unloaded");
  return exit_done;
}

}  // namespace egress::cli
