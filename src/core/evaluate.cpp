// SPDX-License-Identifier: GPL-2.0
#include "core/evaluate.hpp"

#include <algorithm>
#include <tuple>

namespace egress {
namespace {

/// Whether a part of a rule fits the flow. Unknown: the packet does not show what the rule asks for.
enum class Fit { No, Unknown, Yes };

bool is_live(const Rule& rule, BootTime now) { return !rule.expires_at || *rule.expires_at > now; }

bool decides(const Rule& rule) { return rule.action != Action::Audit; }

Fit fit_protocol(const Destination& rule, const Flow& flow) {
  if (!rule.protocol && !rule.ports) return Fit::Yes;
  if (!flow.protocol_known) return Fit::Unknown;
  if (!rule.protocol) return protocol::has_ports(flow.protocol) ? Fit::Yes : Fit::No;
  const bool icmp_of_ipv6 = *rule.protocol == protocol::icmp && flow.destination.family == Family::V6;
  const std::uint8_t wanted = icmp_of_ipv6 ? protocol::icmpv6 : *rule.protocol;
  return flow.protocol == wanted ? Fit::Yes : Fit::No;
}

Fit fit_ports(const Destination& rule, const Flow& flow) {
  if (!rule.ports) return Fit::Yes;
  if (!flow.ports_known) return Fit::Unknown;
  return flow.port && rule.ports->contains(*flow.port) ? Fit::Yes : Fit::No;
}

/// What cannot be read fits rules that drop or audit and never rules that allow: in doubt, closed.
bool matches(const Rule& rule, const Flow& flow) {
  if (flow.neighbour_discovery && !rule.include_nd) return false;
  const Destination& destination = rule.destination;
  if (destination.prefix && !destination.prefix->contains(flow.destination)) return false;
  const Fit fit = std::min(fit_protocol(destination, flow), fit_ports(destination, flow));
  return fit == Fit::Yes || (fit == Fit::Unknown && rule.action != Action::Allow);
}

/// Orders rules from the most specific to the least; never equal for different ids.
auto rank(const Rule& rule) {
  const Destination& destination = rule.destination;
  const int length = destination.prefix ? destination.prefix->length : 0;
  const int width = destination.ports ? destination.ports->last - destination.ports->first : 0;
  const int port_kind = !destination.ports ? 2 : (width == 0 ? 0 : 1);  // exact before range before any
  const int protocol_kind = destination.protocol ? 0 : 1;
  return std::tuple(-length, port_kind, protocol_kind, width, rule.id);
}

std::vector<const Rule*> matching_rules(const JudgedSet& set, const Flow& flow, BootTime now) {
  std::vector<const Rule*> found;
  for (const Rule& rule : set.rules) {
    if (is_live(rule, now) && matches(rule, flow)) found.push_back(&rule);
  }
  std::ranges::sort(found, {}, [](const Rule* rule) { return rank(*rule); });
  return found;
}

bool any_decides(std::span<const JudgedSet> sets, BootTime now) {
  return std::ranges::any_of(sets, [now](const JudgedSet& set) {
    return std::ranges::any_of(set.rules, [now](const Rule& rule) { return is_live(rule, now) && decides(rule); });
  });
}

void decide_by(const Rule& rule, Judgement& judgement) {
  judgement.rule = rule.id;
  judgement.origin = rule.origin;
  if (rule.action == Action::Drop) judgement.verdict = Judgement::Verdict::Drop;
  if (rule.action == Action::Reject) judgement.verdict = Judgement::Verdict::Reject;
}

/// Adds what one set says.
void judge_set(const JudgedSet& set, const Flow& flow, BootTime now, Judgement& judgement) {
  const Rule* decider = nullptr;
  for (const Rule* rule : matching_rules(set, flow, now)) {
    if (!decides(*rule)) {
      judgement.audits.push_back(rule->id);
    } else if (!decider) {
      decider = rule;
    }
  }
  if (!decider) return;
  // The first of several sets that allow is the one to tell about.
  if (decider->action == Action::Allow && judgement.rule) return;
  decide_by(*decider, judgement);
}

}  // namespace

Judgement evaluate(std::span<const JudgedSet> sets, const Flow& flow, BootTime now) {
  Judgement judgement;
  if ((flow.malformed || flow.source_routed) && any_decides(sets, now)) {
    judgement.verdict = Judgement::Verdict::Drop;
    return judgement;
  }
  if (flow.malformed) return judgement;  // nothing to compare audit rules with
  for (std::size_t i = 0; i < sets.size(); ++i) {
    judge_set(sets[i], flow, now, judgement);
    if (judgement.verdict == Judgement::Verdict::Pass) continue;
    judgement.set = i;
    break;
  }
  return judgement;
}

}  // namespace egress
