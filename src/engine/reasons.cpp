// SPDX-License-Identifier: GPL-2.0
#include "engine/reasons.hpp"

#include <cstddef>
#include <functional>
#include <vector>

#include "engine/records.hpp"

namespace egress {

Result<std::uint16_t> Reasons::number_of(const std::string& text) {
  if (text.empty()) return std::uint16_t{0};
  if (const auto known = known_.find(text); known != known_.end()) return known->second;
  auto number = look_for(text);
  if (number) known_.emplace(text, *number);
  return number;
}

/// Where its hash leads or behind, so that few of many texts are read. One that stands behind a place that has become
/// free is not found: it then stands there twice.
Result<std::uint16_t> Reasons::look_for(const std::string& text) {
  const std::size_t first = std::hash<std::string>{}(text);
  for (std::size_t i = 0; i < EGRESS_REASON_TEXTS_MAX; ++i) {
    const auto number = static_cast<std::uint16_t>(1 + (first + i) % EGRESS_REASON_TEXTS_MAX);
    auto present = tables_.reasons().get(number);
    if (!present) return std::move(present).error();
    if (*present && text_of(**present) != text) continue;
    if (!*present) {
      if (auto done = tables_.reasons().put(number, make_text(text)); !done) return std::move(done).error();
    }
    return number;
  }
  return Error{ErrorKind::Failed,
               "",
               "reason",
               "no room for more than " + std::to_string(EGRESS_REASON_TEXTS_MAX) + " different ones",
               "give rules a reason that others have",
               0};
}

void store_reason(Tables& tables, egress_rule& record, std::uint16_t reason) {
  using Word [[gnu::may_alias]] = __u32;
  constexpr std::size_t word = offsetof(egress_rule, set) / sizeof(__u32);
  static_assert(offsetof(egress_rule, set) % sizeof(__u32) == 0);
  static_assert(offsetof(egress_rule, reason) == offsetof(egress_rule, set) + sizeof record.set);
  egress_rule changed = record;
  changed.reason = reason;
  tables.store(reinterpret_cast<Word*>(&record)[word], reinterpret_cast<const Word*>(&changed)[word]);
}

Result<void> prune_reasons(Tables& tables) {
  auto texts = tables.reasons().keys();
  if (!texts) return std::move(texts).error();
  if (texts->empty()) return {};
  std::vector<bool> named(EGRESS_REASON_TEXTS_MAX + 1);
  for (const egress_rule& rule : tables.rules()) {
    if (rule.id != 0) named[rule.reason] = true;
  }
  for (const std::uint32_t number : *texts) {
    if (number < named.size() && named[number]) continue;
    if (auto done = tables.reasons().erase(number); !done) return done;
  }
  return {};
}

}  // namespace egress
