// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "egress/filter.hpp"
#include "engine/clean.hpp"
#include "engine/sets.hpp"
#include "engine/tables.hpp"

namespace egress {

struct NewRule {
  SetName place;
  RuleSpec spec;
};

/// Rules that differ in nothing but their destinations, which are plain prefixes.
struct NewList {
  SetName place;
  RuleSpec like;  ///< without no_packet_sockets; its destination means nothing
  std::span<const Destination> destinations;
  bool replace = false;  ///< visible rules of the same destinations are among Change::removed
  /// What to say of a rule that has one of these destinations already; `is_new`: it is of this list.
  std::function<Error(const egress_rule& other, const Destination& destination, bool is_new)> in_the_way;
};

/// Whether a destination is a prefix and nothing else.
[[nodiscard]] bool is_plain(const Destination& destination);

/// One rule of each family and prefix length of a list.
[[nodiscard]] std::vector<RuleSpec> kinds_of(const NewList& list);

/// Rules that come and rules that go, in one moment.
struct Change {
  std::vector<NewRule> added;
  std::vector<std::uint32_t> removed;  ///< ids of rules that are visible
  SetMarks removed_sets = {};          ///< all rules of these sets go too, for good; empty = none
  bool others = true;                  ///< whether sets that are not named there have rules
  /// With it the change is on trial: from this moment of the boot clock on the former rules are in force.
  std::optional<std::uint64_t> trial_deadline;
  Progress progress = {};
  std::optional<NewList> list = {};  ///< rules that come too, without a trial
};

/// One writer at work. Precondition: the caller holds the lock of writers as long as this lives.
///
/// begin() leaves the rules as every writer wants to find them: what a killed process left is undone or
/// finished, an elapsed trial is settled, rules that are over are gone. commit() makes a change visible by
/// one store to control.epoch: before it nothing has changed for any packet, after it everything has. A
/// failure before that store takes back what was written; one after it leaves work for the next begin().
class Transaction {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Transaction>> begin(Tables& tables, World& world);

  [[nodiscard]] BootTime now() const { return now_; }
  [[nodiscard]] std::uint64_t now_ns() const { return static_cast<std::uint64_t>(now_.since_boot.count()); }

  /// The set of this name; nullopt if there is none.
  [[nodiscard]] Result<std::optional<std::uint32_t>> set_of(const SetName& name) { return sets_.find(name); }
  /// The sets of those names.
  [[nodiscard]] Result<SetMarks> sets_where(const std::function<bool(const SetName&)>& wanted);
  /// The rule of a set that is in force or on trial for this destination; null if there is none.
  [[nodiscard]] const egress_rule* rule_for(std::uint32_t set, const Destination& destination);

  /// Whether a trial waits for its confirmation, and of which policy.
  [[nodiscard]] bool trial_is_open();
  [[nodiscard]] Result<bool> on_trial(const std::optional<std::string>& policy);

  /// Makes the change, all or nothing; ids of the new rules in their order. `last` is called once, when
  /// all is written and right before it becomes visible: nothing is likely to fail any more.
  [[nodiscard]] Result<std::vector<RuleId>> commit(const Change& change, const std::function<void()>& last = {});

  /// Ids of the rules that went with their sets in the last commit(), in the order of their places.
  [[nodiscard]] std::vector<RuleId> take_gone() { return std::move(gone_); }

  /// Lets rules end at other moments. One store each, in no common moment.
  struct Deadline {
    std::uint32_t id;
    std::uint64_t expires_at;
  };
  [[nodiscard]] Result<void> set_deadlines(std::span<const Deadline> deadlines);

  /// Makes the change on trial permanent and removes what it replaced.
  [[nodiscard]] Result<void> confirm_trial();

 private:
  Transaction(Tables& tables, World& world, Maintenance maintenance);

  // transaction.cpp
  [[nodiscard]] Result<void> prepare(const Change& change, std::function<void()> last);
  [[nodiscard]] Result<void> check(const Change& change);
  [[nodiscard]] Result<void> check_room(std::size_t wanted);
  [[nodiscard]] Result<void> check_sets(const Change& change);
  [[nodiscard]] Result<void> check_set(std::uint32_t set, std::vector<egress_rule> added);
  [[nodiscard]] Result<void> write(const Change& change);
  void make_covers(const Change& change, std::uint32_t set_of_list);
  [[nodiscard]] Result<void> write_heads(std::uint32_t set_of_list);
  [[nodiscard]] Result<void> write_rules(const Change& change);
  [[nodiscard]] Result<void> make_records(const Change& change, const std::map<SetName, std::uint32_t>& set_of);
  [[nodiscard]] Result<void> write_counter(std::uint32_t id);
  [[nodiscard]] Result<void> write_new_list(const Change& change, std::uint32_t set);  // transaction_list.cpp
  [[nodiscard]] Result<void> link(const Change& change);
  void mark_removed(const Change& change);
  [[nodiscard]] Result<void> finish(const Change& change);
  [[nodiscard]] Result<std::vector<std::uint32_t>> choose_ids(std::size_t count);
  [[nodiscard]] Workbench bench() { return {tables_, world_, maintenance_, names_, sets_}; }
  void lower_next_deadline(const Change& change);
  void lower_next_deadline(std::uint64_t to);
  void raise_decides_until(std::uint32_t set, std::uint64_t to);

  // recovery.cpp
  [[nodiscard]] Result<void> repair();
  [[nodiscard]] Result<void> settle_trial();
  [[nodiscard]] Result<void> settle_flags(bool confirmed);
  [[nodiscard]] Result<void> sweep();
  [[nodiscard]] Result<void> clean_up(const std::unordered_set<std::uint32_t>& rules, Leftovers leftovers);
  [[nodiscard]] bool subject_is_gone(std::uint32_t set);
  [[nodiscard]] bool any_subject_is_gone();

  Tables& tables_;
  World& world_;
  Maintenance maintenance_;
  Names names_;
  Sets sets_;
  BootTime now_{};

  // Of the change under way.
  std::vector<std::uint32_t> ids_;
  std::vector<egress_rule> records_;  ///< of Change::added
  std::vector<RuleId> gone_;          ///< of Change::removed_sets
  std::uint32_t gone_actions_ = 0;    ///< theirs, a bit each
  std::vector<RuleSpec> list_kinds_;  ///< of Change::list
  bool replaced_runs_ = false;
  std::vector<std::uint32_t> outgrown_;  ///< covers of which packets that read the former epoch may still know
};

}  // namespace egress
