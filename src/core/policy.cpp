// SPDX-License-Identifier: GPL-2.0
#include "egress/policy.hpp"

#include <algorithm>
#include <array>

namespace egress {
namespace {

/// 127.0.0.0/8 and ::1.
std::array<Prefix, 2> loopback_prefixes() {
  Prefix ipv4{.address = {.family = Family::V4}, .length = 8};
  ipv4.address.bytes[0] = 127;
  Prefix ipv6{.address = {.family = Family::V6}, .length = 128};
  ipv6.address.bytes[15] = 1;
  return {ipv4, ipv6};
}

bool names(const std::vector<RuleSpec>& rules, const Destination& destination) {
  return std::ranges::find(rules, destination, &RuleSpec::destination) != rules.end();
}

}  // namespace

std::vector<RuleSpec> Policy::expand() const {
  std::vector<RuleSpec> expanded = rules;
  if (!default_deny) return expanded;
  RuleSpec closing{
      .action = Action::Drop, .destination = {}, .lifetime = lifetime, .reason = reason, .include_nd = include_nd};
  closing.is_default = true;
  closing.no_packet_sockets = no_packet_sockets;
  for (const Prefix& prefix : loopback_prefixes()) {
    const Destination destination{.prefix = prefix, .ports = {}, .protocol = {}};
    if (!loopback || names(rules, destination)) continue;
    RuleSpec exception = closing;
    exception.action = Action::Allow;
    exception.destination = destination;
    exception.is_default = false;
    exception.is_loopback = true;
    exception.no_packet_sockets = false;
    expanded.push_back(std::move(exception));
  }
  expanded.push_back(std::move(closing));
  return expanded;
}

}  // namespace egress
