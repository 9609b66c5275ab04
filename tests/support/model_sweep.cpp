// SPDX-License-Identifier: GPL-2.0
#include "support/model_sweep.hpp"

#include <algorithm>

#include "engine/index.hpp"
#include "engine/records.hpp"

namespace egress::test {
namespace {

void unlink(FakeTables& tables, const egress_rule& rule, egress_chain chain) {
  __u32* before = &chain_head(tables, rule, chain);
  for (int step = 0; step < EGRESS_CHAIN_MAX && *before != 0; ++step) {
    if (*before == rule.id) {
      *before = rule.next[chain];
      return;
    }
    egress_rule& at = slot_of(tables, *before);
    if (at.id != *before) return;
    before = &at.next[chain];
  }
}

void remove(FakeTables& tables, egress_rule& rule) {
  for (const egress_chain chain : chains_of(rule)) unlink(tables, rule, chain);
  tables.counters.erase(EGRESS_COUNTER_RULE | rule.id);
  egress_rule cleared{};
  std::copy(std::begin(rule.next), std::end(rule.next), std::begin(cleared.next));
  rule = cleared;
}

}  // namespace

void sweep_as_the_kernel(FakeTables& tables, const FakeWorld& world) {
  egress_control& control = tables.control();
  const auto now = static_cast<std::uint64_t>(world.now()->since_boot.count());
  std::uint64_t next_deadline = EGRESS_FOREVER;
  if (control.next_deadline > now) return;
  if (control.maintenance == EGRESS_MAINTENANCE_LIBRARY && now < control.lease_until) return;
  for (egress_rule& rule : tables.rules()) {
    if (rule.id == 0) {
      std::fill(std::begin(rule.next), std::end(rule.next), 0);
    } else if (rule.expires_at <= now) {
      remove(tables, rule);
      next_deadline = now;  // come again
    } else {
      next_deadline = std::min<std::uint64_t>(next_deadline, rule.expires_at);
    }
  }
  control.next_deadline = next_deadline;
  ++control.sweeps;
  control.maintenance = EGRESS_MAINTENANCE_FREE;
}

}  // namespace egress::test
