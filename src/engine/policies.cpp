// SPDX-License-Identifier: GPL-2.0
#include <algorithm>
#include <map>
#include <set>

#include "core/encode.hpp"
#include "engine/engine.hpp"
#include "engine/snapshot.hpp"

/// Rules told as policies that apply back to the same rules.
namespace egress {

namespace {

constexpr const char* name_of_no_policy = "unnamed";

/// What is left of a lifetime, so that the policy ends when its rules would have.
RuleSpec spec_from_now(const Rule& rule, BootTime now) {
  RuleSpec spec = spec_of(rule);
  if (rule.expires_at) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(rule.expires_at->since_boot - now.since_boot);
    spec.lifetime = std::max<std::chrono::nanoseconds>(left, std::chrono::seconds(1));
  }
  return spec;
}

bool is_closing(const RuleSpec& spec) {
  return spec.is_default && spec.action == Action::Drop && spec.destination == Destination{};
}

Lifetime most_common_lifetime(const std::vector<RuleSpec>& specs) {
  std::map<Lifetime, std::size_t> count;
  for (const RuleSpec& spec : specs) ++count[spec.lifetime];
  return std::max_element(count.begin(), count.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

bool same_rules(std::vector<RuleSpec> a, std::vector<RuleSpec> b) {
  const auto by_destination = [](const RuleSpec& x, const RuleSpec& y) { return x.destination < y.destination; };
  std::sort(a.begin(), a.end(), by_destination);
  std::sort(b.begin(), b.end(), by_destination);
  return a == b;
}

/// As `default: deny` if a policy file with it says the same rules.
void try_default_deny(Policy& policy) {
  const auto closing = std::find_if(policy.rules.begin(), policy.rules.end(), is_closing);
  if (closing == policy.rules.end()) return;
  Policy denying = policy;
  denying.default_deny = true;
  denying.lifetime = closing->lifetime;
  denying.reason = closing->reason;
  denying.include_nd = closing->include_nd;
  denying.no_packet_sockets = closing->no_packet_sockets;
  for (const bool loopback : {true, false}) {
    denying.loopback = loopback;
    denying.rules = policy.rules;
    std::erase_if(denying.rules,
                  [&](const RuleSpec& spec) { return is_closing(spec) || (loopback && spec.is_loopback); });
    if (!same_rules(denying.expand(), policy.rules)) continue;
    policy = std::move(denying);
    return;
  }
}

/// What a file cannot say: closing rules and exceptions for loopback become plain ones.
void make_plain(std::vector<RuleSpec>& rules) {
  for (RuleSpec& rule : rules) rule.is_default = rule.is_loopback = false;
}

Policy policy_of(const OwnSet& set, BootTime now) {
  Policy policy;
  policy.subjects = {set.name.subject};
  for (const Rule& rule : set.rules) policy.rules.push_back(spec_from_now(rule, now));
  policy.lifetime = most_common_lifetime(policy.rules);
  policy.reason = policy.rules.front().reason;
  try_default_deny(policy);
  make_plain(policy.rules);
  return policy;
}

bool alike(const Policy& a, const Policy& b) {
  return a.default_deny == b.default_deny && a.lifetime == b.lifetime && a.reason == b.reason &&
         a.loopback == b.loopback && a.include_nd == b.include_nd && a.no_packet_sockets == b.no_packet_sockets &&
         same_rules(a.rules, b.rules);
}

/// NAME, or NAME-2, NAME-3, … whichever is free; shortened to what a policy's name may have.
std::string free_name(const std::string& name, std::set<std::string>& taken) {
  std::string candidate = name;
  for (int number = 2; !taken.insert(candidate).second; ++number) {
    const std::string suffix = "-" + std::to_string(number);
    candidate = name.substr(0, EGRESS_TEXT_MAX - 1 - suffix.size()) + suffix;
  }
  return candidate;
}

}  // namespace

Result<std::vector<Policy>> Engine::policies() const {
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing);
  if (!snapshot) return std::move(snapshot).error().in("list policies");
  std::map<std::optional<std::string>, std::vector<Policy>> groups;
  for (const OwnSet& set : snapshot->sets) {
    Policy policy = policy_of(set, snapshot->now);
    auto& group = groups[set.name.policy];
    const auto same = std::find_if(group.begin(), group.end(), [&](const Policy& p) { return alike(p, policy); });
    if (same == group.end()) {
      group.push_back(std::move(policy));
    } else {
      same->subjects.push_back(set.name.subject);
    }
  }
  std::set<std::string> taken;
  std::vector<Policy> all;
  // The first of each group has the name itself, before any other could take it.
  for (auto& [name, group] : groups) {
    if (name) taken.insert(*name);
  }
  for (auto& [name, group] : groups) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      group[i].name = name && i == 0 ? *name : free_name(name.value_or(name_of_no_policy), taken);
      all.push_back(std::move(group[i]));
    }
  }
  return all;
}

}  // namespace egress
