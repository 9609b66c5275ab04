// SPDX-License-Identifier: GPL-2.0
#include "engine/engine.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "core/destination_list.hpp"
#include "core/encode.hpp"
#include "engine/apply.hpp"
#include "engine/cut.hpp"
#include "engine/doors.hpp"
#include "engine/reasons.hpp"
#include "engine/records.hpp"
#include "engine/snapshot.hpp"
#include "engine/transaction.hpp"

namespace egress {

namespace {

constexpr std::size_t few_rules = 64;

/// To take whole sets out reads every rule and writes what stays anew: worth it unless this many times as many stay.
constexpr std::size_t sets_at_once = 16;

/// Rules that stop whatever those of the addition could.
Addition widest(const Addition& addition) {
  Addition wide{.subject = addition.subject, .rules = {}, .policy = addition.policy};
  for (const Action action : {Action::Drop, Action::Reject}) {
    const bool of_list = !addition.list.empty() && addition.of_list.action == action;
    if (!of_list && std::ranges::count(addition.rules, action, &RuleSpec::action) == 0) continue;
    wide.rules.emplace_back().action = action;
  }
  return wide;
}

std::string policy_text(const std::optional<std::string>& policy) {
  return policy ? "policy " + *policy : std::string("the policy of no name");
}

Error named_twice(const Destination& destination) { return usage_error(format(destination), "named twice"); }

Result<void> check_addition(const Addition& addition) {
  if (addition.rules.empty() && addition.list.empty()) return usage_error("", "no destination");
  if (addition.policy) {
    if (auto done = check_policy_name(*addition.policy); !done) return done;
  }
  for (const RuleSpec& spec : addition.rules) {
    if (auto done = check_spec(spec); !done) return done;
  }
  if (!addition.list.empty()) {
    // Twice in a list, the index tells.
    if (auto done = check_spec(addition.of_list); !done) return done;
  }
  const auto twice = find_twice(addition.rules, &RuleSpec::destination);
  return twice ? named_twice(addition.rules[twice->second].destination) : Result<void>();
}

/// Whether a list is what a Change takes as such.
bool is_plain(const Addition& addition) {
  return !addition.of_list.no_packet_sockets &&
         std::ranges::all_of(addition.list, [](const Destination& destination) { return is_plain(destination); });
}

/// The same without a list.
Addition told_one_by_one(const Addition& addition) {
  Addition all{addition.subject, rules_of(addition), addition.policy, addition.replace, addition.established};
  all.progress = addition.progress;
  return all;
}

/// Only one change can be taken back at a time, and what it may take back must not change under it.
Result<void> refuse_on_trial(Transaction& transaction, const std::optional<std::string>& policy) {
  auto on_trial = transaction.on_trial(policy);
  if (!on_trial) return std::move(on_trial).error();
  if (!*on_trial) return {};
  return Error{ErrorKind::Refused,
               "",
               policy_text(policy),
               "it waits for its confirmation",
               "egress confirm, or wait until it is taken back",
               0};
}

Error rule_exists(const egress_rule& rule, const Destination& destination, std::uint64_t now) {
  std::string end = "never ends";
  if (rule.expires_at != EGRESS_FOREVER) {
    const std::uint64_t left = rule.expires_at > now ? rule.expires_at - now : 0;
    end = "ends in " + format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(left)));
  }
  return Error{ErrorKind::Failed,
               "",
               format(destination),
               "rule exists: id " + std::to_string(rule.id) + ", " + end,
               "--replace puts the new rule in its place",
               0};
}

Result<Change> plan_addition(Transaction& transaction, const Addition& addition) {
  const SetName place{addition.subject, addition.policy};
  auto set = transaction.set_of(place);
  if (!set) return std::move(set).error();
  Change change;
  change.added.reserve(addition.rules.size());
  for (const RuleSpec& spec : addition.rules) {
    change.added.push_back({place, spec});
    const egress_rule* same = *set ? transaction.rule_for(**set, spec.destination) : nullptr;
    if (same == nullptr) continue;
    if (!addition.replace) return rule_exists(*same, spec.destination, transaction.now_ns());
    change.removed.push_back(same->id);
  }
  if (!addition.list.empty()) {
    const std::uint64_t now = transaction.now_ns();
    const auto in_the_way = [now](const egress_rule& other, const Destination& destination, bool is_new) {
      return is_new ? named_twice(destination) : rule_exists(other, destination, now);
    };
    change.list = NewList{place, addition.of_list, addition.list, addition.replace, in_the_way};
  }
  for (std::size_t i = 0; *set && addition.replace && i < addition.list.size(); ++i) {
    const egress_rule* same = transaction.rule_for(**set, addition.list[i]);
    if (same != nullptr) change.removed.push_back(same->id);
  }
  return change;
}

bool is_selected(const SetName& set, const Selection& selection) {
  if (selection.all) return true;
  if (!selection.subject && !selection.policy) return false;
  if (selection.policy && set.policy != selection.policy) return false;
  return !selection.subject ||
         (set.subject.kind == selection.subject->kind && set.subject.name == selection.subject->name);
}

bool is_selected(const Rule& rule, const Selection& selection) {
  if (std::find(selection.ids.begin(), selection.ids.end(), rule.id) != selection.ids.end()) return true;
  return is_selected(SetName{rule.subject, rule.policy}, selection);
}

Error no_such_rule(RuleId id) {
  return Error{ErrorKind::NotFound,    "", "id " + std::to_string(static_cast<std::uint32_t>(id)), "no such rule",
               "egress ls lists them", 0};
}

Result<void> check_found(const std::vector<Rule>& found, const Selection& selection) {
  for (const RuleId id : selection.ids) {
    if (std::none_of(found.begin(), found.end(), [id](const Rule& rule) { return rule.id == id; })) {
      return no_such_rule(id);
    }
  }
  if (!found.empty() || selection.all) return {};
  const std::string what = selection.subject  ? format(*selection.subject)
                           : selection.policy ? policy_text(selection.policy)
                                              : "selection";
  return Error{ErrorKind::NotFound, "", what, "no rules", "egress ls lists them", 0};
}

/// What is selected, divided by who removes it.
struct Removal {
  std::vector<Rule> rules;
  Change change;
  std::vector<DoorEntry> doors;
};

Removal plan_removal(const Snapshot& snapshot, const Selection& selection) {
  Removal plan;
  for (Rule& rule : snapshot.rules()) {
    if (!is_selected(rule, selection)) continue;
    if (const DoorEntry* door = snapshot.find_door(rule.id)) {
      plan.doors.push_back(*door);
    } else {
      plan.change.removed.push_back(static_cast<std::uint32_t>(rule.id));
    }
    plan.rules.push_back(std::move(rule));
  }
  return plan;
}

/// The places of rules are those of their ids until these begin anew from the first place: most often two runs.
void put_in_order(std::vector<RuleId>& ids) {
  std::rotate(ids.begin(), std::ranges::is_sorted_until(ids), ids.end());
  if (!std::ranges::is_sorted(ids)) std::ranges::sort(ids);
}

std::vector<RuleId> as_rule_ids(const std::vector<std::uint32_t>& ids) {
  std::vector<RuleId> typed;
  typed.reserve(ids.size());
  for (const std::uint32_t id : ids) typed.push_back(RuleId{id});
  return typed;
}

Result<void> carry_out(Tables& tables, Transaction& transaction, const Removal& plan) {
  DoorRemoval doors(tables);
  if (auto done = doors.remove(plan.doors); !done) return done;
  if (auto done = transaction.commit(plan.change); !done) {
    doors.undo();
    return std::move(done).error();
  }
  // Counters of rules that are gone count nothing; one that stays is taken by the kernel's sweep or reused.
  for (const DoorEntry& door : plan.doors) static_cast<void>(tables.erase_counter(EGRESS_COUNTER_DOOR | door.key));
  return {};
}

Result<void> refuse_any_on_trial(Transaction& transaction, const std::vector<Rule>& rules) {
  std::set<std::optional<std::string>> policies;
  for (const Rule& rule : rules) {
    if (rule.origin == Rule::Origin::Command) policies.insert(rule.policy);
  }
  for (const auto& policy : policies) {
    if (auto done = refuse_on_trial(transaction, policy); !done) return done;
  }
  return {};
}

/// What must wait for the flip: rules that stay get their new deadlines and reasons. The policy is in force by
/// then, so a reason that cannot be stored is no failure of it.
Result<void> refresh(Tables& tables, Transaction& transaction, const ApplyPlan& plan) {
  Reasons reasons(tables);
  for (const auto& [id, reason] : plan.reasons) {
    egress_rule& record = slot_of(tables, id);
    const auto number = reasons.number_of(reason);
    if (number && record.id == id) store_reason(tables, record, *number);
  }
  if (!plan.reasons.empty()) static_cast<void>(prune_reasons(tables));
  return transaction.set_deadlines(plan.deadlines);
}

void fill_ids(PolicyDiff& diff, const std::vector<RuleId>& ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto& entries = i < diff.added.size() ? diff.added : diff.kept;
    entries[i < diff.added.size() ? i : i - diff.added.size()].id = ids[i];
  }
}

}  // namespace

std::vector<RuleSpec> rules_of(const Addition& addition) {
  std::vector<RuleSpec> rules = addition.rules;
  for (const Destination& destination : addition.list) {
    rules.push_back(addition.of_list);
    rules.back().destination = destination;
  }
  return rules;
}

Result<std::vector<RuleId>> Engine::add(const Addition& addition) {
  if (!addition.list.empty() && !is_plain(addition)) return add(told_one_by_one(addition));
  if (auto done = check_addition(addition); !done) return std::move(done).error().in("add rule");
  auto transaction = Transaction::begin(tables_, world_);
  if (!transaction) return std::move(transaction).error().in("add rule");
  if (auto done = refuse_on_trial(**transaction, addition.policy); !done) return std::move(done).error().in("add rule");
  auto change = plan_addition(**transaction, addition);
  if (!change) return std::move(change).error().in("add rule");
  change->progress = addition.progress;
  if (!change->removed.empty()) bring_all(tables_);
  Cutter cutter(world_, addition.established);
  if (auto done = cutter.prepare(tables_, addition); !done) return std::move(done).error().in("add rule");
  auto ids = (*transaction)->commit(*change, [&cutter] { cutter.cut(); });
  if (!ids) return cutter.told_in(std::move(ids).error()).in("add rule");
  cut_ = cutter.cut_again();
  return ids;
}

Result<std::vector<Rule>> Engine::remove(const Selection& selection) {
  auto removed = remove(selection, std::numeric_limits<std::size_t>::max());
  if (!removed) return std::move(removed).error();
  return std::move(removed->rules);
}

Result<Removed> Engine::remove(const Selection& selection, std::size_t most_told) {
  auto transaction = Transaction::begin(tables_, world_);
  if (!transaction) return std::move(transaction).error().in("remove rule");
  bring_all(tables_);
  // A trial may hold rules that no selection finds, and that come back.
  const bool whole_sets = selection.ids.empty() && !(*transaction)->trial_is_open();
  auto removed = whole_sets ? remove_sets(**transaction, selection, most_told) : remove_some(**transaction, selection);
  if (!removed) return std::move(removed).error().in("remove rule");
  return removed;
}

Result<Removed> Engine::remove_some(Transaction& transaction, const Selection& selection) {
  const bool by_id = !selection.all && !selection.subject && !selection.policy;
  const auto only = by_id ? std::optional(std::span<const RuleId>(selection.ids)) : std::nullopt;
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing, only);
  if (!snapshot) return std::move(snapshot).error();
  Removal plan = plan_removal(*snapshot, selection);
  if (auto done = check_found(plan.rules, selection); !done) return std::move(done).error();
  if (auto done = refuse_any_on_trial(transaction, plan.rules); !done) return std::move(done).error();
  if (auto done = carry_out(tables_, transaction, plan); !done) return std::move(done).error();
  Removed removed{{}, std::move(plan.rules)};
  for (const Rule& rule : removed.rules) removed.ids.push_back(rule.id);
  return removed;
}

/// Everything of a subject or a policy, or everything: no rule is looked at but for its set.
Result<Removed> Engine::remove_sets(Transaction& transaction, const Selection& selection, std::size_t most_told) {
  auto sets = transaction.sets_where([&selection](const SetName& name) { return is_selected(name, selection); });
  if (!sets) return std::move(sets).error();
  const SetMembers members = members_of(tables_, *sets, most_told, selection.all);
  const bool told = members.ids.size() <= most_told;
  const std::vector<RuleId> wanted = told ? as_rule_ids(members.ids) : std::vector<RuleId>();
  // With the rules of other tools in any case.
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing, std::span<const RuleId>(wanted));
  if (!snapshot) return std::move(snapshot).error();
  Removal plan = plan_removal(*snapshot, selection);
  if (members.count == 0 && plan.doors.empty()) {
    if (auto done = check_found({}, selection); !done) return std::move(done).error();
  }
  plan.change.removed.clear();
  if (members.count < members.others / sets_at_once) {
    plan.change.removed = rules_where(tables_, [&](const egress_rule& rule) { return is_of(rule, *sets); });
  } else if (members.count != 0) {
    plan.change.removed_sets = *sets;
    plan.change.others = members.others != 0;
  }
  if (auto done = carry_out(tables_, transaction, plan); !done) return std::move(done).error();
  Removed removed{plan.change.removed.empty() ? transaction.take_gone() : as_rule_ids(plan.change.removed), {}};
  for (const DoorEntry& door : plan.doors) removed.ids.push_back(door.rule.id);
  put_in_order(removed.ids);
  if (told) removed.rules = std::move(plan.rules);
  return removed;
}

Result<Rule> Engine::extend(RuleId id, Lifetime lifetime) {
  if (auto done = check_lifetime(lifetime); !done) return std::move(done).error().in("extend rule");
  auto transaction = Transaction::begin(tables_, world_);
  if (!transaction) return std::move(transaction).error().in("extend rule");
  bring_all(tables_);
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing, std::span<const RuleId>(&id, 1));
  if (!snapshot) return std::move(snapshot).error().in("extend rule");
  const Rule* found = snapshot->find(id);
  if (found == nullptr) return no_such_rule(id).in("extend rule");
  Rule rule = *found;
  const BootTime now = (*transaction)->now();
  if (const DoorEntry* door = snapshot->find_door(id)) {
    if (auto done = extend_door(tables_, *door, lifetime, now); !done) return std::move(done).error().in("extend rule");
    rule.created_at = now;
  } else {
    if (auto done = refuse_any_on_trial(**transaction, {rule}); !done) return std::move(done).error().in("extend rule");
    const Transaction::Deadline deadline{static_cast<std::uint32_t>(id), encode_expiry(now, lifetime)};
    if (auto done = (*transaction)->set_deadlines({&deadline, 1}); !done) {
      return std::move(done).error().in("extend rule");
    }
  }
  rule.expires_at.reset();
  if (lifetime) rule.expires_at = BootTime{now.since_boot + *lifetime};
  return rule;
}

Result<PolicyDiff> Engine::apply(const Policy& policy, const ApplyOptions& options) {
  const bool on_trial = options.confirm_within.has_value();
  if (auto done = check_lifetime(options.confirm_within); !done) return std::move(done).error().in("apply policy");
  auto transaction = Transaction::begin(tables_, world_);
  if (!transaction) return std::move(transaction).error().in("apply policy");
  bring_all(tables_);
  if (auto done = refuse_on_trial(**transaction, policy.name); !done) return std::move(done).error().in("apply policy");
  if (on_trial && (*transaction)->trial_is_open()) {
    return Error{ErrorKind::Refused,
                 "apply policy",
                 policy.name,
                 "another policy waits for its confirmation",
                 "egress confirm, or wait until it is taken back",
                 0};
  }
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing);
  if (!snapshot) return std::move(snapshot).error().in("apply policy");
  auto plan = plan_apply(*snapshot, policy, on_trial);
  if (!plan) return std::move(plan).error().in("apply policy");
  if (on_trial) {
    const auto deadline = (*transaction)->now().since_boot + *options.confirm_within;
    plan->change.trial_deadline = static_cast<std::uint64_t>(deadline.count());
  }
  plan->change.progress = options.progress;
  Cutter cutter(world_, options.established);
  cutter.prepare(policy);
  auto ids = (*transaction)->commit(plan->change, [&cutter] { cutter.cut(); });
  if (!ids) return cutter.told_in(std::move(ids).error()).in("apply policy");
  cut_ = cutter.cut_again();
  if (auto done = refresh(tables_, **transaction, *plan); !done) return std::move(done).error().in("apply policy");
  fill_ids(plan->diff, *ids);
  return std::move(plan->diff);
}

Result<void> Engine::confirm() {
  auto transaction = Transaction::begin(tables_, world_);
  if (!transaction) return std::move(transaction).error().in("confirm");
  bring_all(tables_);
  if (!(*transaction)->trial_is_open()) {
    return Error{ErrorKind::NotFound,
                 "confirm",
                 "",
                 "no policy waits for its confirmation",
                 "its time may have run out: egress ls shows the rules in force",
                 0};
  }
  return (*transaction)->confirm_trial();
}

Result<void> Engine::maintain() {
  auto transaction = Transaction::begin(tables_, world_);
  return transaction ? Result<void>() : Result<void>(std::move(transaction).error());
}

Result<std::vector<Rule>> Engine::rules() const {
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing);
  if (!snapshot) return std::move(snapshot).error().in("list rules");
  return std::move(*snapshot).rules();
}

Result<Reach> Engine::reach(const Addition& addition, std::span<const Socket> supposed,
                            const std::function<bool()>& wants_stopped) const {
  // Most often there is no socket at all that rules could stop: no reason to think of each of many.
  if (addition.rules.size() + addition.list.size() > few_rules) {
    Reach most = reach_of(world_, draft_of(widest(addition)), supposed, wants_stopped);
    if (most.stopped.empty() && most.foreign.empty()) return most;
  }
  Reach found = reach_of(world_, draft_of(addition), supposed, wants_stopped);
  // Rules that stand beside the new ones can only take sockets out.
  if (found.stopped.empty() && found.foreign.empty()) return found;
  auto prospect = prospect_of(tables_, world_, addition);
  if (!prospect) return std::move(prospect).error().in("look for sockets");
  return reach_of(world_, *prospect, supposed, wants_stopped);
}

Result<Reach> Engine::reach(const Policy& policy, std::span<const Socket> supposed,
                            const std::function<bool()>& wants_stopped) const {
  return reach_of(world_, prospect_of(policy), supposed, wants_stopped);
}

Result<Totals> Engine::totals() const {
  auto stats = tables_.read_stats();
  if (!stats) return std::move(stats).error().in("read totals");
  return Totals{stats->packets_processed, stats->packets_dropped, stats->bytes_dropped};
}

Result<PolicyDiff> Engine::diff(const Policy& policy) const {
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing);
  if (!snapshot) return std::move(snapshot).error().in("compare policy");
  auto plan = plan_apply(*snapshot, policy, /*on_trial=*/false);
  if (!plan) return std::move(plan).error().in("compare policy");
  return std::move(plan->diff);
}

}  // namespace egress
