// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/selection.hpp"
#include "cli/table.hpp"
#include "core/escape.hpp"

namespace egress::cli {
namespace {

using Verdict = Explanation::Verdict;

/// What the answer does not say, in the order of how often it surprises.
std::vector<std::string> notes_for(const Explanation& explanation, const ExplainSentence& sentence) {
  std::vector<std::string> notes = sentence.assumed;
  notes.emplace_back("a packet belongs to the cgroup in which its socket was created, wherever the process is now");
  if (explanation.verdict != Verdict::Pass && sentence.destination.protocol == protocol::tcp) {
    notes.emplace_back(
        "established TCP that was not cut is delayed, not discarded: it is retransmitted once the rule ends");
  }
  notes.emplace_back(
      "with NAT in the same network namespace, packets are judged by the address after it, connect(2) by the one "
      "before");
  return notes;
}

std::string deciding_rule(const Explanation& explanation, BootTime now) {
  if (!explanation.rule) return "no rule decides\n";
  const Rule& rule = *explanation.rule;
  return fmt::format("rule {}: {}, {}\n", static_cast<std::uint32_t>(rule.id),
                     rule_text(rule.action, rule.subject, rule.destination),
                     rule.expires_at ? fmt::format("{} left", format_left(rule, now)) : std::string("forever"));
}

std::string steps_text(const Explanation& explanation) {
  std::string out;
  for (const Explanation::Step& step : explanation.path) {
    out += fmt::format("  {}: {} {} seen, {}\n", escape(step.cgroup), step.rules_seen,
                       step.rules_seen == 1 ? "rule" : "rules", format(step.verdict));
  }
  return out;
}

std::string audits_text(const Explanation& explanation) {
  std::string out;
  for (const RuleId id : explanation.audit)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", static_cast<std::uint32_t>(id));
  return out.empty() ? out : fmt::format("counted by audit rules: {}\n", out);
}

std::string text_of(const Explanation& explanation, const ExplainSentence& sentence, const Subject& subject,
                    BootTime now, bool colour) {
  const Colour hue = explanation.verdict == Verdict::Pass ? Colour::Green : Colour::Red;
  std::string out = fmt::format("{}: {} to {}\n", paint(format(explanation.verdict), hue, colour), format(subject),
                                format(sentence.destination));
  out += deciding_rule(explanation, now) + audits_text(explanation);
  if (!explanation.path.empty()) out += "the way up:\n" + steps_text(explanation);
  for (const std::string& note : notes_for(explanation, sentence))
    out += paint("note: " + note, Colour::Dim, colour) + "\n";
  return out;
}

Json json_of(const Explanation& explanation, const ExplainSentence& sentence) {
  Json json = to_json(explanation);
  json["destination"] = format(sentence.destination);
  json["notes"] = notes_for(explanation, sentence);
  return json;
}

}  // namespace

Result<int> verb_explain(Context& context) {
  const auto sentence = parse_explain_sentence(context.options());
  if (!sentence) return sentence.error();
  const auto filter = context.open();
  if (!filter) return filter.error();
  const auto subject = context.resolve(*filter, sentence->subject);
  if (!subject) return subject.error();
  const auto explanation = filter->explain(*subject, sentence->destination);
  if (!explanation) return explanation.error();
  const auto now = filter->now();
  if (!now) return now.error();
  if (context.json()) {
    context.print_json(json_of(*explanation, *sentence));
  } else {
    context.print(text_of(*explanation, *sentence, *subject, *now, context.colour()));
  }
  return explanation->verdict == Verdict::Pass ? exit_done : exit_would_drop;
}

}  // namespace egress::cli
