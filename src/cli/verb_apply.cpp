// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.hpp"
#include "cli/policy_input.hpp"
#include "cli/progress.hpp"
#include "cli/rails.hpp"
#include "cli/sockets.hpp"
#include "cli/table.hpp"
#include "core/escape.hpp"

namespace egress::cli {
namespace {

Result<std::string> required_file(const Context& context) {
  const Options& options = context.options();
  if (options.file && options.words.empty()) return *options.file;
  if (!options.file && options.words.size() == 1) return options.words.front();
  return usage_error({}, "expected one policy file",
                     fmt::format("example: egress {} -f policy.yaml", context.verb().name))
      .in(std::string(context.verb().name));
}

Result<Policy> read_one_policy(const Context& context) {
  const auto file = required_file(context);
  if (!file) return file.error();
  auto policies = read_policies(*file);
  if (!policies) return policies.error();
  if (policies->size() == 1) return std::move(policies->front());
  return usage_error(source_name(*file),
                     fmt::format("holds {} policies; only one can be applied atomically", policies->size()),
                     "one policy a file: egress export --name NAME");
}

std::optional<Error> rail_of(const Context& context, const Policy& policy) {
  const auto root = root_of(context.instance());
  const std::vector<RuleSpec> rules = policy.expand();
  for (const Subject& subject : policy.subjects) {
    if (auto refused = rail(subject, is_root(subject, root), rules)) return refused;
  }
  return std::nullopt;
}

Result<ApplyOptions> apply_options(const Context& context) {
  ApplyOptions options;
  const auto established = established_of(context.options());
  if (!established) return established.error();
  options.established = *established;
  if (!context.options().confirm) return options;
  auto within = parse_duration(*context.options().confirm);
  if (!within) return std::move(within).error().in("--confirm");
  options.confirm_within = *within;
  return options;
}

std::string summary(const Policy& policy, const PolicyDiff& diff) {
  return fmt::format("policy {}: {} added, {} removed, {} kept\n", escape(policy.name), diff.added.size(),
                     diff.removed.size(), diff.kept.size());
}

/// Whose rules the policy has after it was applied.
std::set<Subject> subjects_of(const PolicyDiff& diff) {
  std::set<Subject> subjects;
  for (const auto* entries : {&diff.added, &diff.kept}) {
    for (const PolicyDiff::Entry& entry : *entries) subjects.insert(entry.subject);
  }
  return subjects;
}

void print_applied(const Context& context, const Policy& policy, const PolicyDiff& diff,
                   const SocketsOfRules& sockets) {
  if (context.json()) {
    Json json = to_json(diff);
    json["policy"] = policy.name;
    sockets.add_to(json);
    context.print_json(json);
  } else {
    context.print(summary(policy, diff));
  }
}

void note_trial(const Context& context, const ApplyOptions& options) {
  if (!options.confirm_within) return;
  context.note(
      fmt::format("taken back in {} unless confirmed: egress confirm", format_duration(*options.confirm_within)));
}

}  // namespace

Result<int> verb_apply(Context& context) {
  const auto policy = read_one_policy(context);
  if (!policy) return policy.error();
  auto options = apply_options(context);
  if (!options) return options.error();
  options->progress = progress_on_terminal(policy->rules.size() * policy->subjects.size());
  if (auto refused = rail_of(context, *policy); refused && !context.options().yes_really) return *refused;
  auto filter = context.open_or_load();
  if (!filter) return filter.error();
  auto sockets = SocketsOfRules::look(context, *filter, *policy);
  if (!sockets) return sockets.error();
  const auto diff = filter->apply(*policy, *options);
  if (!diff) return diff.error();
  sockets->settle(context, *filter);
  for (const std::string& warning : neighbour_warnings(policy->expand())) context.note(warning);
  print_applied(context, *policy, *diff, *sockets);
  note_trial(context, *options);
  const int reached = sockets->report(context);
  const auto pending = context.report_pending(*filter, subjects_of(*diff));
  return pending && *pending == exit_done ? Result<int>(reached) : pending;
}

Result<int> verb_check(Context& context) {
  const auto file = required_file(context);
  if (!file) return file.error();
  const auto policies = read_policies(*file);
  if (!policies) return policies.error();
  std::size_t rules = 0;
  std::size_t subjects = 0;
  for (const Policy& policy : *policies) {
    rules += policy.rules.size();
    subjects += policy.subjects.size();
  }
  if (context.json()) {
    Json json;
    json["file"] = source_name(*file);
    json["rules"] = rules;
    json["subjects"] = subjects;
    context.print_json(json);
  } else {
    context.print(fmt::format("{}: ok, {} {} for {} {}\n", escape(source_name(*file)), rules,
                              rules == 1 ? "rule" : "rules", subjects, subjects == 1 ? "subject" : "subjects"));
  }
  return exit_done;
}

Result<int> verb_diff(Context& context) {
  const auto policy = read_one_policy(context);
  if (!policy) return policy.error();
  const auto filter = context.open();
  if (!filter) return filter.error();
  const auto diff = filter->diff(*policy);
  if (!diff) return diff.error();
  if (context.json()) {
    context.print_json(to_json(*diff));
  } else {
    context.print(diff_lines(*diff, context.colour()));
  }
  return exit_done;
}

Result<int> verb_confirm(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  auto filter = context.open();
  if (!filter) return filter.error();
  if (auto confirmed = filter->confirm(); !confirmed) return confirmed.error();
  context.note("confirmed");
  return exit_done;
}

}  // namespace egress::cli
