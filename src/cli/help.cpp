// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.hpp"

namespace egress::cli {
namespace {

constexpr std::string_view subject_help =
    "SUBJECT (with everything below it, unless \"only\" is said):\n"
    "  cgroup PATH   path below the enforced root, or an absolute path in cgroupfs; need not exist yet\n"
    "  unit NAME     systemd unit of that name, wherever its slice puts it; need not exist yet\n"
    "  id N          cgroup id (stat -c %i DIRECTORY)\n"
    "  pid N         cgroup of that process now\n";
constexpr std::string_view destination_help =
    "DEST: ADDR[/LEN][:PORT[-PORT]][/PROTO] or any[:PORT[-PORT]][/PROTO]; PROTO is tcp, udp, icmp, sctp or a number.\n"
    "  8.8.8.8   203.0.113.0/24:8000-8099/tcp   [2001:db8::1]:443   2001:db8::/32   any:25/tcp\n";
constexpr std::string_view lifetime_help =
    "Lifetime: for 90s, 15m, 1h30m, 7d | until 2026-12-24T18:00:00Z | forever; 1h if nothing is said.\n";
constexpr std::string_view status_help =
    "Exit status: 0 done, 1 failed, 2 usage, 3 no such rule or cgroup, 4 explain: would be dropped,\n"
    "5 not in force everywhere (with --strict), 6 refused by a safety rail, 7 not permitted.\n";

/// Each line of `lines` behind `lead`; lines that name the command already are left as they are.
std::string block(std::string_view lines, std::string_view lead) {
  std::string out;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    out += fmt::format("  {}{}\n", line.starts_with("egress ") ? "" : lead, line);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return out;
}

std::string option_lines(std::span<const OptionRow> rows) {
  std::string out;
  for (const OptionRow& row : rows) {
    std::string left(row.names);
    if (const std::size_t comma = left.find(','); comma != std::string::npos) left.insert(comma + 1, " ");
    if (takes_value(row)) left += fmt::format(" {}", row.value);
    out += fmt::format("  {:<22} {}\n", left, row.help);
  }
  return out;
}

bool has_subject(Words words) {
  return words == Words::RuleSentence || words == Words::IsolateSentence || words == Words::SubjectOnly ||
         words == Words::IdsOrSubject || words == Words::Explain;
}

bool has_destination(Words words) {
  return words == Words::RuleSentence || words == Words::IsolateSentence || words == Words::Run;
}

}  // namespace

std::string help_text(const Verb& verb) {
  std::string out =
      fmt::format("egress {}: {}\n\n{}\n{}\n\n", verb.name, verb.summary, block(verb.synopsis, "egress "), verb.text);
  if (has_subject(verb.words)) out += subject_help;
  if (has_destination(verb.words)) out += destination_help;
  if (has_destination(verb.words) || verb.words == Words::IdAndLifetime) out += lifetime_help;
  if (out.back() == '\n' && !out.ends_with("\n\n")) out += "\n";
  if (!verb.options.empty()) out += fmt::format("Options:\n{}\n", option_lines(verb.options));
  out += fmt::format("Options of every verb:\n{}\n", option_lines(global_options()));
  return out + fmt::format("Examples:\n{}", block(verb.examples, "egress "));
}

std::string general_help() {
  std::string out =
      "egress: drop network traffic of cgroups, for a time\n\n  egress VERB [WORDS] [OPTIONS]\n\nVerbs:\n";
  for (const Verb& verb : verbs()) out += fmt::format("  {:<12} {}\n", verb.name, verb.summary);
  out += fmt::format("\n{}{}{}\nOptions:\n{}\n{}", subject_help, destination_help, lifetime_help,
                     option_lines(global_options()), status_help);
  return out +
         "\nExamples:\n"
         "  egress drop cgroup /app to 8.8.8.8:53/udp for 15m\n"
         "  egress isolate unit payroll.service allow 10.0.0.0/8 for 2h --reason IR-4211\n"
         "  egress ls\n"
         "  egress explain cgroup /app 8.8.8.8:53/udp\n"
         "\negress VERB --help tells more of each; so do egress(8) and egress-policy(5).\n";
}

}  // namespace egress::cli
