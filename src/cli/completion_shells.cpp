// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/completion.hpp"

namespace egress::cli {
namespace {

std::string joined(const std::vector<std::string_view>& words) {
  std::string out;
  for (const std::string_view word : words) out += (out.empty() ? "" : " ") + std::string(word);
  return out;
}

/// Not compgen -W: it would expand $(…) in names, which whoever owns a delegated cgroup chooses.
constexpr std::string_view bash_offer = R"bash(_egress_offer() {
  local line
  while IFS= read -r line; do
    [[ -n $line && $line == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
  done <<< "$1"
}
)bash";

std::string verb_names() {
  std::string out;
  for (const Verb& verb : verbs()) out += (out.empty() ? "" : " ") + std::string(verb.name);
  return out;
}

std::string option_names(std::span<const OptionRow> rows) {
  std::string out;
  for (const OptionRow& row : rows) out += (out.empty() ? "" : " ") + joined(names_of(row));
  return out;
}

/// "-f|--file", a pattern of `case`.
std::string case_pattern(const OptionRow& row) {
  std::string out;
  for (const std::string_view name : names_of(row)) out += (out.empty() ? "" : "|") + std::string(name);
  return out;
}

/// What lists the values of an option; empty if nothing can be offered.
std::string_view lister(Offer offer) {
  switch (offer) {
    case Offer::Cgroup:
      return "_egress_cgroups";
    case Offer::Unit:
      return "_egress_units";
    case Offer::Pid:
      return "_egress_pids";
    case Offer::Policy:
      return "_egress_policies";
    case Offer::Device:
      return "_egress_devices";
    case Offer::Format:
      return "printf 'table\\njson\\n'";
    case Offer::Established:
      return "printf 'keep\\ncut\\n'";
    case Offer::Nothing:
      return ":";
    case Offer::File:
    case Offer::Directory:
      break;
  }
  return "";
}

/// Every option that takes a value, once, whichever verbs have it.
std::vector<OptionRow> value_rows() {
  std::vector<OptionRow> rows;
  const auto collect = [&rows](std::span<const OptionRow> more) {
    for (const OptionRow& row : more) {
      const bool known = std::ranges::any_of(rows, [&row](const OptionRow& other) { return other.names == row.names; });
      if (takes_value(row) && !known) rows.push_back(row);
    }
  };
  collect(global_options());
  for (const Verb& verb : verbs()) collect(verb.options);
  return rows;
}

/// The arms of "what follows the word before": `list` prints candidates, `files` offers files.
std::string value_arms(std::string_view list, std::string_view files, std::string_view directories) {
  std::string out;
  for (const OptionRow& row : value_rows()) {
    std::string action;
    if (row.offer == Offer::File) action = files;
    if (row.offer == Offer::Directory) action = directories;
    if (action.empty()) action = fmt::format(fmt::runtime(list), lister(row.offer));
    out += fmt::format("    {}) {}; return ;;\n", case_pattern(row), action);
  }
  for (const auto& [word, function] :
       {std::pair{"cgroup", "_egress_cgroups"}, {"unit", "_egress_units"}, {"pid", "_egress_pids"}}) {
    out += fmt::format("    {}) {}; return ;;\n", word, fmt::format(fmt::runtime(list), function));
  }
  return out;
}

/// The arms of "what this verb takes".
std::string verb_arms() {
  std::string out;
  for (const Verb& verb : verbs()) {
    const std::string ids = takes_rule_ids(verb.words) ? " $(_egress_rules)" : "";
    out += fmt::format("    {}) words=\"{}{}\" opts=\"{}\" ;;\n", verb.name, joined(sentence_words(verb.words)), ids,
                       option_names(verb.options));
  }
  return out;
}

}  // namespace

std::string bash_completion() {
  std::string out = "# bash completion for egress; made by: egress completion bash\n";
  out += listing_functions();
  out += bash_offer;
  out +=
      "_egress() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= words= opts= word\n";
  out += "  COMPREPLY=()\n  case $prev in\n";
  out += value_arms("_egress_offer \"$({})\"", "COMPREPLY=($(compgen -f -- \"$cur\"))",
                    "COMPREPLY=($(compgen -d -- \"$cur\"))");
  out += "  esac\n  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n";
  out += fmt::format("    case \" {} \" in *\" $word \"*) verb=$word; break ;; esac\n  done\n", verb_names());
  out += "  case $verb in\n" + verb_arms() + fmt::format("    *) words=\"{}\" ;;\n  esac\n", verb_names());
  out += fmt::format("  if [[ $cur == -* ]]; then\n    COMPREPLY=($(compgen -W \"$opts {}\" -- \"$cur\"))\n",
                     option_names(global_options()));
  out += "  else\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n  fi\n}\n";
  return out + "complete -F _egress egress\n";
}

std::string zsh_completion() {
  std::string out = "#compdef egress\n# zsh completion for egress; made by: egress completion zsh\n";
  out += listing_functions();
  out += "_egress() {\n  local cur=$words[CURRENT] prev=$words[CURRENT-1] verb= offered= opts= word\n  case $prev in\n";
  out += value_arms("compadd -- ${{(f)\"$({})\"}}", "_files", "_files -/");
  out += "  esac\n  for word in ${words[2,CURRENT-1]}; do\n";
  out += fmt::format("    case \" {} \" in *\" $word \"*) verb=$word; break ;; esac\n  done\n", verb_names());
  std::string arms = verb_arms();
  for (std::size_t at = arms.find("words="); at != std::string::npos; at = arms.find("words=", at + 8))
    arms.replace(at, 6, "offered=");
  out += "  case $verb in\n" + arms + fmt::format("    *) offered=\"{}\" ;;\n  esac\n", verb_names());
  out += fmt::format("  if [[ $cur == -* ]]; then\n    compadd -- ${{=opts}} {}\n", option_names(global_options()));
  out += "  else\n    compadd -- ${=offered}\n  fi\n}\n";
  return out + "if [ \"$funcstack[1]\" = _egress ]; then _egress \"$@\"; else compdef _egress egress; fi\n";
}

}  // namespace egress::cli
