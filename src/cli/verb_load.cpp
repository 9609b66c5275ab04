// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "core/escape.hpp"

namespace egress::cli {

Result<int> verb_load(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  LoadSettings settings;
  settings.debug = context.options().debug;
  if (context.options().max_rules) {
    const auto number = parse_number(*context.options().max_rules, 1, 16'777'216);
    if (!number) {
      return usage_error(fmt::format("--max-rules {}", *context.options().max_rules), "not a number of rules",
                         "1 to 16777216");
    }
    settings.max_rules = static_cast<std::uint32_t>(*number);
  }
  const auto filter = Filter::load(context.instance(), settings);
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
