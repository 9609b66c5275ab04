// SPDX-License-Identifier: GPL-2.0
#include "engine/covers.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <bitset>
#include <vector>

#include "engine/records.hpp"

namespace egress {

namespace {

// A small list may well have more than its share; a large one should stay in the caches, where one packet in eight with
// a hit for nothing costs less than half of all with a miss.
constexpr std::size_t bits_per_rule = 32;
constexpr std::size_t least_bits_per_rule = 8;
constexpr std::size_t large = std::size_t{4} << 20;  ///< bits
constexpr std::uint32_t word_bits = 64;
constexpr std::uint32_t largest_log = EGRESS_COVER_UNITS_LOG - 1;  ///< one set takes half of all at most
constexpr std::size_t samples = 64;

/// Units and words of one instance.
class Layout {
 public:
  explicit Layout(std::size_t words)
      : unit_log_(static_cast<std::uint32_t>(std::countr_zero(words)) - EGRESS_COVER_UNITS_LOG) {}

  [[nodiscard]] std::uint32_t unit_log() const { return unit_log_; }
  [[nodiscard]] std::size_t first_word(std::uint32_t cover) const { return egress_cover_word(cover, unit_log_); }
  [[nodiscard]] std::size_t words(std::uint32_t cover) const {
    return std::size_t{1} << (unit_log_ + EGRESS_COVER_LOG(cover));
  }
  /// The log of the units that this many bits take.
  [[nodiscard]] std::uint32_t log_for(std::size_t bits) const {
    const std::size_t unit_bits = std::size_t{word_bits} << unit_log_;
    const std::size_t units = (bits + unit_bits - 1) / unit_bits;
    return static_cast<std::uint32_t>(std::countr_zero(std::bit_ceil(std::max<std::size_t>(units, 1))));
  }
  /// The bits of a rule, the last one included.
  struct Range {
    std::uint32_t first;
    std::uint32_t last;
  };
  [[nodiscard]] Range range_of(const egress_rule& rule, std::uint32_t cover) const {
    if ((rule.flags & EGRESS_RULE_V4) == 0) {
      const std::uint32_t bit = egress_cover_bit_v6(cover, unit_log_, rule.addr[0]);
      return {bit, bit};
    }
    const auto host_bits = static_cast<std::uint32_t>((std::uint64_t{1} << (32 - rule.plen)) - 1);
    const std::uint32_t address = ntohl(rule.addr[0]) & ~host_bits;
    return {egress_cover_bit(cover, unit_log_, address), egress_cover_bit(cover, unit_log_, address | host_bits)};
  }

 private:
  std::uint32_t unit_log_;
};

/// Calls visit(word of the cover, bits) for all words that a range touches.
template <typename Visit>
void for_each_word(Layout::Range range, Visit visit) {
  for (std::uint32_t word = range.first / word_bits; word <= range.last / word_bits; ++word) {
    __u64 bits = ~__u64{0};
    if (word == range.first / word_bits) bits &= ~__u64{0} << range.first % word_bits;
    if (word == range.last / word_bits) bits &= ~__u64{0} >> (word_bits - 1 - range.last % word_bits);
    visit(word, bits);
  }
}

/// Whether a rule is to be found by a cover. One of both families has no prefix, so it is one of IPv4 here.
bool is_coverable(const egress_rule& rule, std::size_t sets) {
  if (rule.id == 0 || rule.set >= sets) return false;
  return (rule.flags & EGRESS_RULE_V4) != 0 ? rule.plen <= 32 : rule.plen >= EGRESS_COVER_PLEN_V6;
}

void enter(Tables& tables, const Layout& layout, std::uint32_t cover, const egress_rule& rule) {
  const auto covers = tables.covers();
  const std::size_t first = layout.first_word(cover);
  for_each_word(layout.range_of(rule, cover), [&](std::uint32_t at, __u64 bits) {
    __u64& word = covers[first + at];
    if ((word & bits) != bits) tables.store(word, word | bits);
  });
}

/// Every rule of a set that has a record.
void enter_all(Tables& tables, const Layout& layout, std::uint32_t cover, std::uint32_t set) {
  const std::size_t sets = tables.sets().size();
  for (const egress_rule& rule : tables.rules()) {
    if (is_coverable(rule, sets) && rule.set == set) enter(tables, layout, cover, rule);
  }
}

/// Which units belong to a set.
std::bitset<EGRESS_COVER_UNITS> taken_units(Tables& tables) {
  std::bitset<EGRESS_COVER_UNITS> taken;
  for (const egress_set& set : known_sets(tables)) {
    const std::uint32_t cover = cover_of(set);
    if ((set.flags & EGRESS_SET_USED) == 0 || cover == 0) continue;
    for (std::uint32_t i = 0; i < 1u << EGRESS_COVER_LOG(cover); ++i) {
      taken.set(EGRESS_COVER_FIRST(cover) + i);
    }
  }
  return taken;
}

bool is_clear(Tables& tables, const Layout& layout, std::uint32_t cover) {
  const auto covers = tables.covers();
  const std::size_t first = layout.first_word(cover);
  for (std::size_t i = 0; i < layout.words(cover); ++i) {
    if (covers[first + i] != 0) return false;
  }
  return true;
}

/// Units that belong to nobody; 0 if there are none. What a failed writer left there may still be asked for, and is
/// passed over.
std::uint32_t find_room(Tables& tables, const Layout& layout, std::uint32_t log) {
  const auto taken = taken_units(tables);
  const std::uint32_t units = 1u << log;
  for (std::uint32_t first = 0; first < EGRESS_COVER_UNITS; first += units) {
    const std::uint32_t cover = EGRESS_COVER(first, log);
    if (cover == 0) continue;
    std::uint32_t free = 0;
    while (free < units && !taken[first + free]) ++free;
    if (free == units && is_clear(tables, layout, cover)) return cover;
  }
  return 0;
}

std::size_t bits_for(std::size_t rules) {
  return std::max(rules * least_bits_per_rule, std::min(rules * bits_per_rule, large));
}

/// Room for this many rules, as much as they want if there is, at least of this log.
std::uint32_t find_room_for(Tables& tables, const Layout& layout, std::size_t rules, std::uint32_t least) {
  least = std::max(least, layout.log_for(rules * least_bits_per_rule));
  for (std::uint32_t log = std::min(layout.log_for(bits_for(rules)), largest_log) + 1; log-- > least;) {
    if (const std::uint32_t cover = find_room(tables, layout, log); cover != 0) return cover;
  }
  return 0;
}

/// By a sample, whether more than a sixth of the bits are set: a cover that was made as small as can be is not.
bool is_crowded(Tables& tables, const Layout& layout, std::uint32_t cover) {
  const auto covers = tables.covers();
  const std::size_t first = layout.first_word(cover), words = layout.words(cover),
                    step = std::max<std::size_t>(words / samples, 1);
  std::size_t looked_at = 0, found = 0;
  for (std::size_t i = 0; i < words; i += step, ++looked_at) {
    found += static_cast<std::size_t>(std::popcount(covers[first + i]));
  }
  return found * 6 > looked_at * word_bits;
}

std::size_t count_rules(Tables& tables, std::uint32_t set) {
  const std::size_t sets = tables.sets().size();
  return static_cast<std::size_t>(std::ranges::count_if(
      tables.rules(), [&](const egress_rule& rule) { return is_coverable(rule, sets) && rule.set == set; }));
}

void clear_unit(Tables& tables, const Layout& layout, std::uint32_t unit) {
  const auto covers = tables.covers();
  const std::size_t first = std::size_t{unit} << layout.unit_log();
  for (std::size_t i = first; i < first + (std::size_t{1} << layout.unit_log()); ++i) {
    if (covers[i] != 0) tables.store(covers[i], std::uint64_t{0});
  }
}

void give(Tables& tables, egress_set& set, std::uint32_t cover) {
  constexpr std::uint32_t others = (1u << EGRESS_SET_COVER_SHIFT) - 1;
  tables.store(set.flags, (set.flags & others) | cover << EGRESS_SET_COVER_SHIFT);
}

}  // namespace

std::uint32_t cover_of(const egress_set& set) {
  const std::uint32_t cover = set.flags >> EGRESS_SET_COVER_SHIFT, log = EGRESS_COVER_LOG(cover);
  const bool is_sound = log <= largest_log && EGRESS_COVER_FIRST(cover) % (1u << log) == 0;
  return is_sound ? cover : 0;
}

std::uint32_t fit_cover(Tables& tables, std::uint32_t index, std::size_t added) {
  if (added == 0 || index >= tables.sets().size()) return 0;
  const Layout layout(tables.covers().size());
  egress_set& set = tables.sets()[index];
  const std::uint32_t former = cover_of(set);
  // A set that never had one has rules that are in none.
  if (former == 0 && std::ranges::any_of(set.lists, [](const egress_run& run) { return run.count != 0; })) return 0;
  const std::uint32_t least = former == 0 ? 0 : EGRESS_COVER_LOG(former) + 1;
  std::size_t rules = added;
  if (layout.log_for(bits_for(added)) < least) {
    if (least > largest_log || !is_crowded(tables, layout, former)) return 0;
    if (find_room(tables, layout, least) == 0) return 0;  // before all rules are counted
    rules += count_rules(tables, index);
  }
  const std::uint32_t cover = find_room_for(tables, layout, rules, least);
  if (cover == 0) return 0;  // few that hold much, or no room: a crowded one says less and less, and nothing wrong
  if (former != 0) enter_all(tables, layout, cover, index);
  give(tables, set, cover);
  return former;
}

void enter_into_cover(Tables& tables, const egress_rule& rule) {
  const auto sets = tables.sets();
  if (!is_coverable(rule, sets.size())) return;
  const std::uint32_t cover = cover_of(sets[rule.set]);
  if (cover != 0) enter(tables, Layout(tables.covers().size()), cover, rule);
}

void rebuild_covers(Tables& tables) {
  const auto covers = tables.covers();
  const auto sets = tables.sets();
  const Layout layout(covers.size());
  std::vector<__u64> wanted(covers.size());
  for (const egress_rule& rule : tables.rules()) {
    const std::uint32_t cover = is_coverable(rule, sets.size()) ? cover_of(sets[rule.set]) : 0;
    if (cover == 0) continue;
    const std::size_t first = layout.first_word(cover);
    for_each_word(layout.range_of(rule, cover), [&](std::uint32_t at, __u64 bits) { wanted[first + at] |= bits; });
  }
  const auto taken = taken_units(tables);
  for (std::size_t unit = 0; unit < EGRESS_COVER_UNITS; ++unit) {
    if (!taken[unit]) continue;
    for (std::size_t i = unit << layout.unit_log(); i < (unit + 1) << layout.unit_log(); ++i) {
      if (covers[i] != wanted[i]) tables.store(covers[i], wanted[i]);
    }
  }
}

void clear_cover(Tables& tables, std::uint32_t cover) {
  if (cover == 0) return;
  const Layout layout(tables.covers().size());
  for (std::uint32_t i = 0; i < 1u << EGRESS_COVER_LOG(cover); ++i) {
    clear_unit(tables, layout, EGRESS_COVER_FIRST(cover) + i);
  }
}

void clear_lost_covers(Tables& tables) {
  const auto covers = tables.covers();
  const Layout layout(covers.size());
  const auto taken = taken_units(tables);
  for (std::uint32_t unit = 0; unit < EGRESS_COVER_UNITS; ++unit) {
    if (!taken[unit]) clear_unit(tables, layout, unit);
  }
}

}  // namespace egress
