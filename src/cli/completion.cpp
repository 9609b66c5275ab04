// SPDX-License-Identifier: GPL-2.0
#include "cli/completion.hpp"

#include <fmt/format.h>

#include "cli/command.hpp"

namespace egress::cli {

std::vector<std::string_view> sentence_words(Words words) {
  switch (words) {
    case Words::RuleSentence:
      return {"cgroup", "unit", "id", "pid", "to", "for", "until", "forever", "only"};
    case Words::IsolateSentence:
      return {"cgroup", "unit", "id", "pid", "allow", "for", "until", "forever", "only"};
    case Words::SubjectOnly:
    case Words::IdsOrSubject:
      return {"cgroup", "unit", "id", "pid", "only"};
    case Words::Explain:
      return {"cgroup", "unit", "id", "pid"};
    case Words::IdAndLifetime:
      return {"for", "until", "forever"};
    case Words::Run:
      return {"for", "until", "forever", "--"};
    case Words::Shells:
      return {"bash", "zsh", "fish"};
    case Words::OnStatusOff:
      return {"on", "status", "off"};
    case Words::Verbs: {
      std::vector<std::string_view> names;
      for (const Verb& verb : verbs()) names.push_back(verb.name);
      return names;
    }
    case Words::None:
    case Words::RuleIds:
      break;
  }
  return {};
}

bool takes_rule_ids(Words words) {
  return words == Words::RuleIds || words == Words::IdsOrSubject || words == Words::IdAndLifetime;
}

std::string_view listing_functions() {
  return R"(# Paths of cgroups below the enforced root.
_egress_cgroups() {
  local root=${EGRESS_CGROUP_ROOT:-$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)}
  [ -n "$root" ] && (cd "$root" && find . -mindepth 1 -type d 2>/dev/null) | sed 's|^\.||'
}
_egress_units() { _egress_cgroups | sed -n 's|.*/\([^/]*\.\(service\|scope\|slice\)\)$|\1|p'; }
_egress_rules() { egress ls 2>/dev/null | awk '$1 ~ /^[0-9]+$/ { print $1 }'; }
_egress_policies() { egress export 2>/dev/null | sed -n 's/^policy: *//p' | tr -d '"'; }
_egress_pids() { (cd /proc && printf '%s\n' [0-9]*); }
_egress_devices() { (cd /sys/class/net && printf '%s\n' *); }
)";
}

Result<int> verb_completion(Context& context) {
  const auto& words = context.options().words;
  const std::string shell = words.size() == 1 ? words.front() : std::string();
  if (shell == "bash") {
    context.print(bash_completion());
  } else if (shell == "zsh") {
    context.print(zsh_completion());
  } else if (shell == "fish") {
    context.print(fish_completion());
  } else {
    return usage_error(shell.empty() ? shell : fmt::format("\"{}\"", shell), "expected a shell: bash, zsh or fish",
                       "example: egress completion bash")
        .in("completion");
  }
  return exit_done;
}

}  // namespace egress::cli
