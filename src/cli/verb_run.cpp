// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>
#include <unistd.h>

#include "cli/command.hpp"
#include "cli/rails.hpp"
#include "cli/run_cgroup.hpp"
#include "cli/run_child.hpp"
#include "sys/cgroup.hpp"

namespace egress::cli {
namespace {

/// Longer than any command should take; shorter than for ever, should nobody be left to remove the rules.
constexpr std::chrono::hours run_lifetime{24 * 7};

Result<void> append_rules(std::vector<RuleSpec>& rules, Action action, const std::vector<std::string>& texts,
                          const RuleSpec& pattern) {
  for (const std::string& text : texts) {
    auto destinations = parse_destinations(text);
    if (!destinations) return std::move(destinations).error().in(fmt::format("run --{}", format(action)));
    for (const Destination& destination : *destinations) {
      RuleSpec rule = pattern;
      rule.action = action;
      rule.destination = destination;
      rules.push_back(std::move(rule));
    }
  }
  return {};
}

Result<std::vector<RuleSpec>> named_rules(const Options& options, const RuleSpec& pattern) {
  std::vector<RuleSpec> rules;
  const std::pair<Action, const std::vector<std::string>*> lists[] = {{Action::Drop, &options.drop},
                                                                      {Action::Reject, &options.reject},
                                                                      {Action::Audit, &options.audit},
                                                                      {Action::Allow, &options.allow}};
  for (const auto& [action, texts] : lists) {
    if (auto appended = append_rules(rules, action, *texts, pattern); !appended) return appended.error();
  }
  return rules;
}

/// They all live as long as the command: one of them will do.
Result<void> refuse_packet_sockets(std::vector<RuleSpec>& rules) {
  for (RuleSpec& rule : rules) {
    if (rule.action != Action::Drop && rule.action != Action::Reject) continue;
    rule.no_packet_sockets = true;
    return {};
  }
  return usage_error("--no-packet-sockets", "needs a rule that drops or rejects",
                     "example: egress run --default-deny --no-packet-sockets -- COMMAND")
      .in("run");
}

Result<std::vector<RuleSpec>> rules_of_run(const Options& options) {
  const auto lifetime = parse_lifetime_words("run", options, std::chrono::system_clock::now(), Lifetime{run_lifetime});
  if (!lifetime) return lifetime.error();
  RuleSpec pattern;
  pattern.lifetime = *lifetime;
  pattern.reason = options.reason.value_or("");
  auto rules = named_rules(options, pattern);
  if (!rules) return rules;
  if (rules->empty() && !options.default_deny) {
    return usage_error({}, "no rules", "example: egress run --drop 8.8.8.8 -- COMMAND").in("run");
  }
  if (options.default_deny) {
    Policy policy;
    policy.default_deny = true;
    policy.rules = *std::move(rules);
    policy.lifetime = *lifetime;
    policy.reason = pattern.reason;
    policy.loopback = !options.no_loopback;
    rules = policy.expand();
  }
  for (RuleSpec& rule : *rules) {
    const bool cuts_off = rule.action == Action::Drop || rule.action == Action::Reject;
    rule.include_nd = options.include_nd && cuts_off;
  }
  if (options.no_packet_sockets) {
    if (auto done = refuse_packet_sockets(*rules); !done) return done.error();
  }
  return rules;
}

/// Below the caller's own cgroup, where its limits hold; below the enforced root if that is elsewhere.
std::string parent_path(const CgroupTree& tree) {
  auto own = tree.path_of_process(::getpid());
  return own ? *std::move(own) : std::string("/");
}

/// Tells what could not be undone; the command's own status stays the answer.
void clean_up(const Context& context, Filter& filter, RunCgroup& cgroup, const Subject& subject) {
  if (auto closed = cgroup.close(); !closed) context.note(closed.error().message());
  const auto removed = filter.remove(Selection{{}, subject, std::nullopt, false});
  // They may have ended by themselves.
  if (!removed && removed.error().kind != ErrorKind::NotFound) context.note(removed.error().message());
}

Result<int> run_in(const Context& context, Filter& filter, const CgroupTree& tree, std::vector<RuleSpec> rules) {
  const std::string parent = parent_path(tree);
  const std::string path = fmt::format("{}/egress-run-{}", parent == "/" ? "" : parent, ::getpid());
  const Subject subject{Subject::Kind::Path, path, Subject::Scope::Subtree};
  for (const std::string& warning : neighbour_warnings(rules)) context.note(warning);
  // By name and before the cgroup exists: nothing in it is ever without its rules.
  if (auto added = filter.add({subject, std::move(rules), std::nullopt, true}); !added) return added.error();
  auto cgroup = RunCgroup::create(tree.directory() + path);
  if (!cgroup) {
    (void)filter.remove(Selection{{}, subject, std::nullopt, false});
    return cgroup.error();
  }
  const auto status = run_child(*cgroup, context.options().command);
  clean_up(context, filter, *cgroup, subject);
  if (status || status.error().kind != ErrorKind::NotFound) return status;
  context.note(status.error().message());
  return start_status(status.error().code);
}

}  // namespace

Result<int> verb_run(Context& context) {
  if (context.options().command.empty()) {
    return usage_error({}, "expected \"-- COMMAND\"", "example: egress run --drop 8.8.8.8 -- curl example.org")
        .in("run");
  }
  auto rules = rules_of_run(context.options());
  if (!rules) return rules.error();
  const auto tree = CgroupTree::open(context.instance().cgroup_root);
  if (!tree) return tree.error();
  auto filter = context.open_or_load();
  if (!filter) return filter.error();
  return run_in(context, *filter, *tree, *std::move(rules));
}

}  // namespace egress::cli
