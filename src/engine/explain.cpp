// SPDX-License-Identifier: GPL-2.0
#include <algorithm>
#include <map>
#include <utility>

#include "core/evaluate.hpp"
#include "engine/engine.hpp"
#include "engine/explain.hpp"
#include "engine/snapshot.hpp"

/// Judges a flow by names, as they were given, and not by the bindings that the datapath uses: where both
/// disagree, the bindings are wrong.
namespace egress {

namespace {

/// The sets of one cgroup on the way to the root.
struct Station {
  std::string cgroup;
  std::vector<JudgedSet> own;
  std::vector<JudgedSet> doors;

  [[nodiscard]] std::size_t rules() const {
    std::size_t sum = 0;
    for (const JudgedSet& set : own) sum += set.rules.size();
    for (const JudgedSet& set : doors) sum += set.rules.size();
    return sum;
  }
};

/// The path whose packets are asked about. A subject that does not exist yet is judged as it will be.
Result<std::string> path_of(const World& world, const Subject& subject) {
  if (subject.kind == Subject::Kind::Path) return subject.name;
  if (subject.kind == Subject::Kind::Id) {
    if (const auto path = world.path_of(id_of(subject))) return *path;
    return Error{ErrorKind::NotFound, "", "id " + subject.name, "no such cgroup", "", 0};
  }
  std::vector<std::string> paths;
  for (const CgroupId id : world.cgroups_named(subject.name)) {
    if (auto path = world.path_of(id)) paths.push_back(std::move(*path));
  }
  return paths.empty() ? "/" + subject.name : *std::min_element(paths.begin(), paths.end());
}

bool judges(const SetName& name, Subject::Kind kind, const std::string& text, bool is_leaf) {
  return name.subject.kind == kind && name.subject.name == text &&
         (is_leaf || name.subject.scope == Subject::Scope::Subtree);
}

Station station_at(const Snapshot& snapshot, const World& world, const std::string& path, bool is_leaf) {
  Station station{path, {}, {}};
  const auto id = world.cgroup_at(path);
  std::vector<std::pair<Subject::Kind, std::string>> names{{Subject::Kind::Path, path}};
  if (path != "/") names.emplace_back(Subject::Kind::Unit, components(path).back());
  if (id) names.emplace_back(Subject::Kind::Id, std::to_string(static_cast<std::uint64_t>(*id)));
  for (const auto& [kind, text] : names) {
    for (const OwnSet& set : snapshot.sets) {
      if (judges(set.name, kind, text, is_leaf)) station.own.push_back({set.rules});
    }
  }
  for (const DoorEntry& door : snapshot.doors) {
    if (id && door.cgroup == *id) station.doors.push_back({{door.rule}});
  }
  return station;
}

/// From the cgroup up to the root.
std::vector<Station> stations_of(const Snapshot& snapshot, const World& world, const std::string& leaf) {
  std::vector<Station> stations;
  for (std::string path = leaf;; path = parent_path(path)) {
    stations.push_back(station_at(snapshot, world, path, path == leaf));
    if (path == "/") return stations;
  }
}

Flow flow_to(const Destination& destination) {
  Flow flow;
  if (destination.prefix) flow.destination = destination.prefix->address;
  flow.protocol = destination.protocol.value_or(protocol::tcp);
  if (flow.protocol == protocol::icmp && flow.destination.family == Family::V6) flow.protocol = protocol::icmpv6;
  if (destination.ports) flow.port = destination.ports->first;
  return flow;
}

Explanation::Verdict verdict_of(const Judgement& judgement) {
  switch (judgement.verdict) {
    case Judgement::Verdict::Drop:
      return Explanation::Verdict::Drop;
    case Judgement::Verdict::Reject:
      return Explanation::Verdict::Reject;
    case Judgement::Verdict::Pass:
      break;
  }
  return Explanation::Verdict::Pass;
}

std::vector<JudgedSet> joined(std::vector<JudgedSet> sets, const std::vector<JudgedSet>& more) {
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

/// All own sets from the cgroup to the root are judged before the first rule of another tool.
std::vector<JudgedSet> order_of(const std::vector<Station>& stations) {
  std::vector<JudgedSet> sets;
  for (const Station& station : stations) sets = joined(std::move(sets), station.own);
  for (const Station& station : stations) sets = joined(std::move(sets), station.doors);
  return sets;
}

const Rule* find_rule(const std::vector<JudgedSet>& sets, RuleId id) {
  for (const JudgedSet& set : sets) {
    const auto found = std::find_if(set.rules.begin(), set.rules.end(), [id](const Rule& r) { return r.id == id; });
    if (found != set.rules.end()) return &*found;
  }
  return nullptr;
}

}  // namespace

std::vector<JudgedSet> judged_sets(const Snapshot& snapshot, const World& world, const std::string& leaf) {
  return order_of(stations_of(snapshot, world, leaf));
}

Result<Explanation> Engine::explain(const Subject& subject, const Destination& destination) const {
  if (!destination.prefix || destination.prefix->length != destination.prefix->address.bits()) {
    return usage_error(format(destination), "not one address", "ADDR[:PORT][/PROTO]").in("explain");
  }
  auto snapshot = read_snapshot(tables_, world_, Detail::Listing);
  if (!snapshot) return std::move(snapshot).error().in("explain");
  auto leaf = path_of(world_, subject);
  if (!leaf) return std::move(leaf).error().in("explain");
  const Flow flow = flow_to(destination);
  const std::vector<Station> stations = stations_of(*snapshot, world_, *leaf);
  const std::vector<JudgedSet> sets = order_of(stations);
  const Judgement judgement = evaluate(sets, flow, snapshot->now);
  Explanation explanation;
  explanation.verdict = verdict_of(judgement);
  explanation.audit = judgement.audits;
  if (judgement.rule) {
    if (const Rule* rule = find_rule(sets, *judgement.rule)) explanation.rule = *rule;
  }
  for (const Station& station : stations) {
    const auto here = evaluate(joined(station.own, station.doors), flow, snapshot->now);
    explanation.path.push_back({station.cgroup, station.rules(), verdict_of(here)});
  }
  return explanation;
}

}  // namespace egress
