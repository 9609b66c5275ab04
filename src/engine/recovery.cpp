// SPDX-License-Identifier: GPL-2.0
#include <algorithm>

#include "engine/records.hpp"
#include "engine/sieve.hpp"
#include "engine/transaction.hpp"

/// What begin() does before a change: undo or finish what a killed writer left, settle a trial, sweep.
namespace egress {

namespace {

constexpr std::uint32_t trial_flags = EGRESS_RULE_TRIAL_NEW | EGRESS_RULE_TRIAL_OLD;

bool is_on_trial(const egress_rule& rule) { return (rule.flags & trial_flags) != 0; }

std::uint8_t without(const egress_rule& rule, std::uint32_t flags) {
  return static_cast<std::uint8_t>(rule.flags & ~flags);
}

}  // namespace

Transaction::Transaction(Tables& tables, World& world, Maintenance maintenance)
    : tables_(tables),
      world_(world),
      maintenance_(std::move(maintenance)),
      names_(tables, world),
      sets_(tables, world, names_) {}

Result<std::unique_ptr<Transaction>> Transaction::begin(Tables& tables, World& world) {
  auto maintenance = Maintenance::take(tables, world);
  if (!maintenance) return std::move(maintenance).error();
  std::unique_ptr<Transaction> self(new Transaction(tables, world, std::move(*maintenance)));
  auto now = world.now();
  if (!now) return std::move(now).error();
  self->now_ = *now;
  egress_control& control = tables.control();
  if (control.epoch == 0) tables.store(control.epoch, 1u);
  if (auto done = self->repair(); !done) return std::move(done).error();
  if (auto done = self->settle_trial(); !done) return std::move(done).error();
  if (auto done = self->sweep(); !done) return std::move(done).error();
  return self;
}

/// `pending` other than `epoch`: the writer died (or failed) before the flip, and what it wrote is undone.
/// `pending` equal to `epoch`: it died after it, and only its cleaning is done again.
Result<void> Transaction::repair() {
  egress_control& control = tables_.control();
  if (control.pending == 0) return {};
  std::unordered_set<std::uint32_t> gone;
  bool undone_trial = false;
  for (egress_rule& rule : tables_.rules()) {
    if (rule.id == 0) continue;
    if (unborn(rule, control.epoch)) {
      undone_trial |= is_on_trial(rule);
      gone.insert(rule.id);
      continue;
    }
    const bool to_go = goes(rule) && visible(rule, control.epoch);
    if (goes(rule) && !to_go) continue;
    // Visible until now and from now on: whatever says that it goes was never decided.
    if ((rule.flags & EGRESS_RULE_TRIAL_OLD) != 0) {
      undone_trial = true;
      store_flags(tables_, rule, without(rule, EGRESS_RULE_TRIAL_OLD));
    }
    if (to_go) tables_.store(rule.turn, 0u);
  }
  if (undone_trial) tables_.store(control.trial_deadline, std::uint64_t{EGRESS_FOREVER});
  for (const std::uint32_t id :
       rules_where(tables_, [&](const egress_rule& rule) { return dead(rule, control.epoch); })) {
    gone.insert(id);
  }
  // Packets that read the epoch before the flip may still be on their way.
  world_.wait_for_readers();
  maintenance_.assume_lost();
  if (auto done = clean(bench(), gone, Leftovers::Any); !done) return done;
  // One who was killed in cleaning may have left bits of rules that have no record any more.
  rebuild_sieve(tables_);
  for (egress_rule& rule : tables_.rules()) {
    if (rule.id != 0 && comes(rule)) tables_.store(rule.turn, 0u);
  }
  tables_.store(control.pending, 0u);
  return {};
}

/// Cleaning without a change: `pending` tells the next writer and the sweep of the kernel about it.
Result<void> Transaction::clean_up(const std::unordered_set<std::uint32_t>& rules, Leftovers leftovers) {
  tables_.store(tables_.control().pending, tables_.control().epoch);
  if (auto done = clean(bench(), rules, leftovers); !done) return done;
  tables_.store(tables_.control().pending, 0u);
  return {};
}

bool Transaction::trial_is_open() {
  const egress_control& control = tables_.control();
  return control.trial_deadline != EGRESS_FOREVER && !rules_where(tables_, is_on_trial).empty();
}

Result<bool> Transaction::on_trial(const std::optional<std::string>& policy) {
  if (!trial_is_open()) return false;
  for (const std::uint32_t id : rules_where(tables_, is_on_trial)) {
    auto name = sets_.name_of(slot_of(tables_, id).set);
    if (!name) return std::move(name).error();
    if (*name && (*name)->policy == policy) return true;
  }
  return false;
}

Result<void> Transaction::settle_trial() {
  egress_control& control = tables_.control();
  if (control.on_trial == 0 || rules_where(tables_, is_on_trial).empty()) {
    if (control.trial_deadline != EGRESS_FOREVER) tables_.store(control.trial_deadline, std::uint64_t{EGRESS_FOREVER});
    if (control.on_trial != 0) tables_.store(control.on_trial, 0u);
    return {};
  }
  if (control.trial_deadline == EGRESS_FOREVER) return settle_flags(/*confirmed=*/true);
  if (control.trial_deadline > now_ns()) return {};
  if (auto done = settle_flags(/*confirmed=*/false); !done) return done;
  tables_.store(control.trial_deadline, std::uint64_t{EGRESS_FOREVER});
  return {};
}

/// Makes plain rules of what the trial decided. At each store a rule is in force exactly as before it.
Result<void> Transaction::settle_flags(bool confirmed) {
  const std::uint32_t epoch = tables_.control().epoch;
  std::unordered_set<std::uint32_t> gone;
  for (egress_rule& rule : tables_.rules()) {
    if (rule.id == 0 || !is_on_trial(rule)) continue;
    const bool is_new = (rule.flags & EGRESS_RULE_TRIAL_NEW) != 0;
    if (is_new != confirmed) {
      // Out of force by its trial flag, which therefore stays as long as the record does.
      gone.insert(rule.id);
      if (is_new) tables_.store(rule.turn, turn_to_go(epoch));
      continue;
    }
    if (!is_new) tables_.store(rule.turn, 0u);
    store_flags(tables_, rule, without(rule, trial_flags));
  }
  return gone.empty() ? Result<void>() : clean_up(gone, Leftovers::Own);
}

Result<void> Transaction::confirm_trial() {
  tables_.store(tables_.control().trial_deadline, std::uint64_t{EGRESS_FOREVER});
  // It is confirmed; cleaning that fails is done by the next writer.
  static_cast<void>(settle_trial());
  return {};
}

bool Transaction::subject_is_gone(std::uint32_t set) {
  const auto sets = tables_.sets();
  if (set == 0 || set >= sets.size()) return false;
  const egress_anchor& anchor = tables_.anchors()[sets[set].anchor % tables_.anchors().size()];
  return anchor.kind == EGRESS_ANCHOR_ID && has_ended(tables_, world_, CgroupId{anchor.cgroup_id});
}

bool Transaction::any_subject_is_gone() {
  return std::ranges::any_of(known_anchors(tables_), [this](const egress_anchor& anchor) {
    return anchor.kind == EGRESS_ANCHOR_ID && has_ended(tables_, world_, CgroupId{anchor.cgroup_id});
  });
}

/// Looks at the rules only if one of them may be over, or the kernel's sweep was there.
Result<void> Transaction::sweep() {
  egress_control& control = tables_.control();
  const std::uint32_t sweeps = load(control.sweeps);
  const bool swept_by_kernel = sweeps != control.sweeps_seen;
  if (!swept_by_kernel && now_ns() < control.next_deadline && !any_subject_is_gone()) return {};
  std::map<std::uint32_t, bool> subject_gone;
  std::unordered_set<std::uint32_t> gone;
  std::uint64_t next_deadline = trial_is_open() ? control.trial_deadline : EGRESS_FOREVER;
  for (const egress_rule& rule : tables_.rules()) {
    if (rule.id == 0) continue;
    const auto [known, fresh] = subject_gone.try_emplace(rule.set, false);
    if (fresh) known->second = subject_is_gone(rule.set);
    if (rule.expires_at <= now_ns() || dead(rule, control.epoch) || known->second) {
      gone.insert(rule.id);
    } else {
      next_deadline = std::min<std::uint64_t>(next_deadline, rule.expires_at);
    }
  }
  // The kernel's sweep removes rules, and leaves empty sets, their shapes, and bits in the sieve.
  if (swept_by_kernel || !gone.empty()) {
    if (auto done = clean_up(gone, Leftovers::Swept); !done) return done;
    if (swept_by_kernel) rebuild_sieve(tables_);
    tables_.store(control.sweeps_seen, sweeps);
  }
  tables_.store(control.next_deadline, next_deadline);
  return {};
}

}  // namespace egress
