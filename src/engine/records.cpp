// SPDX-License-Identifier: GPL-2.0
#include "engine/records.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>

namespace egress {

namespace {

// The records are plain structs of smaller fields; stores of whole words may alias them.
using Word32 [[gnu::may_alias]] = __u32;
using Word64 [[gnu::may_alias]] = __u64;

template <typename Record>
Record load_words(const Record& record) {
  static_assert(sizeof(Record) % sizeof(std::uint64_t) == 0);
  Record copy;
  const auto* from = reinterpret_cast<const Word64*>(&record);
  auto* to = reinterpret_cast<Word64*>(&copy);
  for (std::size_t i = 0; i < sizeof(Record) / sizeof(std::uint64_t); ++i) {
    to[i] = __atomic_load_n(from + i, __ATOMIC_ACQUIRE);
  }
  return copy;
}

}  // namespace

std::string text_of(const egress_text& text) { return {text.text, strnlen(text.text, sizeof text.text)}; }

egress_text make_text(std::string_view text) {
  egress_text made{};
  std::memcpy(made.text, text.data(), std::min(text.size(), sizeof made.text - 1));
  return made;
}

bool comes(const egress_rule& rule) { return rule.turn != 0 && !goes(rule); }
bool goes(const egress_rule& rule) { return (rule.turn & EGRESS_TURN_GOES) != 0; }
std::uint32_t turn_to_go(std::uint32_t epoch) { return epoch | EGRESS_TURN_GOES; }

bool visible(const egress_rule& rule, std::uint32_t epoch) {
  return rule.turn == 0 || (egress_turn_reached(epoch, rule.turn) != 0) == !goes(rule);
}

bool unborn(const egress_rule& rule, std::uint32_t epoch) {
  return comes(rule) && egress_turn_reached(epoch, rule.turn) == 0;
}

bool dead(const egress_rule& rule, std::uint32_t epoch) {
  return goes(rule) && egress_turn_reached(epoch, rule.turn) != 0 && (rule.flags & EGRESS_RULE_TRIAL_OLD) == 0;
}

bool in_force(const egress_rule& rule, std::uint32_t epoch, std::uint64_t trial_deadline, std::uint64_t now) {
  if (rule.expires_at <= now) return false;
  const bool elapsed = now >= trial_deadline;
  if (!visible(rule, epoch)) return elapsed && (rule.flags & EGRESS_RULE_TRIAL_OLD) != 0 && !unborn(rule, epoch);
  return !elapsed || (rule.flags & EGRESS_RULE_TRIAL_NEW) == 0;
}

std::uint32_t following(std::uint32_t epoch) { return (epoch + 1) % EGRESS_TURN_GOES == 0 ? epoch + 2 : epoch + 1; }

std::uint32_t load(const __u32& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
std::uint64_t load(const __u64& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

egress_rule load_rule(const egress_rule& record) { return load_words(record); }
egress_set load_set(const egress_set& record) { return load_words(record); }

egress_run load_run(const egress_run& run) {
  return std::bit_cast<egress_run>(__atomic_load_n(reinterpret_cast<const Word64*>(&run), __ATOMIC_ACQUIRE));
}

void bring_all(Tables& tables) {
  static_cast<void>(tables.rules().whole());
  static_cast<void>(known_sets(tables));
  static_cast<void>(tables.shapes().whole());
  static_cast<void>(tables.heads().whole());
  static_cast<void>(tables.sieve().whole());
  static_cast<void>(tables.covers().whole());
  static_cast<void>(known_anchors(tables));
}

std::span<egress_set> known_sets(Tables& tables) {
  return tables.sets().first(std::min<std::size_t>(load(tables.control().subjects), tables.sets().size()));
}

std::span<egress_anchor> known_anchors(Tables& tables) {
  return tables.anchors().first(std::min<std::size_t>(load(tables.control().subjects), tables.anchors().size()));
}

void know_subject(Tables& tables, std::uint32_t place) {
  if (place >= tables.control().subjects) tables.store(tables.control().subjects, place + 1);
}

egress_rule& slot_of(Tables& tables, std::uint32_t id) {
  const auto rules = tables.rules();
  return rules[id % static_cast<std::uint32_t>(rules.size())];
}

void store_rule(Tables& tables, const egress_rule& rule) { tables.store_record(slot_of(tables, rule.id), rule); }

void store_flags(Tables& tables, egress_rule& record, std::uint8_t flags) {
  egress_rule changed = record;
  changed.flags = flags;
  constexpr std::size_t word = offsetof(egress_rule, action) / sizeof(std::uint32_t);
  static_assert(offsetof(egress_rule, action) % sizeof(std::uint32_t) == 0);
  tables.store(reinterpret_cast<Word32*>(&record)[word], reinterpret_cast<const Word32*>(&changed)[word]);
}

void store_run(Tables& tables, egress_run& run, egress_run value) {
  tables.store(reinterpret_cast<Word64&>(run), std::bit_cast<std::uint64_t>(value));
}

void store_heads(Tables& tables, egress_heads& pair, egress_heads value) {
  tables.store(reinterpret_cast<Word64&>(pair), std::bit_cast<std::uint64_t>(value));
}

void store_shape(Tables& tables, egress_shape& shape, const egress_shape& value) {
  tables.store(reinterpret_cast<Word64&>(shape), std::bit_cast<std::uint64_t>(value));
}

}  // namespace egress
