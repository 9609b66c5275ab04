// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <span>
#include <vector>

#include "egress/filter.hpp"
#include "engine/tables.hpp"

namespace egress {

class Transaction;

/// The rule set of one instance: what Filter offers, over abstract maps and machine.
///
/// Precondition of every function that changes rules: the caller holds the lock of writers. Those that only
/// read need none. Subjects are canonical (a pid was turned into an id by the caller).
class Engine {
 public:
  Engine(Tables& tables, World& world) : tables_(tables), world_(world) {}

  [[nodiscard]] Result<std::vector<RuleId>> add(const Addition& addition);
  [[nodiscard]] Result<std::vector<Rule>> remove(const Selection& selection);
  [[nodiscard]] Result<Removed> remove(const Selection& selection, std::size_t most_told);
  [[nodiscard]] Result<Rule> extend(RuleId id, Lifetime lifetime);
  [[nodiscard]] Result<PolicyDiff> apply(const Policy& policy, const ApplyOptions& options);
  [[nodiscard]] Result<void> confirm();

  /// What the last add() or apply() cut.
  [[nodiscard]] const CutReport& cut() const { return cut_; }
  [[nodiscard]] Result<Reach> reach(const Addition& addition, std::span<const Socket> supposed,
                                    const std::function<bool()>& wants_stopped) const;
  [[nodiscard]] Result<Reach> reach(const Policy& policy, std::span<const Socket> supposed,
                                    const std::function<bool()>& wants_stopped) const;

  /// Repairs, settles and sweeps, and changes nothing else.
  [[nodiscard]] Result<void> maintain();

  [[nodiscard]] Result<std::vector<Rule>> rules() const;
  [[nodiscard]] Result<Totals> totals() const;
  [[nodiscard]] Result<PolicyDiff> diff(const Policy& policy) const;
  [[nodiscard]] Result<Explanation> explain(const Subject& subject, const Destination& destination) const;

  /// A policy holds subjects with the same rules; a policy of the kernel whose subjects differ, or whose
  /// subjects could not share one file, is told as several: NAME, NAME-2, NAME-3, … Rules of no policy are
  /// told as "unnamed". Policies and subjects are judged one by one, so these names decide nothing: applied
  /// to an empty instance the result judges as before. Lifetimes are those that are left, in whole seconds
  /// rounded up. Rules of other tools are not told.
  [[nodiscard]] Result<std::vector<Policy>> policies() const;

 private:
  [[nodiscard]] Result<Removed> remove_some(Transaction& transaction, const Selection& selection);
  [[nodiscard]] Result<Removed> remove_sets(Transaction& transaction, const Selection& selection,
                                            std::size_t most_told);

  Tables& tables_;
  World& world_;
  CutReport cut_;
};

}  // namespace egress
