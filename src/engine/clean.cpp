// SPDX-License-Identifier: GPL-2.0
#include "engine/clean.hpp"

#include <limits>
#include <vector>

#include "engine/covers.hpp"
#include "engine/index.hpp"
#include "engine/reasons.hpp"
#include "engine/records.hpp"
#include "engine/sieve.hpp"

namespace egress {

namespace {

/// Makes the head of a set say what its rules say. Without room for a shorter list the longer one stays:
/// it only costs time.
void write_head(Tables& tables, RunSpace& space, egress_set& set, const SetSummary& summary) {
  for (std::size_t list = 0; list < EGRESS_LISTS; ++list) {
    if (same_shapes(read_list(tables, set.lists[list]), summary.lists[list])) continue;
    static_cast<void>(write_list(tables, space, set.lists[list], summary.lists[list]));
  }
  if (!same_shapes(read_list(tables, set.refusing), summary.refusing)) {
    static_cast<void>(write_list(tables, space, set.refusing, summary.refusing));
  }
  const std::uint32_t flags = (set.flags & ~std::uint32_t{EGRESS_SET_AUDIT}) | (summary.audit ? EGRESS_SET_AUDIT : 0u);
  if (set.flags != flags) tables.store(set.flags, flags);
  if (set.decides_until != summary.decides_until) tables.store(set.decides_until, summary.decides_until);
}

SetMarks sets_of(Tables& tables, const std::unordered_set<std::uint32_t>& rules) {
  SetMarks sets(tables.sets().size());
  for (const std::uint32_t id : rules) {
    const egress_rule& rule = slot_of(tables, id);
    if (rule.id == id && rule.set < sets.size()) sets[rule.set] = true;
  }
  return sets;
}

/// Those of these sets that have no rules are taken out of their lists, and told.
Result<std::vector<std::uint32_t>> settle_sets(Workbench& bench, const SetMarks& meant,
                                               const std::unordered_set<std::uint32_t>& gone) {
  auto summaries = summarize(bench.tables, meant, gone);
  if (!summaries) return std::move(summaries).error();
  std::vector<std::uint32_t> empty;
  RunSpace space(bench.tables);
  const auto sets = known_sets(bench.tables);
  for (std::uint32_t i = 1; i < sets.size(); ++i) {
    if (!meant[i] || (sets[i].flags & EGRESS_SET_USED) == 0) continue;
    if (const auto summary = summaries->find(i); summary != summaries->end()) {
      write_head(bench.tables, space, sets[i], summary->second);
    } else {
      bench.sets.unlink(i);
      empty.push_back(i);
    }
  }
  return empty;
}

Result<void> free_rule(Tables& tables, std::uint32_t id) {
  if (auto done = tables.erase_counter(EGRESS_COUNTER_RULE | id); !done) return done;
  egress_rule& rule = slot_of(tables, id);
  if (rule.id != id) return {};
  tables.store(rule.id, 0u);
  rule = {};  // nobody is on it any more
  return {};
}

/// Counters of the rules of these sets: of many rules few have one.
Result<void> forget_counters(Workbench& bench, const SetMarks& sets) {
  const auto goes = [&](std::uint64_t id) {
    if (id == 0 || id > std::numeric_limits<std::uint32_t>::max()) return false;
    const egress_rule& rule = slot_of(bench.tables, static_cast<std::uint32_t>(id));
    return rule.id == id && is_of(rule, sets);
  };
  auto counters = bench.tables.read_counters();
  if (!counters) return std::move(counters).error();
  for (const auto& [key, counts] : *counters) {
    static_assert(EGRESS_COUNTER_RULE == 0);
    if (!goes(key)) continue;
    if (auto done = bench.maintenance.beat(); !done) return done;
    if (auto done = bench.tables.erase_counter(key); !done) return done;
  }
  return {};
}

Result<void> forget_records(Workbench& bench, const SetMarks& sets) {
  for (egress_rule& rule : bench.tables.rules()) {
    if (rule.id == 0 || !is_of(rule, sets)) continue;
    if (bench.maintenance.is_due()) {
      if (auto done = bench.maintenance.renew(); !done) return done;
    }
    bench.tables.store(rule.id, 0u);
    rule = {};  // nobody is on it any more
  }
  return {};
}

/// Precondition: no packet stands on it any more.
void free_set(Tables& tables, std::uint32_t index) {
  egress_set& set = tables.sets()[index];
  clear_cover(tables, cover_of(set));
  tables.store(set.flags, 0u);
  set = {};
}

}  // namespace

SetMembers members_of(Tables& tables, const SetMarks& sets, std::size_t most, bool everything) {
  SetMembers members;
  for (const egress_rule& rule : tables.rules()) {
    if (rule.id == 0) continue;
    if (!is_of(rule, sets)) {
      ++members.others;
    } else if (members.count++ <= most) {
      members.ids.push_back(rule.id);
    } else if (everything) {
      break;
    }
  }
  return members;
}

Result<void> clean_sets(Workbench bench, const SetMarks& sets, bool others) {
  if (auto done = unlink_sets(bench.tables, bench.maintenance, sets, others); !done) return done;
  for (std::uint32_t i = 1; i < sets.size(); ++i) {
    if (sets[i]) bench.sets.unlink(i);
  }
  // A packet may stand on a rule, a list or a set that was just taken out. To wait for it once is enough.
  auto waited = bench.names.prune(Names::Prune::Anchors);
  if (!waited) return std::move(waited).error();
  if (!*waited) bench.world.wait_for_readers();
  if (auto done = bench.maintenance.renew(); !done) return done;
  if (auto done = forget_counters(bench, sets); !done) return done;
  if (auto done = forget_records(bench, sets); !done) return done;
  if (auto done = prune_reasons(bench.tables); !done) return done;
  if (others) {
    rebuild_sieve(bench.tables);
  } else {
    clear_sieve(bench.tables);
  }
  for (std::uint32_t i = 1; i < sets.size(); ++i) {
    if (sets[i]) free_set(bench.tables, i);
  }
  if (auto done = bench.maintenance.renew(); !done) return done;
  return bench.sets.prune_policies();
}

Result<void> clean(Workbench bench, const std::unordered_set<std::uint32_t>& rules, Leftovers leftovers) {
  if (auto done = unlink_rules(bench.tables, bench.maintenance, rules); !done) return done;
  const SetMarks meant =
      leftovers == Leftovers::Own ? sets_of(bench.tables, rules) : SetMarks(bench.tables.sets().size(), true);
  auto empty = settle_sets(bench, meant, rules);
  if (!empty) return std::move(empty).error();
  // A packet may stand on a rule, a list or a set that was just taken out.
  bench.world.wait_for_readers();
  if (auto done = bench.maintenance.renew(); !done) return done;
  for (const std::uint32_t id : rules) {
    if (auto done = bench.maintenance.beat(); !done) return done;
    if (auto done = free_rule(bench.tables, id); !done) return done;
  }
  if (auto done = prune_reasons(bench.tables); !done) return done;
  if (!rules.empty()) leave_sieve(bench.tables, rules.size());
  for (const std::uint32_t set : *empty) free_set(bench.tables, set);
  if (auto done = bench.maintenance.renew(); !done) return done;
  const bool any = leftovers == Leftovers::Any;
  if (auto done = bench.names.prune(any ? Names::Prune::Thorough : Names::Prune::Anchors); !done) {
    return std::move(done).error();
  }
  return empty->empty() && !any ? Result<void>() : bench.sets.prune_policies();
}

}  // namespace egress
