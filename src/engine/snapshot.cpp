// SPDX-License-Identifier: GPL-2.0
#include "engine/snapshot.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/encode.hpp"
#include "engine/records.hpp"

namespace egress {

namespace {

constexpr int attempts = 100;
constexpr std::uint32_t alias_bit = 0x80000000u;  ///< ids of ours stay below

/// Cgroups that bear a name now; each name is looked for once.
class Bearers {
 public:
  explicit Bearers(const World& world) : world_(world) {}

  const std::vector<CgroupId>& of(const Subject& subject) {
    const auto [known, fresh] = known_.try_emplace({subject.kind, subject.name});
    if (fresh) known->second = cgroups_bearing(world_, subject);
    return known->second;
  }

 private:
  const World& world_;
  std::map<std::pair<Subject::Kind, std::string>, std::vector<CgroupId>> known_;
};

using RecordsOfSets = std::map<std::uint32_t, std::vector<egress_rule>>;

/// Records in force at the epoch, by set.
class Collector {
 public:
  Collector(Tables& tables, BootTime now)
      : epoch_(load(tables.control().epoch)),
        trial_deadline_(load(tables.control().trial_deadline)),
        now_(static_cast<std::uint64_t>(now.since_boot.count())) {}

  void add(const egress_rule& record) {
    const std::uint32_t id = load(record.id);
    if (id == 0) return;
    const egress_rule rule = load_rule(record);
    if (rule.id != id || load(record.id) != id) return;
    if (!in_force(rule, epoch_, trial_deadline_, now_)) return;
    if (last_ == nullptr || rule.set != last_set_)
      last_ = &found_[last_set_ = rule.set];  // mostly it is the same again
    last_->push_back(rule);
  }

  [[nodiscard]] RecordsOfSets take() { return std::move(found_); }

 private:
  std::uint32_t epoch_;
  std::uint64_t trial_deadline_;
  std::uint64_t now_;
  RecordsOfSets found_;
  std::uint32_t last_set_ = 0;
  std::vector<egress_rule>* last_ = nullptr;  ///< of last_set_
};

RecordsOfSets collect_all(Tables& tables, BootTime now) {
  Collector collector(tables, now);
  for (const egress_rule& record : tables.rules()) collector.add(record);
  return collector.take();
}

using DropConfigs = std::vector<std::pair<std::uint32_t, drop_config>>;

/// In the order of their keys.
Result<DropConfigs> read_drop_configs(Tables& tables) {
  auto entries = tables.drop_configs().entries();
  if (entries)
    std::sort(entries->begin(), entries->end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return entries;
}

/// Those of these ids, and those whose id another tool uses: its rules are listed under another one then.
RecordsOfSets collect_some(Tables& tables, BootTime now, std::span<const RuleId> ids, const DropConfigs& doors) {
  std::set<std::uint32_t> wanted;
  for (const RuleId id : ids) wanted.insert(static_cast<std::uint32_t>(id));
  for (const auto& [key, config] : doors) wanted.insert(key);
  Collector collector(tables, now);
  for (const std::uint32_t id : wanted) {
    if (load(slot_of(tables, id).id) == id) collector.add(slot_of(tables, id));
  }
  return collector.take();
}

/// Sets of the rules, each anchor's in the order of its list.
std::vector<std::uint32_t> in_order(Tables& tables, const Sets& sets, const RecordsOfSets& found) {
  std::vector<std::uint32_t> order;
  std::set<std::uint32_t> anchors;
  for (const auto& [set, records] : found) {
    if (set >= tables.sets().size()) continue;
    const std::uint32_t anchor = load(tables.sets()[set].anchor);
    if (!anchors.insert(anchor).second) continue;
    for (const std::uint32_t member : sets.of_anchor(anchor)) {
      if (found.contains(member)) order.push_back(member);
    }
  }
  return order;
}

/// What a listing says beside the records: the counts of many rules are read at once.
class Notes {
 public:
  Notes(Tables& tables, std::size_t rules) : tables_(tables), at_once_(rules > 256) {}

  Result<void> add_to(Rule& rule, const egress_rule& record) {
    auto reason = reason_of(record.reason);
    if (!reason) return std::move(reason).error();
    rule.reason = std::move(*reason);
    if (at_once_) {
      if (auto done = read_counts(); !done) return done;
      if (const auto counts = counts_.find(EGRESS_COUNTER_RULE | record.id); counts != counts_.end()) {
        rule.counts = counts->second;
      }
      return {};
    }
    auto counts = tables_.read_counter(EGRESS_COUNTER_RULE | record.id);
    if (!counts) return std::move(counts).error();
    rule.counts = *counts;
    return {};
  }

 private:
  Result<std::string> reason_of(std::uint16_t number) {
    if (number == 0) return std::string();
    if (const auto known = reasons_.find(number); known != reasons_.end()) return known->second;
    auto text = tables_.reasons().get(number);
    if (!text) return std::move(text).error();
    return reasons_.emplace(number, *text ? text_of(**text) : std::string()).first->second;
  }

  Result<void> read_counts() {
    if (std::exchange(read_, true)) return {};
    auto counters = tables_.read_counters();
    if (!counters) return std::move(counters).error();
    counts_.insert(counters->begin(), counters->end());
    return {};
  }

  Tables& tables_;
  bool at_once_;
  bool read_ = false;
  std::unordered_map<std::uint16_t, std::string> reasons_;
  std::unordered_map<std::uint64_t, Counts> counts_;
};

Result<std::vector<Rule>> decode_all(Notes& notes, const SetName& name, std::vector<egress_rule>& records,
                                     Detail detail) {
  std::vector<Rule> rules;
  rules.reserve(records.size());
  if (!std::ranges::is_sorted(records, {}, &egress_rule::id)) std::ranges::sort(records, {}, &egress_rule::id);
  for (const egress_rule& record : records) {
    auto rule = decode_rule(record);
    if (!rule) return std::move(rule).error();
    rule->subject = name.subject;
    rule->policy = name.policy;
    if (detail == Detail::Listing) {
      if (auto done = notes.add_to(*rule, record); !done) return std::move(done).error();
    }
    rules.push_back(std::move(*rule));
  }
  return rules;
}

Result<std::vector<OwnSet>> read_own(Tables& tables, World& world, RecordsOfSets found, Detail detail) {
  Names names(tables, world);
  Sets sets(tables, world, names);
  std::size_t count = 0;
  for (const auto& [set, records] : found) count += records.size();
  Notes notes(tables, count);
  std::vector<OwnSet> own;
  for (const std::uint32_t index : in_order(tables, sets, found)) {
    auto name = sets.name_of(index);
    if (!name) return std::move(name).error();
    if (!*name) continue;
    const Subject& subject = (*name)->subject;
    if (subject.kind == Subject::Kind::Id && has_ended(tables, world, id_of(subject))) continue;
    // A rule that was swept meanwhile may have left its set to another subject.
    auto& records = found[index];
    std::erase_if(records, [&](const egress_rule& rule) { return load(slot_of(tables, rule.id).id) != rule.id; });
    if (records.empty()) continue;
    auto rules = decode_all(notes, **name, records, detail);
    if (!rules) return std::move(rules).error();
    own.push_back({std::move(**name), std::move(*rules)});
  }
  return own;
}

/// Complete: cgroup_rules names the rule under the cgroup id that the rule itself holds.
Result<bool> is_complete(Tables& tables, std::uint32_t key, const drop_config& config) {
  if (config.cgroup_id == 0 || config.dst_ip == 0 || (config.flags & DROP_CONFIG_CANARY) != 0) return false;
  auto named = tables.cgroup_rules().get(config.cgroup_id);
  if (!named) return std::move(named).error();
  return *named == key;
}

Result<std::vector<DoorEntry>> read_doors(Tables& tables, BootTime now, Detail detail, const DropConfigs& entries) {
  std::vector<DoorEntry> doors;
  for (const auto& [key, config] : entries) {
    auto complete = is_complete(tables, key, config);
    if (!complete) return std::move(complete).error();
    const DoorRule door = decode_door(config);
    if (!*complete || (door.expires_at && *door.expires_at <= now)) continue;
    DoorEntry entry{key, door.cgroup, {}};
    entry.rule.id = RuleId{key};
    entry.rule.subject = {Subject::Kind::Id, std::to_string(config.cgroup_id), Subject::Scope::Subtree};
    entry.rule.destination = door.destination;
    entry.rule.created_at = door.created_at;
    entry.rule.expires_at = door.expires_at;
    entry.rule.origin = Rule::Origin::Map;
    if (detail == Detail::Listing) {
      auto counts = tables.read_counter(EGRESS_COUNTER_DOOR | key);
      if (!counts) return std::move(counts).error();
      entry.rule.counts = *counts;
    }
    doors.push_back(std::move(entry));
  }
  return doors;
}

/// Rules of other tools whose id is taken are listed under one that is not.
void give_aliases(Snapshot& snapshot) {
  if (snapshot.doors.empty()) return;
  std::set<std::uint32_t> taken;
  for (const OwnSet& set : snapshot.sets) {
    for (const Rule& rule : set.rules) taken.insert(static_cast<std::uint32_t>(rule.id));
  }
  std::set<std::uint32_t> keys;
  for (const DoorEntry& door : snapshot.doors) keys.insert(door.key);
  for (DoorEntry& door : snapshot.doors) {
    std::uint32_t id = door.key;
    if (id == 0 || taken.contains(id)) {
      id |= alias_bit;
      while (taken.contains(id) || keys.contains(id)) id = (id + 1) | alias_bit;
    }
    taken.insert(id);
    door.rule.id = RuleId{id};
  }
}

void name_cgroups(Snapshot& snapshot, const World& world) {
  Bearers bearers(world);
  for (OwnSet& set : snapshot.sets) {
    const auto& cgroups = bearers.of(set.name.subject);
    for (Rule& rule : set.rules) rule.cgroups = cgroups;
  }
  for (DoorEntry& door : snapshot.doors) door.rule.cgroups = bearers.of(door.rule.subject);
}

}  // namespace

std::vector<CgroupId> cgroups_bearing(const World& world, const Subject& subject) {
  if (subject.kind == Subject::Kind::Unit) return world.cgroups_named(subject.name);
  std::optional<CgroupId> id;
  if (subject.kind == Subject::Kind::Path) {
    id = world.cgroup_at(subject.name);
  } else {
    if (world.path_of(id_of(subject))) id = id_of(subject);
  }
  return id ? std::vector{*id} : std::vector<CgroupId>{};
}

std::vector<Rule> Snapshot::rules() const& { return Snapshot(*this).rules(); }

std::vector<Rule> Snapshot::rules() && {
  std::vector<Rule> all;
  if (sets.size() == 1) all = std::move(sets.front().rules);
  for (std::size_t i = sets.size() == 1 ? 1 : 0; i < sets.size(); ++i)
    std::ranges::move(sets[i].rules, std::back_inserter(all));
  for (DoorEntry& door : doors) all.push_back(std::move(door.rule));
  if (!std::ranges::is_sorted(all, {}, &Rule::id)) std::ranges::sort(all, {}, &Rule::id);
  return all;
}

const Rule* Snapshot::find(RuleId id) const {
  for (const OwnSet& set : sets) {
    for (const Rule& rule : set.rules) {
      if (rule.id == id) return &rule;
    }
  }
  const DoorEntry* door = find_door(id);
  return door == nullptr ? nullptr : &door->rule;
}

const DoorEntry* Snapshot::find_door(RuleId id) const {
  const auto found =
      std::find_if(doors.begin(), doors.end(), [id](const DoorEntry& door) { return door.rule.id == id; });
  return found == doors.end() ? nullptr : &*found;
}

Result<Snapshot> read_snapshot(Tables& tables, World& world, Detail detail,
                               std::optional<std::span<const RuleId>> only) {
  auto now = world.now();
  if (!now) return std::move(now).error();
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const std::uint32_t epoch = load(tables.control().epoch);
    const auto entries = read_drop_configs(tables);
    if (!entries) return entries.error();
    auto found = only ? collect_some(tables, *now, *only, *entries) : collect_all(tables, *now);
    auto sets = read_own(tables, world, std::move(found), detail);
    if (!sets) return std::move(sets).error();
    if (load(tables.control().epoch) != epoch) continue;  // a change came between: neither old nor new
    auto doors = read_doors(tables, *now, detail, *entries);
    if (!doors) return std::move(doors).error();
    Snapshot snapshot{*now, std::move(*sets), std::move(*doors)};
    give_aliases(snapshot);
    if (detail == Detail::Listing) name_cgroups(snapshot, world);
    return snapshot;
  }
  return Error{ErrorKind::Failed, "read rules", "", "they change faster than they can be read", "try again", 0};
}

}  // namespace egress
