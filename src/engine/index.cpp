// SPDX-License-Identifier: GPL-2.0
#include "engine/index.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>

#include "engine/records.hpp"

namespace egress {

namespace {

constexpr int rebuild_attempts = 8;

/// Where a chain begins: a place in `heads`.
struct ChainPlace {
  egress_chain chain;
  std::uint32_t place;

  auto operator<=>(const ChainPlace&) const = default;
};

ChainPlace place_of(Tables& tables, const egress_index_key& key, egress_chain chain) {
  // The mark part is a quarter of the plain one, which is a power of two.
  const auto plain = static_cast<std::uint32_t>(tables.heads().size() * 2 / 5 * 4);
  return {chain, egress_index_place(egress_index_hash(&key), chain, plain - 1)};
}

ChainPlace place_of(Tables& tables, const egress_rule& rule, egress_chain chain) {
  return place_of(tables, index_key(rule, chain), chain);
}

__u32& head_at(Tables& tables, const ChainPlace& at) { return tables.heads()[at.place / 2].first[at.place % 2]; }

/// The places of these rules, each once.
template <typename Ids>
Result<std::vector<ChainPlace>> places_of(Tables& tables, Maintenance& maintenance, const Ids& ids) {
  std::vector<ChainPlace> places;
  for (const std::uint32_t id : ids) {
    if (auto done = maintenance.beat(); !done) return std::move(done).error();
    const egress_rule& rule = slot_of(tables, id);
    if (rule.id != id) continue;
    for (const egress_chain chain : chains_of(rule)) places.push_back(place_of(tables, rule, chain));
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

/// A position in one chain: the rule before it, if any, and the one after.
class ChainCursor {
 public:
  ChainCursor(Tables& tables, const ChainPlace& place)
      : tables_(tables), chain_(place.chain), before_(&head_at(tables, place)), here_(*before_) {}

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
    before_ = &here()->next[chain_];
    skip();
  }

  /// Goes on without the rule here; close() must follow before the next step_over().
  void skip() {
    here_ = here()->next[chain_];
    ++steps_;
  }

  void insert(egress_rule& rule) {
    tables_.store(rule.next[chain_], here() == nullptr ? 0 : here_);
    tables_.store(*before_, rule.id);
  }

  /// Makes what is before lead to the rule here.
  void close() { tables_.store(*before_, here() == nullptr ? 0 : here_); }

  [[nodiscard]] std::size_t steps() const { return steps_; }

 private:
  Tables& tables_;
  egress_chain chain_;
  __u32* before_;  ///< the word that leads here
  std::uint32_t here_;
  std::size_t steps_ = 0;
};

Error swept_again_and_again() {
  return Error{ErrorKind::Failed, "", "rules", "the kernel's sweep came between again and again", "try again", 0};
}

Result<void> link_rule(Tables& tables, egress_rule& rule, egress_chain chain) {
  ChainCursor cursor(tables, place_of(tables, rule, chain));
  while (cursor.here() != nullptr && comes_before(*cursor.here(), rule)) cursor.step_over();
  cursor.insert(rule);
  while (cursor.here() != nullptr) cursor.skip();
  return cursor.steps() < EGRESS_CHAIN_MAX ? Result<void>() : chain_too_long();
}

void unlink_chain(Tables& tables, const ChainPlace& place, const std::unordered_set<std::uint32_t>& ids) {
  ChainCursor cursor(tables, place);
  while (cursor.here() != nullptr) {
    if (!ids.contains(cursor.here()->id)) {
      cursor.step_over();
      continue;
    }
    while (cursor.here() != nullptr && ids.contains(cursor.here()->id)) cursor.skip();
    cursor.close();
  }
}

/// From the last rule to the first: a reader on its way meets every rule that stays.
void write_chain(Tables& tables, const ChainPlace& place, std::vector<std::uint32_t>& ids) {
  std::sort(ids.begin(), ids.end(),
            [&](std::uint32_t a, std::uint32_t b) { return comes_before(slot_of(tables, a), slot_of(tables, b)); });
  std::uint32_t next = 0;
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    tables.store(slot_of(tables, *id).next[place.chain], next);
    next = *id;
  }
  tables.store(head_at(tables, place), next);
}

/// Writes these chains from the records alone, whatever the links say, without the rules `gone`.
Result<void> rebuild_chains(Tables& tables, Maintenance& maintenance, std::span<const ChainPlace> places,
                            const std::unordered_set<std::uint32_t>& gone) {
  std::map<ChainPlace, std::vector<std::uint32_t>> chains;
  for (const ChainPlace& place : places) chains.try_emplace(place);
  for (const egress_rule& rule : tables.rules()) {
    if (auto done = maintenance.beat(); !done) return done;
    if (rule.id == 0 || gone.contains(rule.id)) continue;
    for (const egress_chain chain : chains_of(rule)) {
      const auto found = chains.find(place_of(tables, rule, chain));
      if (found != chains.end()) found->second.push_back(rule.id);
    }
  }
  for (auto& [place, ids] : chains) {
    if (auto done = maintenance.beat(); !done) return done;
    write_chain(tables, place, ids);
  }
  return {};
}

/// A rule that stays, and where its chain begins.
struct Member {
  std::uint32_t place;
  std::uint32_t id;
  egress_chain chain;
};

/// Writes every chain from the records alone, without the rules of these sets. Like write_chain(), but what is right
/// already is not stored.
Result<void> rebuild_without_sets(Tables& tables, Maintenance& maintenance, const SetMarks& sets) {
  std::vector<Member> stay;
  for (const egress_rule& rule : tables.rules()) {
    if (maintenance.is_due()) {
      if (auto done = maintenance.renew(); !done) return done;
    }
    if (rule.id == 0 || is_of(rule, sets)) continue;
    for (const egress_chain chain : chains_of(rule)) {
      stay.push_back({place_of(tables, rule, chain).place, rule.id, chain});
    }
  }
  std::ranges::sort(stay, [&](const Member& a, const Member& b) {
    if (a.place != b.place) return a.place < b.place;
    return comes_before(slot_of(tables, a.id), slot_of(tables, b.id));
  });
  const auto heads = tables.heads();
  std::size_t last = stay.size();
  for (std::size_t place = heads.size() * 2; place-- > 0;) {
    std::uint32_t next = 0;
    for (; last > 0 && stay[last - 1].place == place; --last) {
      __u32& link = slot_of(tables, stay[last - 1].id).next[stay[last - 1].chain];
      if (link != next) tables.store(link, next);
      next = stay[last - 1].id;
    }
    __u32& head = heads[place / 2].first[place % 2];
    if (head != next) tables.store(head, next);
  }
  return {};
}

void clear_chains(Tables& tables) {
  for (egress_heads& pair : tables.heads()) {
    if (pair.first[0] != 0 || pair.first[1] != 0) store_heads(tables, pair, {});
  }
}

struct KeyOrder {
  using Run = std::pair<unsigned, egress_index_key>;
  bool operator()(const Run& a, const Run& b) const {
    if (a.first != b.first) return a.first < b.first;
    return std::memcmp(&a.second, &b.second, sizeof a.second) < 0;
  }
};

/// How many rules a packet meets under one key of a kind of shape that may have several.
using RunLengths = std::map<KeyOrder::Run, std::size_t, KeyOrder>;

void count_runs(RunLengths& runs, const egress_rule& rule, Family family) {
  for (const egress_chain chain : chains_of(rule)) {
    const unsigned kind = shape_of(rule, family, chain).kind;
    if ((kind & (EGRESS_KIND_RANGE | EGRESS_KIND_MARK)) != 0) ++runs[{kind, index_key(rule, chain)}];
  }
}

}  // namespace

Error chain_too_long() {
  return Error{ErrorKind::Failed,
               "",
               "index of rules",
               "more than " + std::to_string(EGRESS_CHAIN_MAX) + " destinations fall into one place of it",
               "unload, then load with a larger size: egress load --max-rules N",
               0};
}

__u32& chain_head(Tables& tables, const egress_index_key& key, egress_chain chain) {
  return head_at(tables, place_of(tables, key, chain));
}

__u32& chain_head(Tables& tables, const egress_rule& rule, egress_chain chain) {
  return chain_head(tables, index_key(rule, chain), chain);
}

const egress_rule* find_rule(Tables& tables, std::uint32_t set, const Destination& destination, std::uint32_t epoch) {
  RuleSpec spec;
  spec.destination = destination;
  const egress_rule wanted = encode_rule(spec, {.id = {}, .set = set, .comes = 0, .created_at = {}});
  constexpr auto what = [](const egress_rule& rule) {
    const int families = rule.flags & (EGRESS_RULE_V4 | EGRESS_RULE_V6);
    return std::tuple{rule.set,       families,     rule.flags & EGRESS_RULE_PROTO,
                      rule.proto,     rule.plen,    rule.port_first,
                      rule.port_last, rule.addr[0], rule.addr[1],
                      rule.addr[2],   rule.addr[3]};
  };
  ChainCursor cursor(tables, place_of(tables, wanted, EGRESS_CHAIN_PLAIN));
  for (; cursor.here() != nullptr; cursor.skip()) {
    if (what(*cursor.here()) == what(wanted) && visible(*cursor.here(), epoch)) return cursor.here();
  }
  return nullptr;
}

Result<void> link_rules(Tables& tables, Maintenance& maintenance, std::span<const std::uint32_t> ids) {
  for (const std::uint32_t id : ids) {
    if (auto done = maintenance.beat(); !done) return done;
    egress_rule& rule = slot_of(tables, id);
    if (rule.id != id) continue;
    for (const egress_chain chain : chains_of(rule)) {
      if (auto done = link_rule(tables, rule, chain); !done) return done;
    }
  }
  return {};
}

Result<void> unlink_rules(Tables& tables, Maintenance& maintenance, const std::unordered_set<std::uint32_t>& ids) {
  auto places = places_of(tables, maintenance, ids);
  if (!places) return std::move(places).error();
  for (const ChainPlace& place : *places) {
    if (auto done = maintenance.beat(); !done) return done;
    unlink_chain(tables, place, ids);
  }
  for (int attempt = 0; attempt < rebuild_attempts; ++attempt) {
    if (auto done = maintenance.renew(); !done) return done;
    if (!maintenance.was_lost()) return {};
    maintenance.start_afresh();
    if (auto done = rebuild_chains(tables, maintenance, *places, ids); !done) return done;
  }
  return swept_again_and_again();
}

Result<void> unlink_sets(Tables& tables, Maintenance& maintenance, const SetMarks& sets, bool others) {
  for (int attempt = 0; attempt < rebuild_attempts; ++attempt) {
    maintenance.start_afresh();
    if (others) {
      if (auto done = rebuild_without_sets(tables, maintenance, sets); !done) return done;
    } else {
      clear_chains(tables);
    }
    if (auto done = maintenance.renew(); !done) return done;
    if (!maintenance.was_lost()) return {};
  }
  return swept_again_and_again();
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
  if (auto good = check_record(rule); !good) return good;
  for (const Family family : {Family::V4, Family::V6}) {
    if (!applies_to(rule, family)) continue;
    for (const egress_chain chain : chains_of(rule)) {
      const bool mark = chain == EGRESS_CHAIN_MARK;
      const egress_shape shape = shape_of(rule, family, chain);
      if (!mark) include_shape(list_of(family, false), shape);
      // A packet whose ports cannot be read asks the marks and what names no port.
      if (mark || rule.port_first == 0) include_shape(list_of(family, true), shape);
    }
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

Result<std::map<std::uint32_t, SetSummary>> summarize(Tables& tables, const SetMarks& sets,
                                                      const std::unordered_set<std::uint32_t>& without) {
  std::map<std::uint32_t, SetSummary> summaries;
  for (const egress_rule& rule : tables.rules()) {
    if (rule.id == 0 || !is_of(rule, sets) || without.contains(rule.id)) continue;
    if (auto done = summaries[rule.set].include(rule); !done) return std::move(done).error();
  }
  return summaries;
}

RunSpace::RunSpace(Tables& tables) : size_(static_cast<std::uint32_t>(tables.shapes().size())) {
  for (const egress_set& set : known_sets(tables)) {
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
  const auto shapes = tables.shapes();
  if (run.first > shapes.size() || shapes.size() - run.first < run.count) return {};
  std::vector<egress_shape> list;
  for (std::uint32_t i = 0; i < run.count; ++i) list.push_back(shapes[run.first + i]);
  return list;
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

bool has_simple_shapes(const SetSummary& summary) {
  return std::ranges::all_of(summary.lists, [](const std::vector<egress_shape>& shapes) {
    return shapes.size() <= EGRESS_SHAPES_MAX && std::ranges::none_of(shapes, [](const egress_shape& shape) {
             return (shape.kind & (EGRESS_KIND_RANGE | EGRESS_KIND_MARK)) != 0;
           });
  });
}

Result<void> check_steps(std::span<const egress_rule> rules) {
  SetSummary summary;
  RunLengths runs;
  for (const egress_rule& rule : rules) {
    if (auto done = summary.include(rule); !done) return done;
    for (const Family family : {Family::V4, Family::V6}) {
      if (applies_to(rule, family)) count_runs(runs, rule, family);
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
  // A packet meets at most the longest run of each shape.
  std::map<std::pair<unsigned, unsigned>, std::size_t> longest;
  for (const auto& [run, length] : runs) {
    auto& most = longest[{run.first, run.second.plen}];
    most = std::max(most, length);
  }
  for (const egress_list list : {EGRESS_LIST_V4, EGRESS_LIST_V4_MARK, EGRESS_LIST_V6, EGRESS_LIST_V6_MARK}) {
    const auto& shapes = summary.lists[list];
    std::size_t steps = shapes.size();
    for (const egress_shape& shape : shapes) {
      const auto run = longest.find({shape.kind, shape.plen});
      if (run != longest.end()) steps += run->second;
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
