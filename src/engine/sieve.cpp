// SPDX-License-Identifier: GPL-2.0
#include "engine/sieve.hpp"

#include <arpa/inet.h>

#include <vector>

#include "engine/covers.hpp"

namespace egress {

namespace {

struct Place {
  std::size_t word;
  __u64 bits;
};

Place place_of(const egress_rule& rule, __u32 plen, bool v6, std::size_t words) {
  const auto word = [&](unsigned at) {
    const __u32 bits = plen <= 32 * at ? 0 : plen - 32 * at;
    return bits >= 32 ? rule.addr[at] : rule.addr[at] & htonl(~(~__u32{0} >> bits));
  };
  const auto pair = [&](unsigned first) { return static_cast<__u64>(word(first + 1)) << 32 | word(first); };
  const __u64 hash = egress_sieve_hash(pair(0), pair(2), plen, v6 ? 1 : 0);
  return {egress_sieve_word(hash) & (words - 1), egress_sieve_bits(hash)};
}

template <typename Visit>
void for_each_place(const egress_rule& rule, bool v6, std::size_t words, Visit visit) {
  const __u32 lead = egress_sieve_lead(rule.plen, v6 ? 1 : 0);
  visit(place_of(rule, rule.plen, v6, words));
  if (lead != rule.plen) visit(place_of(rule, lead, v6, words));
}

template <typename Visit>
void for_each_place(const egress_rule& rule, std::size_t words, Visit visit) {
  if (rule.plen == 0) return;
  if ((rule.flags & EGRESS_RULE_V4) != 0) for_each_place(rule, false, words, visit);
  if ((rule.flags & EGRESS_RULE_V6) != 0) for_each_place(rule, true, words, visit);
}

}  // namespace

void enter_into_sieve(Tables& tables, const egress_rule& rule) {
  const auto sieve = tables.sieve();
  for_each_place(rule, sieve.size(), [&](const Place& place) {
    __u64& word = sieve[place.word];
    if ((word & place.bits) != place.bits) tables.store(word, word | place.bits);
  });
  enter_into_cover(tables, rule);
  if (rule.action == EGRESS_ACTION_REJECT && tables.control().rejects == 0) tables.store(tables.control().rejects, 1u);
}

void ask_sieve_for(Tables& tables, const egress_rule& rule) {
  const auto sieve = tables.sieve();
  for_each_place(rule, sieve.size(), [&](const Place& place) { __builtin_prefetch(&sieve[place.word], 1); });
}

void rebuild_sieve(Tables& tables) {
  const auto sieve = tables.sieve();
  std::vector<__u64> wanted(sieve.size());
  std::uint32_t rejects = 0;
  for (const egress_rule& rule : tables.rules()) {
    if (rule.id == 0) continue;
    if (rule.action == EGRESS_ACTION_REJECT) rejects = 1;
    for_each_place(rule, sieve.size(), [&](const Place& place) { wanted[place.word] |= place.bits; });
  }
  for (std::size_t i = 0; i < sieve.size(); ++i) {
    if (sieve[i] != wanted[i]) tables.store(sieve[i], wanted[i]);
  }
  rebuild_covers(tables);
  if (tables.control().rejects != rejects) tables.store(tables.control().rejects, rejects);
  if (tables.control().stale != 0) tables.store(tables.control().stale, 0u);
}

void leave_sieve(Tables& tables, std::size_t rules) {
  const std::size_t stale = tables.control().stale + rules;
  if (stale > tables.rules().size() / 1024) {
    rebuild_sieve(tables);
  } else {
    tables.store(tables.control().stale, static_cast<std::uint32_t>(stale));
  }
}

void clear_sieve(Tables& tables) {
  for (__u64& word : tables.sieve()) {
    if (word != 0) tables.store(word, std::uint64_t{0});
  }
  if (tables.control().rejects != 0) tables.store(tables.control().rejects, 0u);
  if (tables.control().stale != 0) tables.store(tables.control().stale, 0u);
}

}  // namespace egress
