// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "drop_egress_by_cgroup.h"
#include "egress/version.hpp"

namespace egress::cli {

std::string version_text() { return fmt::format("egress {} (abi {})\n", egress::version, EGRESS_ABI); }

Result<int> verb_version(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  if (context.json()) {
    Json json;
    json["version"] = egress::version;
    json["abi"] = EGRESS_ABI;
    context.print_json(json);
  } else {
    context.print(version_text());
  }
  return exit_done;
}

Result<int> verb_help(Context& context) {
  const auto& words = context.options().words;
  if (words.empty()) {
    context.print(general_help());
    return exit_done;
  }
  const Verb* verb = find_verb(words.front());
  if (verb == nullptr) return usage_error(fmt::format("\"{}\"", words.front()), "no such verb", "see egress --help");
  context.print(help_text(*verb));
  return exit_done;
}

}  // namespace egress::cli
