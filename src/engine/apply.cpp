// SPDX-License-Identifier: GPL-2.0
#include "engine/apply.hpp"

#include <map>
#include <set>

#include "core/destination_list.hpp"
#include "core/encode.hpp"

namespace egress {

namespace {

using Key = std::pair<Subject, Destination>;

std::map<Key, Rule> rules_of_policy(const Snapshot& snapshot, const std::string& policy) {
  std::map<Key, Rule> found;
  for (const OwnSet& set : snapshot.sets) {
    if (set.name.policy != policy) continue;
    for (const Rule& rule : set.rules) found.emplace(Key{rule.subject, rule.destination}, rule);
  }
  return found;
}

bool says_the_same(const Rule& rule, const RuleSpec& spec) {
  return rule.action == spec.action && rule.include_nd == spec.include_nd && rule.is_default == spec.is_default &&
         rule.is_loopback == spec.is_loopback && rule.no_packet_sockets == spec.no_packet_sockets;
}

Result<void> check_policy(const Policy& policy, const std::vector<RuleSpec>& specs) {
  if (auto done = check_policy_name(policy.name); !done) return done;
  if (policy.subjects.empty()) return usage_error("policy " + policy.name, "no subject");
  std::set<Subject> subjects;
  for (const Subject& subject : policy.subjects) {
    if (!subjects.insert(subject).second) return usage_error(format(subject), "named twice");
  }
  for (const RuleSpec& spec : specs) {
    if (auto done = check_spec(spec); !done) return done;
  }
  const auto twice = find_twice(specs, &RuleSpec::destination);
  return twice ? usage_error(format(specs[twice->second].destination), "named twice") : Result<void>();
}

void keep(ApplyPlan& plan, const Rule& rule, const RuleSpec& spec, BootTime now) {
  const auto id = static_cast<std::uint32_t>(rule.id);
  plan.diff.kept.push_back({rule.subject, spec, rule.id});
  plan.deadlines.push_back({id, encode_expiry(now, spec.lifetime)});
  if (rule.reason != spec.reason) plan.reasons.emplace_back(id, spec.reason);
}

}  // namespace

Result<void> check_lifetime(const Lifetime& lifetime) {
  if (!lifetime || (*lifetime > std::chrono::nanoseconds::zero() && *lifetime <= longest_lifetime)) return {};
  return usage_error("lifetime", "must be more than 0 and at most 10 years", "no end is written forever");
}

Result<void> check_spec(const RuleSpec& spec) {
  if (auto done = check_lifetime(spec.lifetime); !done) return done;
  if (spec.no_packet_sockets && spec.action != Action::Drop && spec.action != Action::Reject) {
    return usage_error(format(spec.destination), "a rule that lets packets pass refuses no packet sockets",
                       "say so of drop or reject");
  }
  if (spec.reason.size() < EGRESS_TEXT_MAX) return {};
  return usage_error("reason", "longer than " + std::to_string(EGRESS_TEXT_MAX - 1) + " bytes");
}

Result<void> check_policy_name(const std::string& name) {
  if (!name.empty() && name.size() < EGRESS_TEXT_MAX) return {};
  return usage_error("policy name", name.empty() ? "empty" : "longer than 255 bytes", "1 to 255 bytes");
}

Result<ApplyPlan> plan_apply(const Snapshot& snapshot, const Policy& policy, bool on_trial) {
  const std::vector<RuleSpec> specs = policy.expand();
  if (auto done = check_policy(policy, specs); !done) return std::move(done).error();
  ApplyPlan plan;
  std::vector<NewRule> again;
  auto present = rules_of_policy(snapshot, policy.name);
  for (const Subject& subject : policy.subjects) {
    const SetName place{subject, policy.name};
    for (const RuleSpec& spec : specs) {
      const auto found = present.find({subject, spec.destination});
      if (found == present.end() || !says_the_same(found->second, spec)) {
        plan.change.added.push_back({place, spec});
        plan.diff.added.push_back({subject, spec, std::nullopt});
        continue;
      }
      keep(plan, found->second, spec, snapshot.now);
      if (on_trial) again.push_back({place, spec});
      if (on_trial) plan.change.removed.push_back(static_cast<std::uint32_t>(found->second.id));
      present.erase(found);
    }
  }
  for (const auto& [key, rule] : present) {
    plan.change.removed.push_back(static_cast<std::uint32_t>(rule.id));
    plan.diff.removed.push_back({rule.subject, spec_of(rule), rule.id});
  }
  plan.change.added.insert(plan.change.added.end(), again.begin(), again.end());
  if (on_trial) plan.deadlines.clear();
  if (on_trial) plan.reasons.clear();
  return plan;
}

}  // namespace egress
