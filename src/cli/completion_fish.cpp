// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/completion.hpp"

namespace egress::cli {
namespace {

/// A text for fish, in single quotes.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string_view candidates(Offer offer) {
  switch (offer) {
    case Offer::Cgroup:
      return " -a '(__egress_cgroups)'";
    case Offer::Unit:
      return " -a '(__egress_units)'";
    case Offer::Pid:
      return " -a '(__fish_complete_pids)'";
    case Offer::Policy:
      return " -a '(__egress_policies)'";
    case Offer::Device:
      return " -a '(__fish_print_interfaces)'";
    case Offer::Format:
      return " -a 'table json'";
    case Offer::Established:
      return " -a 'keep cut'";
    case Offer::Directory:
      return " -a '(__fish_complete_directories)'";
    case Offer::File:
      return " -F";
    case Offer::Nothing:
      break;
  }
  return "";
}

std::string option_line(const OptionRow& row, std::string_view condition) {
  std::string line = "complete -c egress";
  if (!condition.empty()) line += fmt::format(" -n {}", in_quotes(condition));
  for (const std::string_view name : names_of(row)) {
    line += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
  }
  if (takes_value(row)) line += fmt::format(" -r{}", candidates(row.offer));
  return line + fmt::format(" -d {}\n", in_quotes(row.help));
}

constexpr std::string_view functions = R"fish(function __egress_cgroups
    set -l root $EGRESS_CGROUP_ROOT
    test -n "$root"; or set root (awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    find $root -mindepth 1 -type d 2>/dev/null | string replace -- $root ''
end
function __egress_units
    __egress_cgroups | string match -r '[^/]+\.(?:service|scope|slice)$'
end
function __egress_rules
    egress ls 2>/dev/null | awk '$1 ~ /^[0-9]+$/ { print $1 }'
end
function __egress_policies
    egress export 2>/dev/null | string match -rg '^policy: *"?([^"]*)"?'
end
function __egress_after
    contains -- (commandline -opc)[-1] $argv
end
)fish";

std::string verb_lines(const Verb& verb) {
  const std::string condition = fmt::format("__fish_seen_subcommand_from {}", verb.name);
  std::string out =
      fmt::format("complete -c egress -n __fish_use_subcommand -a {} -d {}\n", verb.name, in_quotes(verb.summary));
  for (const OptionRow& row : verb.options) out += option_line(row, condition);
  for (const std::string_view word : sentence_words(verb.words)) {
    if (!word.starts_with("-")) out += fmt::format("complete -c egress -n {} -a {}\n", in_quotes(condition), word);
  }
  if (takes_rule_ids(verb.words))
    out += fmt::format("complete -c egress -n {} -a '(__egress_rules)'\n", in_quotes(condition));
  return out;
}

}  // namespace

std::string fish_completion() {
  std::string out = "# fish completion for egress; made by: egress completion fish\n";
  out += functions;
  out += "complete -c egress -f\n";
  out += "complete -c egress -n '__egress_after cgroup' -a '(__egress_cgroups)'\n";
  out += "complete -c egress -n '__egress_after unit' -a '(__egress_units)'\n";
  out += "complete -c egress -n '__egress_after pid' -a '(__fish_complete_pids)'\n";
  for (const OptionRow& row : global_options()) out += option_line(row, {});
  for (const Verb& verb : verbs()) out += verb_lines(verb);
  return out;
}

}  // namespace egress::cli
