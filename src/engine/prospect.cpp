// SPDX-License-Identifier: GPL-2.0
#include "engine/prospect.hpp"

#include <algorithm>
#include <limits>

#include "engine/explain.hpp"
#include "engine/sets.hpp"

namespace egress {

namespace {

bool closes(Action action) { return action == Action::Drop || action == Action::Reject; }

/// A rule as it will be, under an id that no rule has yet. It does not end: nobody waits for that here.
Rule rule_to_come(const RuleSpec& spec, const SetName& place, std::size_t number) {
  Rule rule;
  rule.id = RuleId{std::numeric_limits<std::uint32_t>::max() - static_cast<std::uint32_t>(number)};
  rule.subject = place.subject;
  rule.policy = place.policy;
  rule.action = spec.action;
  rule.destination = spec.destination;
  rule.include_nd = spec.include_nd;
  return rule;
}

OwnSet set_to_come(Prospect& prospect, const SetName& place, const std::vector<RuleSpec>& specs) {
  OwnSet set{place, {}};
  for (const RuleSpec& spec : specs) {
    set.rules.push_back(rule_to_come(spec, place, prospect.fresh.size()));
    prospect.fresh.insert(set.rules.back().id);
  }
  return set;
}

Flow flow_of(const Socket& socket) {
  Flow flow;
  flow.destination = socket.remote;
  flow.protocol = socket.protocol;
  flow.port = socket.remote_port;
  return flow;
}

bool could_match(const Rule& rule, const Socket& socket) {
  return !rule.destination.protocol || *rule.destination.protocol == socket.protocol;
}

}  // namespace

bool Prospect::closes() const { return has(Action::Drop) || has(Action::Reject); }

bool Prospect::has(Action action) const {
  return std::ranges::any_of(after.sets, [&](const OwnSet& set) {
    return std::ranges::any_of(set.rules,
                               [&](const Rule& rule) { return rule.action == action && fresh.contains(rule.id); });
  });
}

Prospect draft_of(const Addition& addition) {
  Prospect prospect;
  prospect.subjects = {addition.subject};
  prospect.after.sets.push_back(set_to_come(prospect, {addition.subject, addition.policy}, rules_of(addition)));
  return prospect;
}

Result<Prospect> prospect_of(Tables& tables, World& world, const Addition& addition) {
  auto snapshot = read_snapshot(tables, world, Detail::Verdict);
  if (!snapshot) return std::move(snapshot).error();
  Prospect prospect = draft_of(addition);
  prospect.after.now = snapshot->now;
  OwnSet& set = prospect.after.sets.front();
  for (const OwnSet& present : snapshot->sets) {
    if (present.name != set.name) continue;
    for (const Rule& rule : present.rules) {
      const bool gives_way = std::ranges::count(addition.rules, rule.destination, &RuleSpec::destination) > 0 ||
                             std::ranges::count(addition.list, rule.destination) > 0;
      if (!gives_way) set.rules.push_back(rule);
    }
  }
  return prospect;
}

Prospect prospect_of(const Policy& policy) {
  Prospect prospect;
  prospect.subjects = policy.subjects;
  const std::vector<RuleSpec> specs = policy.expand();
  for (const Subject& subject : policy.subjects) {
    prospect.after.sets.push_back(set_to_come(prospect, {subject, policy.name}, specs));
  }
  return prospect;
}

const std::vector<JudgedSet>& Prediction::sets_at(const std::string& path) {
  const auto [known, fresh] = sets_.try_emplace(path);
  if (fresh) known->second = judged_sets(prospect_.after, world_, path);
  return known->second;
}

bool Prediction::covers(const std::string& path) { return !sets_at(path).empty(); }

bool Prediction::covers_all() const {
  constexpr CgroupId root_of_the_machine{1};  // kernfs gives its root the id 1
  if (world_.root() != root_of_the_machine) return false;
  return std::ranges::any_of(prospect_.subjects, [](const Subject& subject) {
    const bool names_root = subject.name == (subject.kind == Subject::Kind::Path ? "/" : "1");
    return names_root && subject.kind != Subject::Kind::Unit && subject.scope == Subject::Scope::Subtree;
  });
}

std::optional<Action> Prediction::stops(const std::string& path, const Socket& socket) {
  const Flow flow = flow_of(socket);
  // One set that drops is final, whatever the others say: each is asked alone.
  for (const JudgedSet& set : sets_at(path)) {
    const Judgement judgement = evaluate({&set, 1}, flow, prospect_.after.now);
    const bool stopped = judgement.verdict != Judgement::Verdict::Pass && judgement.rule;
    if (!stopped || !prospect_.fresh.contains(*judgement.rule)) continue;
    return judgement.verdict == Judgement::Verdict::Reject ? Action::Reject : Action::Drop;
  }
  return std::nullopt;
}

bool Prediction::could_stop(const std::string& path, const Socket& socket) {
  return std::ranges::any_of(sets_at(path), [&](const JudgedSet& set) {
    return std::ranges::any_of(set.rules, [&](const Rule& rule) {
      return egress::closes(rule.action) && prospect_.fresh.contains(rule.id) && could_match(rule, socket);
    });
  });
}

std::optional<std::string> Prediction::path_of(const Socket& socket) {
  const auto [known, fresh] = paths_.try_emplace(socket.cgroup);
  if (fresh) known->second = world_.path_of(socket.cgroup);
  return known->second;
}

}  // namespace egress
