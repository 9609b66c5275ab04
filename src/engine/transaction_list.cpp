// SPDX-License-Identifier: GPL-2.0
#include <array>
#include <bitset>

#include "core/encode.hpp"
#include "engine/index.hpp"
#include "engine/reasons.hpp"
#include "engine/records.hpp"
#include "engine/sieve.hpp"
#include "engine/transaction.hpp"

/// A long list of plain prefixes: each record is made, stored, and linked once, and nothing else is kept of it.
namespace egress {

namespace {

/// A record, the head of its chain and the first rule there are asked for this many rules ahead: each is a miss of
/// all caches.
constexpr std::size_t ahead = 16;

/// Rules between two reports of progress.
constexpr std::size_t list_progress_step = 65536;

/// From here on all of the arrays is mapped at once.
constexpr std::size_t many = 4096;

/// What is known of the next rules.
struct Coming {
  egress_rule rule;
  __u32* head;
};

bool same_destination(const egress_rule& a, const egress_rule& b) {
  constexpr unsigned what = EGRESS_RULE_V4 | EGRESS_RULE_V6 | EGRESS_RULE_PROTO;
  return a.set == b.set && a.plen == b.plen && ((a.flags ^ b.flags) & what) == 0 && a.port_first == b.port_first &&
         a.port_last == b.port_last && a.proto == b.proto && a.addr[0] == b.addr[0] && a.addr[1] == b.addr[1] &&
         a.addr[2] == b.addr[2] && a.addr[3] == b.addr[3];
}

/// Where a rule belongs in its chain, and who is in its way.
struct Position {
  __u32* before;
  const egress_rule* same = nullptr;
  std::size_t rules = 0;  ///< of the chain
};

/// Passes over what a sweep left, as the cursor of index.cpp does, and sets rule.next.
Position position_of(Tables& tables, egress_rule& rule, __u32& head, std::uint32_t epoch) {
  Position position{&head};
  bool found = false;
  __u32* before = &head;
  rule.next[EGRESS_CHAIN_PLAIN] = 0;
  // Bounded whatever the links say: a chain that somebody wrote may have no end.
  std::size_t steps = 0;
  for (std::uint32_t at = head; at != 0 && steps <= tables.rules().size(); ++steps) {
    egress_rule& other = slot_of(tables, at);
    if (other.id != at && other.id != 0) break;
    if (other.id == at) {
      if (same_destination(other, rule) && (other.turn == rule.turn || visible(other, epoch))) position.same = &other;
      if (!found && !comes_before(other, rule)) {
        found = true;
        rule.next[EGRESS_CHAIN_PLAIN] = at;
      }
      before = &other.next[EGRESS_CHAIN_PLAIN];
      if (!found) position.before = before;
      ++position.rules;
    }
    at = other.next[EGRESS_CHAIN_PLAIN];
  }
  return position;
}

}  // namespace

bool is_plain(const Destination& destination) {
  return destination.prefix && !destination.ports && !destination.protocol;
}

std::vector<RuleSpec> kinds_of(const NewList& list) {
  constexpr std::size_t lengths = 129;
  std::bitset<2 * lengths> seen;
  std::vector<RuleSpec> kinds;
  for (const Destination& destination : list.destinations) {
    const std::size_t kind =
        destination.prefix->length + (destination.prefix->address.family == Family::V6 ? lengths : 0);
    if (seen[kind]) continue;
    seen[kind] = true;
    kinds.push_back(list.like);
    kinds.back().destination = destination;
  }
  return kinds;
}

Result<void> Transaction::write_new_list(const Change& change, std::uint32_t set) {
  const NewList& list = *change.list;
  const std::span<const std::uint32_t> ids = std::span(ids_).subspan(change.added.size());
  const std::uint32_t epoch = tables_.control().epoch;
  RuleSpec like = list.like;
  like.destination = list.destinations.front();
  auto reason = Reasons(tables_).number_of(like.reason);
  if (!reason) return std::move(reason).error();
  const egress_rule model = encode_rule(like, {RuleId{ids.front()}, set, tables_.control().pending, now_, *reason});
  if (ids.size() >= many) {
    static_cast<void>(tables_.rules().whole());
    static_cast<void>(tables_.heads().whole());
  }
  std::array<Coming, 2 * ahead> coming;
  const auto look_ahead = [&](std::size_t i) {
    if (i >= ids.size()) return;
    Coming& next = coming[i % coming.size()];
    next.rule = model;
    next.rule.id = ids[i];
    put_prefix(next.rule, *list.destinations[i].prefix);
    next.head = &chain_head(tables_, next.rule, EGRESS_CHAIN_PLAIN);
    __builtin_prefetch(next.head, 1);
    __builtin_prefetch(&slot_of(tables_, ids[i]), 1);
    ask_sieve_for(tables_, next.rule);
  };
  const auto look_behind_head = [&](std::size_t i) {
    if (i >= ids.size()) return;
    const std::uint32_t first = *coming[i % coming.size()].head;
    if (first != 0) __builtin_prefetch(&slot_of(tables_, first), 1);
  };
  for (std::size_t i = 0; i < coming.size() - 1; ++i) look_ahead(i);
  for (std::size_t i = 0; i < ahead; ++i) look_behind_head(i);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (maintenance_.is_due()) {
      if (auto done = maintenance_.renew(); !done) return done;
    }
    if (change.progress && i % list_progress_step == 0) change.progress(i, ids.size());
    look_ahead(i + coming.size() - 1);
    look_behind_head(i + ahead);
    auto& [rule, head] = coming[i % coming.size()];
    const Position position = position_of(tables_, rule, *head, epoch);
    const bool is_in_the_way = position.same != nullptr && !(list.replace && position.same->turn != rule.turn);
    if (is_in_the_way) return list.in_the_way(*position.same, list.destinations[i], position.same->turn == rule.turn);
    if (position.rules >= EGRESS_CHAIN_MAX) return chain_too_long();
    tables_.store_record(slot_of(tables_, rule.id), rule);
    tables_.store(*position.before, rule.id);
    enter_into_sieve(tables_, rule);
    if (auto done = write_counter(rule.id); !done) return done;
  }
  return {};
}

}  // namespace egress
