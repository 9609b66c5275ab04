// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/policy_input.hpp"
#include "cli/progress.hpp"
#include "cli/rails.hpp"
#include "cli/sockets.hpp"
#include "cli/table.hpp"

namespace egress::cli {
namespace {

/// Rules of a file that are named one by one when they were made.
constexpr std::size_t longest_echo = 20;

RuleSpec spec_of(const Context& context, Action action, const RuleSentence& sentence) {
  RuleSpec rule;
  rule.action = action;
  rule.lifetime = sentence.lifetime;
  rule.reason = context.options().reason.value_or("");
  rule.include_nd = context.options().include_nd;
  rule.no_packet_sockets = context.options().no_packet_sockets && action != Action::Allow;
  return rule;
}

std::vector<RuleSpec> specs_of(const Context& context, Action action, const RuleSentence& sentence) {
  std::vector<RuleSpec> rules(sentence.destinations.size(), spec_of(context, action, sentence));
  for (std::size_t i = 0; i < rules.size(); ++i) rules[i].destination = sentence.destinations[i];
  return rules;
}

/// Allow rules and the closing `drop any` of `isolate`, loopback open unless --no-loopback.
std::vector<RuleSpec> isolating_specs(const Context& context, const RuleSentence& sentence) {
  Policy policy;
  policy.default_deny = true;
  policy.rules = specs_of(context, Action::Allow, sentence);
  policy.lifetime = sentence.lifetime;
  policy.reason = context.options().reason.value_or("");
  policy.loopback = !context.options().no_loopback;
  policy.no_packet_sockets = context.options().no_packet_sockets;
  std::vector<RuleSpec> rules = policy.expand();
  for (RuleSpec& rule : rules) rule.include_nd = rule.is_default && context.options().include_nd;
  return rules;
}

void print_new_rules(const Context& context, const Addition& addition, const std::vector<RuleId>& ids,
                     const SocketsOfRules& sockets) {
  if (context.json()) {
    Json json = ids_json(ids);
    sockets.add_to(json);
    return context.print_json(json);
  }
  if (context.options().file && ids.size() > longest_echo) {
    return context.print(new_rules_line(ids, addition.subject, addition.of_list));
  }
  const std::vector<RuleSpec> rules = rules_of(addition);
  for (std::size_t i = 0; i < ids.size() && i < rules.size(); ++i) {
    context.print(new_rule_line(ids[i], addition.subject, rules[i]));
  }
}

/// The common end of every verb that adds rules: rails, one transaction, what was made, what waits, what is missed.
Result<int> add_rules(const Context& context, Filter& filter, const SubjectWords& words, Addition addition) {
  auto subject = context.resolve(filter, words);
  if (!subject) return subject.error();
  addition.subject = *subject;
  const bool on_root =
      is_root(*subject, subject->kind == Subject::Kind::Id ? root_of(context.instance()) : std::nullopt);
  const std::vector<RuleSpec> noted = noteworthy(addition);
  if (auto refused = rail(*subject, on_root, noted); refused && !context.options().yes_really) return *refused;
  const auto established = established_of(context.options());
  if (!established) return established.error();
  addition.policy = context.options().name;
  addition.replace = context.options().replace;
  addition.established = *established;
  addition.progress = progress_on_terminal(addition.rules.size() + addition.list.size());
  auto sockets = SocketsOfRules::look(context, filter, addition);
  if (!sockets) return sockets.error();
  const auto ids = filter.add(addition);
  if (!ids) return ids.error();
  sockets->settle(context, filter);
  for (const std::string& warning : neighbour_warnings(noted)) context.note(warning);
  print_new_rules(context, addition, *ids, *sockets);
  const int reached = sockets->report(context);
  const auto pending = context.report_pending(filter, {*subject});
  return pending && *pending == exit_done ? Result<int>(reached) : pending;
}

/// The destinations of --file with those of the words.
Result<std::vector<Destination>> read_list(const Context& context, const std::vector<Destination>& words) {
  const std::string& file = *context.options().file;
  const auto text = read_input(file);
  if (!text) return text.error();
  auto listed = parse_destination_list(*text, source_name(file));
  if (!listed) return listed;
  if (listed->empty()) return usage_error(source_name(file), "no destination", "one a line");
  if (words.empty()) return listed;
  listed->insert(listed->begin(), words.begin(), words.end());
  if (auto done = refuse_duplicates(context.verb().name, *listed); !done) return std::move(done).error();
  return listed;
}

/// Rails that need no kernel are asked first, so that a refused command loads nothing.
std::optional<Error> early_rail(const Context& context, const SubjectWords& words, const Addition& addition) {
  if (context.options().yes_really || words.kind != SubjectWords::Kind::Cgroup) return std::nullopt;
  const auto path = canonical_cgroup_path(words.value);
  if (!path) return std::nullopt;
  return rail({Subject::Kind::Path, *path, words.scope}, *path == "/", noteworthy(addition));
}

Result<int> add(const Context& context, const SubjectWords& words, Addition addition) {
  if (auto checked = established_of(context.options()); !checked) return checked.error();
  if (auto refused = early_rail(context, words, addition)) return *refused;
  auto filter = context.open_or_load();
  if (!filter) return filter.error();
  return add_rules(context, *filter, words, std::move(addition));
}

}  // namespace

Result<int> verb_add(Context& context) {
  const auto action = parse_action(context.verb().name);
  if (!action) return action.error();
  auto sentence = parse_rule_sentence(context.verb().name, context.options(), std::chrono::system_clock::now());
  if (!sentence) return sentence.error();
  Addition addition;
  if (context.options().file) {
    auto list = read_list(context, sentence->destinations);
    if (!list) return list.error();
    addition.list = *std::move(list);
    addition.of_list = spec_of(context, *action, *sentence);
  } else {
    addition.rules = specs_of(context, *action, *sentence);
  }
  return add(context, sentence->subject, std::move(addition));
}

Result<int> verb_isolate(Context& context) {
  const auto sentence = parse_isolate_sentence(context.options(), std::chrono::system_clock::now());
  if (!sentence) return sentence.error();
  if (sentence->destinations.empty()) {
    context.note(context.options().no_loopback
                     ? "isolate: nothing is allowed (allow DEST makes exceptions)"
                     : "isolate: nothing but loopback is allowed (allow DEST makes exceptions)");
  }
  Addition addition;
  addition.rules = isolating_specs(context, *sentence);
  return add(context, sentence->subject, std::move(addition));
}

}  // namespace egress::cli
