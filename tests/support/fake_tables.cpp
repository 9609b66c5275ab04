// SPDX-License-Identifier: GPL-2.0
#include "support/fake_tables.hpp"

#include <algorithm>

namespace egress::test {

void Faults::before_write() {
  if (dead_) throw Killed{};
  ++writes_;
  if (writes_ == stop_at_) meanwhile_();
  if (writes_ != kill_at_) return;
  dead_ = true;
  throw Killed{};
}

Result<void> Faults::before_table_write() {
  before_write();
  if (++table_writes_ != fail_at_) return {};
  ++failures_;
  return Error{ErrorKind::Failed, "", "map", "injected", "", 12};
}

FakeTables::FakeTables(std::uint32_t max_rules)
    : rules_(max_rules),
      sets_(max_rules + 1),
      shapes_(4 * std::size_t{max_rules}),
      heads_(5),  // few places: many rules share a chain
      sieve_(64),
      covers_(EGRESS_COVER_UNITS),
      anchors_(max_rules + 1),
      anchor_names_(faults, max_rules + 1),
      names_(faults, 4 * std::size_t{max_rules}),
      bindings_(faults, 1024),
      policy_names_(faults, max_rules),
      reasons_(faults, max_rules),
      drop_configs_(faults, max_rules),
      cgroup_rules_(faults, max_rules) {
  control_.next_id = 1;
  control_.next_node = 2;
  control_.trial_deadline = EGRESS_FOREVER;
  control_.next_deadline = EGRESS_FOREVER;
}

void FakeTables::store(__u32& word, __u32 value) {
  faults.before_write();
  Tables::store(word, value);
}

void FakeTables::store(__u64& word, __u64 value) {
  faults.before_write();
  Tables::store(word, value);
}

/// Word by word, so that the process can die in the middle of a record.
void FakeTables::store_record(egress_rule& place, const egress_rule& record) {
  using Word [[gnu::may_alias]] = __u32;
  auto* to = reinterpret_cast<Word*>(&place);
  const auto* from = reinterpret_cast<const Word*>(&record);
  for (std::size_t i = 1; i < sizeof record / sizeof *to; ++i) store(to[i], from[i]);
  store(place.id, record.id);
}

bool FakeTables::swap(__u32& word, __u32 from, __u32 to) { return !faults.dead() && Tables::swap(word, from, to); }

Result<void> FakeTables::create_counter(std::uint64_t key) {
  if (auto done = faults.before_table_write(); !done) return done;
  counters.try_emplace(key);
  return {};
}

Result<void> FakeTables::erase_counter(std::uint64_t key) {
  if (auto done = faults.before_table_write(); !done) return done;
  counters.erase(key);
  return {};
}

Result<Counts> FakeTables::read_counter(std::uint64_t key) const {
  const auto found = counters.find(key);
  return found == counters.end() ? Counts{} : found->second;
}

std::string FakeTables::leftovers() const {
  std::string what;
  const auto note = [&what](const char* name, std::size_t count) {
    if (count != 0) what += std::string(name) + ": " + std::to_string(count) + "; ";
  };
  const auto used = [](const auto& records, auto is_used) {
    return static_cast<std::size_t>(std::count_if(records.begin(), records.end(), is_used));
  };
  note("rules", used(rules_, [](const egress_rule& rule) { return rule.id != 0; }));
  note("sets", used(sets_, [](const egress_set& set) { return set.flags != 0; }));
  note("anchors", used(anchors_, [](const egress_anchor& anchor) { return anchor.kind != 0; }));
  note("heads", used(heads_, [](const egress_heads& pair) { return pair.first[0] != 0 || pair.first[1] != 0; }));
  note("anchor names", anchor_names_.size());
  note("names", names_.size());
  note("policy names", policy_names_.size());
  note("reasons", reasons_.size());
  note("counters", counters.size());
  const auto bindings = bindings_.entries();
  for (const auto& [id, binding] : *bindings) {
    note("bound", binding.path_anchor != 0 || binding.unit_anchor != 0 || binding.id_anchor != 0 || binding.node > 1);
  }
  note("sieve", used(sieve_, [](__u64 word) { return word != 0; }));
  note("covers", used(covers_, [](__u64 word) { return word != 0; }));
  note("pending", control_.pending);
  note("maintenance", control_.maintenance);
  return what;
}

}  // namespace egress::test
