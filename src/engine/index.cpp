// SPDX-License-Identifier: GPL-2.0
#include "engine/index.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/records.hpp"

namespace egress {

namespace {

constexpr int rebuild_attempts = 8;

struct KeyOrder {
  bool operator()(const egress_member_key& a, const egress_member_key& b) const {
    return std::memcmp(&a, &b, sizeof a) < 0;
  }
};

/// Rules that share one chain.
struct ChainGroup {
  egress_chain chain;
  std::vector<std::uint32_t> ids;
};
using ChainGroups = std::map<egress_member_key, ChainGroup, KeyOrder>;

template <typename Ids>
Result<ChainGroups> group_by_chain(Tables& tables, Maintenance& maintenance, const Ids& ids) {
  ChainGroups groups;
  for (const std::uint32_t id : ids) {
    if (auto done = maintenance.beat(); !done) return std::move(done).error();
    if (slot_of(tables, id).id != id) continue;
    auto places = chains_of(slot_of(tables, id));
    if (!places) return places.error();
    for (const ChainPlace& place : *places) {
      auto& group = groups.try_emplace(place.key, ChainGroup{place.chain, {}}).first->second;
      group.ids.push_back(id);
    }
  }
  return groups;
}

/// A position in one chain: the rule before it, if any, and the one after.
class ChainCursor {
 public:
  ChainCursor(Tables& tables, const egress_member_key& key, egress_chain chain, std::uint32_t head)
      : tables_(tables), key_(key), chain_(chain), here_(head), had_head_(head != 0) {}

  /// The rule here; null at the end. A sweep clears the id of a rule and leaves its links: such a hole is
  /// passed over. A link to a slot that has another rule ends the chain.
  [[nodiscard]] egress_rule* here() {
    for (; here_ != 0 && steps_ <= tables_.rules().size(); ++steps_) {
      egress_rule& rule = slot_of(tables_, here_);
      if (rule.id == here_) return &rule;
      here_ = rule.id == 0 ? rule.next[chain_] : 0;
    }
    return nullptr;
  }

  void step_over() {
    before_ = here();
    skip();
  }

  /// Goes on without the rule here; close() must follow before the next step_over().
  void skip() {
    here_ = here()->next[chain_];
    ++steps_;
  }

  Result<void> insert(egress_rule& rule) {
    tables_.store(rule.next[chain_], here() == nullptr ? 0 : here_);
    auto done = point_at(rule.id);
    before_ = &rule;
    return done;
  }

  /// Makes the rule before lead to the one here.
  Result<void> close() { return point_at(here() == nullptr ? 0 : here_); }

 private:
  Result<void> point_at(std::uint32_t id) {
    if (before_ != nullptr) {
      tables_.store(before_->next[chain_], id);
      return {};
    }
    if (id != 0) return tables_.members().put(key_, egress_member{id, 0});
    return had_head_ ? tables_.members().erase(key_) : Result<void>();
  }

  Tables& tables_;
  const egress_member_key& key_;
  egress_chain chain_;
  std::uint32_t here_;
  bool had_head_;
  egress_rule* before_ = nullptr;
  std::size_t steps_ = 0;
};

Result<ChainCursor> open_chain(Tables& tables, const egress_member_key& key, egress_chain chain) {
  auto member = tables.members().get(key);
  if (!member) return std::move(member).error();
  return ChainCursor(tables, key, chain, *member ? (*member)->head : 0);
}

void sort_chain(Tables& tables, std::vector<std::uint32_t>& ids) {
  std::sort(ids.begin(), ids.end(),
            [&](std::uint32_t a, std::uint32_t b) { return comes_before(slot_of(tables, a), slot_of(tables, b)); });
}

Result<void> link_chain(Tables& tables, const egress_member_key& key, ChainGroup& group) {
  sort_chain(tables, group.ids);
  auto cursor = open_chain(tables, key, group.chain);
  if (!cursor) return std::move(cursor).error();
  for (const std::uint32_t id : group.ids) {
    egress_rule& rule = slot_of(tables, id);
    while (cursor->here() != nullptr && comes_before(*cursor->here(), rule)) cursor->step_over();
    if (auto done = cursor->insert(rule); !done) return done;
  }
  return {};
}

Result<void> unlink_chain(Tables& tables, const egress_member_key& key, egress_chain chain,
                          const std::unordered_set<std::uint32_t>& ids) {
  auto cursor = open_chain(tables, key, chain);
  if (!cursor) return std::move(cursor).error();
  while (cursor->here() != nullptr) {
    if (!ids.contains(cursor->here()->id)) {
      cursor->step_over();
      continue;
    }
    while (cursor->here() != nullptr && ids.contains(cursor->here()->id)) cursor->skip();
    if (auto done = cursor->close(); !done) return done;
  }
  return {};
}

/// From the last rule to the first: a reader on its way meets every rule that stays.
Result<void> write_chain(Tables& tables, const egress_member_key& key, ChainGroup& group) {
  sort_chain(tables, group.ids);
  std::uint32_t next = 0;
  for (auto id = group.ids.rbegin(); id != group.ids.rend(); ++id) {
    tables.store(slot_of(tables, *id).next[group.chain], next);
    next = *id;
  }
  return next == 0 ? tables.members().erase(key) : tables.members().put(key, egress_member{next, 0});
}

/// Writes these chains from the records alone, whatever the links say, without the rules `gone`.
Result<void> rebuild_chains(Tables& tables, Maintenance& maintenance, ChainGroups& chains,
                            const std::unordered_set<std::uint32_t>& gone) {
  for (auto& [key, group] : chains) group.ids.clear();
  for (const egress_rule& rule : tables.rules()) {
    if (auto done = maintenance.beat(); !done) return done;
    if (rule.id == 0 || gone.contains(rule.id)) continue;
    auto places = chains_of(rule);
    if (!places) return std::move(places).error();
    for (const ChainPlace& place : *places) {
      if (const auto chain = chains.find(place.key); chain != chains.end()) chain->second.ids.push_back(rule.id);
    }
  }
  for (auto& [key, group] : chains) {
    if (auto done = maintenance.beat(); !done) return done;
    if (auto done = write_chain(tables, key, group); !done) return done;
  }
  return {};
}

bool has_ports(const egress_member_key& key) { return (key.set_kind & (EGRESS_KIND_EXACT | EGRESS_KIND_RANGE)) != 0; }

}  // namespace

Result<std::vector<ChainPlace>> chains_of(const egress_rule& rule) {
  auto decoded = decode_rule(rule);
  if (!decoded) return std::move(decoded).error();
  const Destination& destination = decoded->destination;
  std::vector<ChainPlace> places;
  for (const Family family : families(destination)) {
    places.push_back({chain_of(family, false), member_key(rule.set, destination, family)});
    if (has_mark(destination)) places.push_back({chain_of(family, true), mark_key(rule.set, destination, family)});
  }
  return places;
}

Result<void> link_rules(Tables& tables, Maintenance& maintenance, std::span<const std::uint32_t> ids) {
  auto groups = group_by_chain(tables, maintenance, ids);
  if (!groups) return std::move(groups).error();
  for (auto& [key, group] : *groups) {
    if (auto done = maintenance.beat(); !done) return done;
    if (auto done = link_chain(tables, key, group); !done) return done;
  }
  return {};
}

Result<void> unlink_rules(Tables& tables, Maintenance& maintenance, const std::unordered_set<std::uint32_t>& ids) {
  auto groups = group_by_chain(tables, maintenance, ids);
  if (!groups) return std::move(groups).error();
  for (const auto& [key, group] : *groups) {
    if (auto done = maintenance.beat(); !done) return done;
    if (auto done = unlink_chain(tables, key, group.chain, ids); !done) return done;
  }
  for (int attempt = 0; attempt < rebuild_attempts; ++attempt) {
    if (auto done = maintenance.renew(); !done) return done;
    if (!maintenance.was_lost()) return {};
    maintenance.start_afresh();
    if (auto done = rebuild_chains(tables, maintenance, *groups, ids); !done) return done;
  }
  return Error{ErrorKind::Failed, "", "rules", "the kernel's sweep came between again and again", "try again", 0};
}

void SetSummary::include_shape(egress_list list, const egress_shape& shape) {
  auto& shapes = lists[list];
  const auto before = [](const egress_shape& a, const egress_shape& b) { return comes_before(a, b); };
  const auto at = std::lower_bound(shapes.begin(), shapes.end(), shape, before);
  if (at == shapes.end() || comes_before(shape, *at)) shapes.insert(at, shape);
}

void SetSummary::include_refusing(const egress_shape& rule) {
  const auto at = std::ranges::lower_bound(refusing, rule.rule, {}, &egress_shape::rule);
  if (at == refusing.end() || at->rule != rule.rule) refusing.insert(at, rule);
}

Result<void> SetSummary::include(const egress_rule& rule) {
  auto places = chains_of(rule);
  if (!places) return std::move(places).error();
  for (const ChainPlace& place : *places) {
    const bool v6 = (place.key.set_kind & EGRESS_KIND_V6) != 0;
    const bool mark = (place.key.set_kind & EGRESS_KIND_MARK) != 0;
    const Family family = v6 ? Family::V6 : Family::V4;
    if (!mark) include_shape(list_of(family, false), shape_of(place.key));
    // A packet whose ports cannot be read asks the marks and what names no port.
    if (mark || !has_ports(place.key)) include_shape(list_of(family, true), shape_of(place.key));
  }
  if (rule.action == EGRESS_ACTION_AUDIT) {
    audit = true;
  } else {
    decides_until = std::max(decides_until, static_cast<std::uint64_t>(rule.expires_at));
  }
  if (rule.flags & EGRESS_RULE_NO_PACKET_SOCKETS) include_refusing({0, 0, 0, rule.id});
  ++rules;
  return {};
}

Result<std::map<std::uint32_t, SetSummary>> summarize(Tables& tables,
                                                      const std::unordered_set<std::uint32_t>& without) {
  std::map<std::uint32_t, SetSummary> summaries;
  for (const egress_rule& rule : tables.rules()) {
    if (rule.id == 0 || without.contains(rule.id)) continue;
    if (auto done = summaries[rule.set].include(rule); !done) return std::move(done).error();
  }
  return summaries;
}

RunSpace::RunSpace(Tables& tables) : size_(static_cast<std::uint32_t>(tables.shapes().size())) {
  for (const egress_set& set : tables.sets()) {
    if ((set.flags & EGRESS_SET_USED) == 0) continue;
    for (const egress_run& run : set.lists) {
      if (run.count != 0) used_[run.first] = run.count;
    }
    if (set.refusing.count != 0) used_[set.refusing.first] = set.refusing.count;
  }
}

std::optional<egress_run> RunSpace::allocate(std::uint32_t count) {
  if (count == 0) return egress_run{0, 0};
  // Behind the last one first: starting from 0 each time would cost the square of the number of sets.
  auto run = fit(search_from_, count);
  if (!run) run = fit(0, count);
  if (!run) return run;
  used_[run->first] = count;
  search_from_ = run->first + count;
  return run;
}

std::optional<egress_run> RunSpace::fit(std::uint32_t from, std::uint32_t count) const {
  std::uint32_t first = from;
  for (auto run = used_.lower_bound(from); run != used_.end(); ++run) {
    if (run->first >= first && run->first - first >= count) break;
    first = std::max(first, run->first + run->second);
  }
  if (first > size_ || size_ - first < count) return std::nullopt;
  return egress_run{first, count};
}

std::vector<egress_shape> read_list(Tables& tables, const egress_run& run) {
  const std::span<egress_shape> shapes = tables.shapes();
  if (run.first > shapes.size() || shapes.size() - run.first < run.count) return {};
  const auto part = shapes.subspan(run.first, run.count);
  return {part.begin(), part.end()};
}

bool same_shapes(std::span<const egress_shape> a, std::span<const egress_shape> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const egress_shape& x, const egress_shape& y) {
    return x.kind == y.kind && x.plen == y.plen && x.rule == y.rule;
  });
}

bool write_list(Tables& tables, RunSpace& space, egress_run& run, std::span<const egress_shape> shapes) {
  const auto room = space.allocate(static_cast<std::uint32_t>(shapes.size()));
  if (!room) return false;
  for (std::size_t i = 0; i < shapes.size(); ++i) store_shape(tables, tables.shapes()[room->first + i], shapes[i]);
  store_run(tables, run, *room);
  return true;
}

Result<void> check_steps(std::span<const egress_rule> rules) {
  SetSummary summary;
  std::map<egress_member_key, std::size_t, KeyOrder> chains;
  for (const egress_rule& rule : rules) {
    if (auto done = summary.include(rule); !done) return done;
    auto places = chains_of(rule);
    for (const ChainPlace& place : *places) {
      if ((place.key.set_kind & (EGRESS_KIND_RANGE | EGRESS_KIND_MARK)) != 0) ++chains[place.key];
    }
  }
  const auto refusing = std::ranges::count_if(
      rules, [](const egress_rule& rule) { return (rule.flags & EGRESS_RULE_NO_PACKET_SOCKETS) != 0; });
  if (refusing > EGRESS_REFUSING_MAX) {
    return Error{ErrorKind::Failed,
                 "",
                 "",
                 std::to_string(refusing) + " rules that refuse packet sockets; " +
                     std::to_string(EGRESS_REFUSING_MAX) + " fit into one policy of one subject",
                 "one of them does, as long as it lives",
                 0};
  }
  // A packet meets at most the longest chain of each shape.
  std::map<std::pair<unsigned, unsigned>, std::size_t> longest;
  for (const auto& [key, length] : chains) {
    auto& most = longest[{key.set_kind & 0xff, key.plen}];
    most = std::max(most, length);
  }
  for (const egress_list list : {EGRESS_LIST_V4, EGRESS_LIST_V4_MARK, EGRESS_LIST_V6, EGRESS_LIST_V6_MARK}) {
    const auto& shapes = summary.lists[list];
    std::size_t steps = shapes.size();
    for (const egress_shape& shape : shapes) {
      const auto chain = longest.find({shape.kind, shape.plen});
      if (chain != longest.end()) steps += chain->second;
    }
    if (shapes.size() > EGRESS_SHAPES_MAX) {
      return Error{ErrorKind::Failed,
                   "",
                   "",
                   std::to_string(shapes.size()) + " combinations of prefix length, kind of port and protocol; " +
                       std::to_string(EGRESS_SHAPES_MAX) + " fit into one policy of one subject",
                   "split the rules by --name into several policies",
                   0};
    }
    if (steps > EGRESS_STEPS_MAX) {
      return Error{ErrorKind::Failed,
                   "",
                   "",
                   "a packet would meet up to " + std::to_string(steps) + " rules and prefix lengths; " +
                       std::to_string(EGRESS_STEPS_MAX) + " fit into one policy of one subject",
                   "merge the ports of one prefix into ranges, or split the rules by --name into several policies",
                   0};
    }
  }
  return {};
}

}  // namespace egress
