// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "core/encode.hpp"
#include "engine/maintenance.hpp"
#include "engine/records.hpp"
#include "engine/tables.hpp"

/// The way from a destination to its rules: chains of rules, and the lists of shapes of a set.
namespace egress {

/// The word that names the first rule of a chain.
[[nodiscard]] __u32& chain_head(Tables& tables, const egress_index_key& key, egress_chain chain);
[[nodiscard]] __u32& chain_head(Tables& tables, const egress_rule& rule, egress_chain chain);

[[nodiscard]] Error chain_too_long();

/// The rule of this set and destination that is visible at the epoch; null if there is none.
[[nodiscard]] const egress_rule* find_rule(Tables& tables, std::uint32_t set, const Destination& destination,
                                           std::uint32_t epoch);

/// Enters rules that stand in their slots into their chains, in the order of comes_before(). Readers of
/// earlier epochs pass over them. Worthless if the maintenance was lost meanwhile: the caller asks.
[[nodiscard]] Result<void> link_rules(Tables& tables, Maintenance& maintenance, std::span<const std::uint32_t> ids);

/// Takes rules out of their chains. The records stay as they are, for readers who stand on them. If the
/// maintenance was lost, the chains are written anew.
[[nodiscard]] Result<void> unlink_rules(Tables& tables, Maintenance& maintenance,
                                        const std::unordered_set<std::uint32_t>& ids);

/// Takes all rules of these sets (by index) out of their chains: all chains are written anew from the rules that stay.
/// `others`: whether there may be any.
[[nodiscard]] Result<void> unlink_sets(Tables& tables, Maintenance& maintenance, const SetMarks& sets, bool others);

/// What the head of a set says about its rules.
struct SetSummary {
  std::array<std::vector<egress_shape>, EGRESS_LISTS> lists;  ///< most specific first, each shape once
  std::vector<egress_shape> refusing;                         ///< by id
  std::uint64_t decides_until = 0;
  bool audit = false;
  std::size_t rules = 0;

  [[nodiscard]] Result<void> include(const egress_rule& rule);
  void include_shape(egress_list list, const egress_shape& shape);
  void include_refusing(const egress_shape& rule);
};

/// Summaries of these sets, with all of their rules but those named.
[[nodiscard]] Result<std::map<std::uint32_t, SetSummary>> summarize(Tables& tables, const SetMarks& sets,
                                                                    const std::unordered_set<std::uint32_t>& without);

/// Free room in `shapes`. A run that was in use when this was made is not given out again by it.
class RunSpace {
 public:
  explicit RunSpace(Tables& tables);
  /// nullopt if there is no room.
  [[nodiscard]] std::optional<egress_run> allocate(std::uint32_t count);

 private:
  /// First fit at or behind `from`, which no run covers.
  [[nodiscard]] std::optional<egress_run> fit(std::uint32_t from, std::uint32_t count) const;

  std::uint32_t size_;
  std::map<std::uint32_t, std::uint32_t> used_;  ///< first -> count
  std::uint32_t search_from_ = 0;                ///< the end of a run
};

/// The shapes of a list as they stand.
[[nodiscard]] std::vector<egress_shape> read_list(Tables& tables, const egress_run& run);

/// Whether both lists name the same shapes, or rules, in the same order.
[[nodiscard]] bool same_shapes(std::span<const egress_shape> a, std::span<const egress_shape> b);

/// Writes a list into new room and makes it the set's by one store. False if there is no room.
[[nodiscard]] bool write_list(Tables& tables, RunSpace& space, egress_run& run, std::span<const egress_shape> shapes);

/// Whether a packet meets at most one rule of each shape that the summary names, and the shapes are few enough:
/// what check_steps() says of all rules of a set, without looking at each.
[[nodiscard]] bool has_simple_shapes(const SetSummary& summary);

/// Refuses a set that could not be walked within EGRESS_SHAPES_MAX, EGRESS_STEPS_MAX and EGRESS_REFUSING_MAX: `rules`
/// are all its rules, those to come included.
[[nodiscard]] Result<void> check_steps(std::span<const egress_rule> rules);

}  // namespace egress
