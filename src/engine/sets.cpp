// SPDX-License-Identifier: GPL-2.0
#include "engine/sets.hpp"

#include <algorithm>

#include "engine/records.hpp"

namespace egress {

namespace {

bool is_only(const Subject& subject) { return subject.scope == Subject::Scope::Only; }

/// How many sets bear each name, so that the sets of a packet can be added up along its path.
struct Crowd {
  std::map<std::string, std::size_t> paths;
  std::map<std::string, std::size_t> units;

  [[nodiscard]] std::size_t on(const std::string& path) const {
    std::size_t sum = 0;
    for (std::string at = path;; at = parent_path(at)) {
      if (const auto here = paths.find(at); here != paths.end()) sum += here->second;
      if (at == "/") return sum;
      if (const auto here = units.find(components(at).back()); here != units.end()) sum += here->second;
    }
  }
};

}  // namespace

Result<void> Sets::read_policies() {
  if (policies_) return {};
  auto entries = tables_.policy_names().entries();
  if (!entries) return std::move(entries).error();
  policies_.emplace();
  for (const auto& [key, text] : *entries) policies_->emplace(text_of(text), key);
  return {};
}

Result<std::optional<std::uint32_t>> Sets::policy_key(const std::optional<std::string>& name) {
  using Found = std::optional<std::uint32_t>;
  if (!name) return Found(0u);
  if (auto done = read_policies(); !done) return std::move(done).error();
  const auto found = policies_->find(*name);
  return found == policies_->end() ? Found() : Found(found->second);
}

Result<std::uint32_t> Sets::ensure_policy(const std::optional<std::string>& name) {
  auto key = policy_key(name);
  if (!key) return std::move(key).error();
  if (*key) return **key;
  std::unordered_set<std::uint32_t> taken;
  for (const auto& [text, used] : *policies_) taken.insert(used);
  std::uint32_t fresh = 1;
  while (taken.contains(fresh)) ++fresh;
  if (auto done = tables_.policy_names().put(fresh, make_text(*name)); !done) return std::move(done).error();
  policies_->emplace(*name, fresh);
  return fresh;
}

std::vector<std::uint32_t> Sets::of_anchor(std::uint32_t anchor) const {
  std::vector<std::uint32_t> found;
  const auto sets = tables_.sets();
  if (anchor == 0 || anchor >= tables_.anchors().size()) return found;
  std::uint32_t at = load(tables_.anchors()[anchor].first_set);
  while (at != 0 && at < sets.size() && found.size() < sets.size()) {
    found.push_back(at);
    at = load(sets[at].next);
  }
  return found;
}

Result<std::optional<std::uint32_t>> Sets::find(const SetName& name) {
  using Found = std::optional<std::uint32_t>;
  auto anchor = names_.find(name.subject.kind, name.subject.name);
  if (!anchor) return std::move(anchor).error();
  auto policy = policy_key(name.policy);
  if (!policy) return std::move(policy).error();
  if (!*anchor || !*policy) return Found();
  for (const std::uint32_t index : of_anchor(**anchor)) {
    const egress_set& set = tables_.sets()[index];
    if (set.policy == **policy && ((set.flags & EGRESS_SET_ONLY) != 0) == is_only(name.subject)) return Found(index);
  }
  return Found();
}

Result<std::uint32_t> Sets::ensure(const SetName& name) {
  auto found = find(name);
  if (!found) return std::move(found).error();
  if (*found) return **found;
  auto anchor = names_.find(name.subject.kind, name.subject.name);
  if (!anchor) return std::move(anchor).error();
  auto policy = ensure_policy(name.policy);
  if (!policy) return std::move(policy).error();
  const auto sets = tables_.sets();
  while (search_from_ < sets.size() && (sets[search_from_].flags & EGRESS_SET_USED) != 0) ++search_from_;
  if (search_from_ >= sets.size() || !*anchor) {
    return Error{ErrorKind::Failed,
                 "",
                 format(name.subject),
                 "no room for more subjects and policies",
                 "unload, then load with a larger size, which helps up to 65535: egress load --max-rules N",
                 0};
  }
  know_subject(tables_, search_from_);
  egress_set& set = sets[search_from_];
  tables_.store(set.next, 0u);
  tables_.store(set.anchor, **anchor);
  tables_.store(set.policy, *policy);
  for (egress_run& run : set.lists) store_run(tables_, run, {0, 0});
  store_run(tables_, set.refusing, {0, 0});
  tables_.store(set.decides_until, 0ull);
  tables_.store(set.flags, EGRESS_SET_USED | (is_only(name.subject) ? EGRESS_SET_ONLY : 0u));
  const auto before = of_anchor(**anchor);
  tables_.store(before.empty() ? tables_.anchors()[**anchor].first_set : sets[before.back()].next, search_from_);
  return search_from_;
}

Result<std::optional<SetName>> Sets::name_of(std::uint32_t index) {
  using Found = std::optional<SetName>;
  if (index == 0 || index >= tables_.sets().size()) return Found();
  const egress_set set = load_set(tables_.sets()[index]);
  auto subject = names_.subject_of(set.anchor);
  if (!subject) return std::move(subject).error();
  if (!*subject || (set.flags & EGRESS_SET_USED) == 0) return Found();
  SetName name{**subject, std::nullopt};
  if ((set.flags & EGRESS_SET_ONLY) != 0) name.subject.scope = Subject::Scope::Only;
  if (set.policy != 0) {
    auto text = tables_.policy_names().get(set.policy);
    if (!text) return std::move(text).error();
    if (!*text) return Found();
    name.policy = text_of(**text);
  }
  return Found(std::move(name));
}

void Sets::unlink(std::uint32_t set) {
  const auto sets = tables_.sets();
  const std::uint32_t anchor = sets[set].anchor;
  std::uint32_t before = 0;
  for (const std::uint32_t index : of_anchor(anchor)) {
    if (index == set) {
      tables_.store(before == 0 ? tables_.anchors()[anchor].first_set : sets[before].next, sets[set].next);
      return;
    }
    before = index;
  }
}

Result<void> Sets::prune_policies() {
  auto entries = tables_.policy_names().entries();
  if (!entries) return std::move(entries).error();
  std::unordered_set<std::uint32_t> used;
  for (const egress_set& set : known_sets(tables_)) {
    if ((set.flags & EGRESS_SET_USED) != 0) used.insert(set.policy);
  }
  policies_.reset();
  search_from_ = 1;
  for (const auto& [key, text] : *entries) {
    if (used.contains(key)) continue;
    if (auto done = tables_.policy_names().erase(key); !done) return done;
  }
  return {};
}

Result<std::vector<SetName>> Sets::all() {
  std::vector<SetName> found;
  const auto sets = known_sets(tables_);
  for (std::uint32_t i = 1; i < sets.size(); ++i) {
    if ((sets[i].flags & EGRESS_SET_USED) == 0) continue;
    auto name = name_of(i);
    if (!name) return std::move(name).error();
    if (*name) found.push_back(std::move(**name));
  }
  return found;
}

Result<void> Sets::check_depth(std::span<const SetName> added) {
  const auto sets = known_sets(tables_);
  const auto used = static_cast<std::size_t>(std::count_if(
      sets.begin(), sets.end(), [](const egress_set& set) { return (set.flags & EGRESS_SET_USED) != 0; }));
  if (used + added.size() <= EGRESS_SETS_OF_PACKET) return {};
  auto names = all();
  if (!names) return std::move(names).error();
  names->insert(names->end(), added.begin(), added.end());
  std::sort(names->begin(), names->end());
  names->erase(std::unique(names->begin(), names->end()), names->end());
  Crowd crowd;
  for (const SetName& name : *names) {
    if (name.subject.kind == Subject::Kind::Path) ++crowd.paths[name.subject.name];
    if (name.subject.kind == Subject::Kind::Unit) ++crowd.units[name.subject.name];
    if (name.subject.kind != Subject::Kind::Id) continue;
    if (const auto path = world_.path_of(id_of(name.subject))) ++crowd.paths[*path];
  }
  for (const auto& [unit, count] : crowd.units) crowd.paths.try_emplace("/" + unit, 0);
  for (const auto& [path, count] : crowd.paths) {
    if (crowd.on(path) <= EGRESS_SETS_OF_PACKET) continue;
    return Error{ErrorKind::Failed,
                 "",
                 "cgroup " + path,
                 std::to_string(crowd.on(path)) + " policies and subjects would judge its packets; " +
                     std::to_string(EGRESS_SETS_OF_PACKET) + " can",
                 "put rules of one subject into one policy",
                 0};
  }
  return {};
}

}  // namespace egress
