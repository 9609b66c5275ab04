// SPDX-License-Identifier: GPL-2.0
#include "engine/transaction.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

#include "engine/covers.hpp"
#include "engine/index.hpp"
#include "engine/reasons.hpp"
#include "engine/records.hpp"
#include "engine/sieve.hpp"

namespace egress {

namespace {

/// Ids from here on are free for listing rules of `drop_configs` whose own id is taken.
constexpr std::uint32_t ids_end = 0x80000000u;

/// Of more rules than these in one change the datapath makes the counters, each with the first packet that it
/// counts: a system call and a place on every CPU for each would be most of the cost.
constexpr std::size_t counters_made_ahead = 4096;

/// Rules between two reports of progress.
constexpr std::size_t progress_step = 4096;

/// How often a change is written when a sweep took over from a process that stood still.
constexpr int write_attempts = 3;

std::size_t size_of(const Change& change) {
  return change.added.size() + (change.list ? change.list->destinations.size() : 0);
}

std::set<SetName> places_of(const Change& change) {
  std::set<SetName> places;
  const SetName* last = nullptr;  // mostly it is the same again
  for (const NewRule& rule : change.added) {
    if (last == nullptr || rule.place != *last) places.insert(rule.place);
    last = &rule.place;
  }
  if (change.list) places.insert(change.list->place);
  return places;
}

Result<void> check_subject(const World& world, const Subject& subject) {
  if (subject.kind == Subject::Kind::Id) {
    if (world.path_of(id_of(subject))) return {};
    return Error{ErrorKind::NotFound,
                 "",
                 "id " + subject.name,
                 "no such cgroup",
                 "rules for future cgroups are made by name: cgroup PATH, unit NAME",
                 0};
  }
  if (subject.kind == Subject::Kind::Path && components(subject.name).size() >= EGRESS_LEVELS_MAX) {
    return Error{ErrorKind::Failed,
                 "",
                 format(subject),
                 "more than " + std::to_string(EGRESS_LEVELS_MAX - 1) + " levels below the root",
                 "choose a cgroup root further down: --cgroup-root DIR",
                 0};
  }
  return {};
}

Error no_room_in_index() {
  return Error{ErrorKind::Failed,
               "",
               "index of rules",
               "no room for more prefix lengths and kinds of port",
               "unload, then load with a larger size, which helps up to 65536: egress load --max-rules N",
               0};
}

Error rule_table_full(Tables& tables, std::size_t wanted) {
  const auto used = rules_where(tables, [](const egress_rule&) { return true; }).size();
  return Error{ErrorKind::Failed,
               "",
               std::to_string(wanted) + (wanted == 1 ? " rule" : " rules"),
               "rule table full (" + std::to_string(used) + "/" + std::to_string(tables.rules().size()) + ")",
               "remove rules, or unload, then load with a larger table: egress load --max-rules N",
               0};
}

/// Whether rules of these actions (a bit each) can go one after another: what a packet meets of them while they do, it
/// decides as if all of them were there, and if it meets none, as if none were. An allow rule would be missed by some
/// that a drop rule still stops, and a set that rejects and drops would do the one for the other.
bool forbid_alike(std::uint32_t actions) {
  return actions == 1u << EGRESS_ACTION_DROP || actions == 1u << EGRESS_ACTION_REJECT;
}

/// Whether other tools use an id. Few ids are asked for one by one: the map may hold many.
class DoorIds {
 public:
  [[nodiscard]] static Result<DoorIds> of(Tables& tables, std::size_t wanted) {
    DoorIds doors(tables);
    if (wanted <= few) return doors;
    auto entries = tables.drop_configs().entries();
    if (!entries) return std::move(entries).error();
    doors.all_.emplace();
    for (const auto& [id, config] : *entries) doors.all_->insert(id);
    return doors;
  }

  [[nodiscard]] Result<bool> contain(std::uint32_t id) const {
    if (all_) return all_->contains(id);
    auto found = tables_.drop_configs().get(id);
    if (!found) return std::move(found).error();
    return found->has_value();
  }

 private:
  static constexpr std::size_t few = 64;

  explicit DoorIds(Tables& tables) : tables_(tables) {}

  Tables& tables_;
  std::optional<std::unordered_set<std::uint32_t>> all_;
};

}  // namespace

Result<SetMarks> Transaction::sets_where(const std::function<bool(const SetName&)>& wanted) {
  const auto sets = known_sets(tables_);
  SetMarks marks(sets.size());
  for (std::uint32_t i = 1; i < sets.size(); ++i) {
    if ((sets[i].flags & EGRESS_SET_USED) == 0) continue;
    auto name = sets_.name_of(i);
    if (!name) return std::move(name).error();
    marks[i] = *name && wanted(**name);
  }
  return marks;
}

const egress_rule* Transaction::rule_for(std::uint32_t set, const Destination& destination) {
  return find_rule(tables_, set, destination, tables_.control().epoch);
}

Result<std::vector<RuleId>> Transaction::commit(const Change& change, const std::function<void()>& last) {
  std::vector<RuleId> given;
  if (size_of(change) == 0 && change.removed.empty() && change.removed_sets.empty()) return given;
  list_kinds_ = change.list ? kinds_of(*change.list) : std::vector<RuleSpec>();
  if (auto done = check(change); !done) return std::move(done).error();
  if (auto done = prepare(change, last); !done) return std::move(done).error();
  tables_.store(tables_.control().epoch, tables_.control().pending);
  // The change is made; cleaning that fails is done by the next writer.
  static_cast<void>(finish(change));
  given.reserve(ids_.size());
  for (const std::uint32_t id : ids_) given.push_back(RuleId{id});
  return given;
}

/// Everything before the flip.
Result<void> Transaction::prepare(const Change& change, std::function<void()> last) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    auto ids = choose_ids(size_of(change));
    if (!ids) return std::move(ids).error();
    ids_ = std::move(*ids);
    auto done = write(change);
    if (done && !maintenance_.was_lost() && last) {
      // It may take its time, and is done once.
      std::exchange(last, {})();
      done = maintenance_.renew();
    }
    if (done && !maintenance_.was_lost()) return {};
    // What was written is as invisible as what a killed process leaves. If it cannot be undone now either,
    // the next writer does it.
    auto undone = repair();
    if (!done) return done;
    if (!undone) return undone;
  }
  return Error{ErrorKind::Failed, "", "rules", "the kernel's sweep came between again and again", "try again", 0};
}

Result<void> Transaction::check(const Change& change) {
  for (const SetName& place : places_of(change)) {
    if (auto done = check_subject(world_, place.subject); !done) return done;
  }
  if (auto done = check_room(size_of(change)); !done) return done;
  return check_sets(change);
}

/// Free places are looked for where the next ids lead: few rules find room after few looks.
Result<void> Transaction::check_room(std::size_t wanted) {
  const std::size_t size = tables_.rules().size();
  const std::uint32_t first = tables_.control().next_id;
  std::size_t room = 0;
  for (std::uint32_t i = 0; i < size && room < wanted; ++i) room += slot_of(tables_, first + i).id == 0;
  return room >= wanted ? Result<void>() : rule_table_full(tables_, wanted);
}

/// Rules that go still stand beside those that come until the flip, so both count.
Result<void> Transaction::check_sets(const Change& change) {
  std::map<SetName, std::vector<egress_rule>> rules;
  auto last = rules.end();
  for (const NewRule& rule : change.added) {
    if (last == rules.end() || last->first != rule.place) last = rules.try_emplace(rule.place).first;
    last->second.push_back(encode_rule(rule.spec, {RuleId{1}, 0, 0, now_}));
  }
  for (const RuleSpec& kind : list_kinds_) {
    rules[change.list->place].push_back(encode_rule(kind, {RuleId{1}, 0, 0, now_}));
  }
  std::vector<SetName> fresh;
  for (auto& [name, added] : rules) {
    auto set = sets_.find(name);
    if (!set) return std::move(set).error();
    if (!*set) fresh.push_back(name);
    if (auto done = check_set(set->value_or(0), std::move(added)); !done) {
      done.error().object = format(name.subject);
      return done;
    }
  }
  return fresh.empty() ? Result<void>() : sets_.check_depth(fresh);
}

/// set: 0 = none yet.
Result<void> Transaction::check_set(std::uint32_t set, std::vector<egress_rule> added) {
  SetSummary summary;
  for (const egress_rule& rule : added) {
    if (auto done = summary.include(rule); !done) return done;
  }
  const bool present = set != 0 && set < tables_.sets().size();
  for (std::uint32_t list = 0; list < EGRESS_LISTS && present; ++list) {
    for (const egress_shape& shape : read_list(tables_, tables_.sets()[set].lists[list])) {
      summary.include_shape(static_cast<egress_list>(list), shape);
    }
  }
  // The rules of a large set are not looked at one by one if that can say nothing.
  if (has_simple_shapes(summary) && summary.refusing.empty()) return {};
  for (const egress_rule& rule : tables_.rules()) {
    if (!present || rule.id == 0 || rule.set != set) continue;
    added.push_back(rule);
    added.back().set = 0;
  }
  return check_steps(added);
}

Result<std::vector<std::uint32_t>> Transaction::choose_ids(std::size_t count) {
  std::vector<std::uint32_t> ids;
  if (count == 0) return ids;
  auto taken = DoorIds::of(tables_, count);
  if (!taken) return std::move(taken).error();
  const std::size_t size = tables_.rules().size();
  std::vector<bool> chosen(size);
  for (std::uint32_t id = std::max(tables_.control().next_id, 1u); ids.size() < count; ++id) {
    if (id >= ids_end) {
      return Error{ErrorKind::Failed, "", "rule ids", "all were given out", "unload, then load", 0};
    }
    if (slot_of(tables_, id).id != 0 || chosen[id % size]) continue;
    auto of_door = taken->contain(id);
    if (!of_door) return std::move(of_door).error();
    if (*of_door) continue;
    ids.push_back(id);
    chosen[id % size] = true;
  }
  return ids;
}

Result<void> Transaction::write(const Change& change) {
  egress_control& control = tables_.control();
  if (auto done = maintenance_.renew(); !done) return done;
  maintenance_.start_afresh();
  tables_.store(control.pending, following(control.epoch));
  if (change.trial_deadline) tables_.store(control.on_trial, 1u);
  if (!ids_.empty()) tables_.store(control.next_id, ids_.back() + 1);
  const std::set<SetName> places = places_of(change);
  std::set<Subject> subjects;
  for (const SetName& place : places) subjects.insert(place.subject);
  if (auto done = names_.ensure(std::vector(subjects.begin(), subjects.end())); !done) return done;
  std::map<SetName, std::uint32_t> set_of;
  for (const SetName& place : places) {
    auto set = sets_.ensure(place);
    if (!set) return std::move(set).error();
    set_of[place] = *set;
  }
  if (auto done = make_records(change, set_of); !done) return done;
  const std::uint32_t set_of_list = change.list ? set_of[change.list->place] : 0;
  make_covers(change, set_of_list);
  if (auto done = write_heads(set_of_list); !done) return done;
  if (auto done = write_rules(change); !done) return done;
  if (auto done = link(change); !done) return done;
  if (change.list) {
    if (auto done = write_new_list(change, set_of_list); !done) return done;
  }
  mark_removed(change);
  return maintenance_.renew();
}

Result<void> Transaction::make_records(const Change& change, const std::map<SetName, std::uint32_t>& set_of) {
  records_.clear();
  records_.reserve(change.added.size());
  Reasons reasons(tables_);
  auto place = set_of.begin();
  for (std::size_t i = 0; i < change.added.size(); ++i) {
    const NewRule& rule = change.added[i];
    if (place->first != rule.place) place = set_of.find(rule.place);
    if (auto done = maintenance_.beat(); !done) return done;
    auto reason = reasons.number_of(rule.spec.reason);
    if (!reason) return std::move(reason).error();
    const RulePlace at{RuleId{ids_[i]}, place->second, tables_.control().pending, now_, *reason};
    records_.push_back(encode_rule(rule.spec, at));
    if (change.trial_deadline) records_.back().flags |= EGRESS_RULE_TRIAL_NEW;
  }
  return {};
}

/// Each set gets a bitmap for what it is going to hold.
void Transaction::make_covers(const Change& change, std::uint32_t set_of_list) {
  std::map<std::uint32_t, std::size_t> added;
  for (const egress_rule& record : records_) ++added[record.set];
  if (change.list) added[set_of_list] += change.list->destinations.size();
  for (const auto& [set, rules] : added) {
    if (const std::uint32_t outgrown = fit_cover(tables_, set, rules); outgrown != 0) outgrown_.push_back(outgrown);
  }
}

/// Before a rule is visible, packets must look for its shape and know that its set decides.
Result<void> Transaction::write_heads(std::uint32_t set_of_list) {
  std::map<std::uint32_t, SetSummary> summaries;
  for (const egress_rule& record : records_) {
    if (auto done = maintenance_.beat(); !done) return done;
    if (auto done = summaries[record.set].include(record); !done) return done;
  }
  for (const RuleSpec& kind : list_kinds_) {
    const RulePlace place{RuleId{ids_.back()}, set_of_list, tables_.control().pending, now_};
    if (auto done = summaries[set_of_list].include(encode_rule(kind, place)); !done) return done;
  }
  std::optional<RunSpace> space;  // to make it looks at every set
  const auto write = [&](egress_run& run, std::span<const egress_shape> shapes) {
    if (!space) space.emplace(tables_);
    return write_list(tables_, *space, run, shapes);
  };
  replaced_runs_ = false;
  for (auto& [index, summary] : summaries) {
    egress_set& set = tables_.sets()[index];
    for (std::uint32_t list = 0; list < EGRESS_LISTS; ++list) {
      const auto present = read_list(tables_, set.lists[list]);
      for (const egress_shape& shape : present) summary.include_shape(static_cast<egress_list>(list), shape);
      if (same_shapes(present, summary.lists[list])) continue;
      replaced_runs_ |= !present.empty();
      if (!write(set.lists[list], summary.lists[list])) return no_room_in_index();
    }
    const auto refusing = read_list(tables_, set.refusing);
    for (const egress_shape& rule : refusing) {
      if (slot_of(tables_, rule.rule).id == rule.rule) summary.include_refusing(rule);
    }
    if (!same_shapes(refusing, summary.refusing)) {
      replaced_runs_ |= !refusing.empty();
      if (!write(set.refusing, summary.refusing)) return no_room_in_index();
    }
    if (summary.audit) tables_.store(set.flags, set.flags | EGRESS_SET_AUDIT);
    raise_decides_until(index, summary.decides_until);
  }
  return {};
}

/// The record comes first: whatever else belongs to a rule can then be found by it and taken back.
Result<void> Transaction::write_rules(const Change& change) {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (auto done = maintenance_.beat(); !done) return done;
    if (change.progress && i % progress_step == 0) change.progress(i, 2 * records_.size());
    store_rule(tables_, records_[i]);
    enter_into_sieve(tables_, records_[i]);
    if (auto done = write_counter(ids_[i]); !done) return done;
  }
  return {};
}

Result<void> Transaction::write_counter(std::uint32_t id) {
  if (ids_.size() > counters_made_ahead) return {};
  auto done = tables_.create_counter(EGRESS_COUNTER_RULE | id);
  // Without room for it the rule is enforced all the same, and status tells what is not counted.
  return !done && done.error().code == E2BIG ? Result<void>() : done;
}

Result<void> Transaction::link(const Change& change) {
  const std::span<const std::uint32_t> ids(ids_.data(), records_.size());
  for (std::size_t i = 0; i < ids.size(); i += progress_step) {
    if (change.progress) change.progress(ids.size() + i, 2 * ids.size());
    const auto part = ids.subspan(i, std::min(progress_step, ids.size() - i));
    if (auto done = link_rules(tables_, maintenance_, part); !done) return done;
  }
  return {};
}

void Transaction::mark_removed(const Change& change) {
  egress_control& control = tables_.control();
  if (change.trial_deadline) {
    tables_.store(control.trial_deadline, *change.trial_deadline);
    lower_next_deadline(*change.trial_deadline);
  }
  for (const std::uint32_t id : change.removed) {
    egress_rule& rule = slot_of(tables_, id);
    if (rule.id != id) continue;  // over, and swept while a lease had ended
    if (change.trial_deadline) {
      store_flags(tables_, rule, static_cast<std::uint8_t>(rule.flags | EGRESS_RULE_TRIAL_OLD));
    }
    tables_.store(rule.turn, turn_to_go(control.pending));
  }
  lower_next_deadline(change);
  if (change.removed_sets.empty()) return;
  gone_.clear();
  gone_actions_ = 0;
  gone_.reserve(tables_.rules().size());  // of what is not used nothing comes to be: growing would copy a million
  const std::uint32_t turn = turn_to_go(control.pending);
  for (egress_rule& rule : tables_.rules()) {
    if (rule.id == 0 || !is_of(rule, change.removed_sets)) continue;
    tables_.store(rule.turn, turn);
    gone_.push_back(RuleId{rule.id});
    gone_actions_ |= 1u << rule.action % 32u;
  }
}

/// To the ends of the rules that come.
void Transaction::lower_next_deadline(const Change& change) {
  for (const egress_rule& record : records_) lower_next_deadline(record.expires_at);
  if (change.list) lower_next_deadline(encode_expiry(now_, change.list->like.lifetime));
}

void Transaction::lower_next_deadline(std::uint64_t to) {
  if (to < tables_.control().next_deadline) tables_.store(tables_.control().next_deadline, to);
}

void Transaction::raise_decides_until(std::uint32_t set, std::uint64_t to) {
  if (set >= tables_.sets().size()) return;  // a record that was tampered with
  egress_set& head = tables_.sets()[set];
  if (to > head.decides_until) tables_.store(head.decides_until, to);
}

Result<void> Transaction::finish(const Change& change) {
  const bool takes_sets = !change.removed_sets.empty();
  const bool removes = takes_sets || (!change.removed.empty() && !change.trial_deadline);
  // Packets that read the former epoch still need the rules that went, and the lists that were replaced.
  const bool needed = removes && !(takes_sets && forbid_alike(gone_actions_));
  if (needed || replaced_runs_ || !outgrown_.empty()) world_.wait_for_readers();
  for (const std::uint32_t cover : std::exchange(outgrown_, {})) clear_cover(tables_, cover);
  if (takes_sets) {
    if (auto done = clean_sets(bench(), change.removed_sets, change.others); !done) return done;
  } else if (removes) {
    const std::unordered_set<std::uint32_t> gone(change.removed.begin(), change.removed.end());
    if (auto done = clean(bench(), gone, Leftovers::Own); !done) return done;
  }
  if (removes) clear_lost_covers(tables_);  // who could go by them was waited for
  for (const std::uint32_t id : ids_) tables_.store(slot_of(tables_, id).turn, 0u);
  // Again: a sweep that came between may have stored what it knew before.
  lower_next_deadline(change);
  tables_.store(tables_.control().pending, 0u);
  return {};
}

Result<void> Transaction::set_deadlines(std::span<const Deadline> deadlines) {
  std::set<std::uint32_t> touched;
  for (const Deadline& deadline : deadlines) {
    egress_rule& rule = slot_of(tables_, deadline.id);
    if (rule.id != deadline.id) continue;
    lower_next_deadline(deadline.expires_at);
    if (rule.action != EGRESS_ACTION_AUDIT) raise_decides_until(rule.set, deadline.expires_at);
    tables_.store(rule.expires_at, deadline.expires_at);
    if (rule.set < tables_.sets().size()) touched.insert(rule.set);
  }
  std::map<std::uint32_t, std::uint64_t> decides_until;
  for (const egress_rule& rule : tables_.rules()) {
    if (rule.id == 0 || rule.action == EGRESS_ACTION_AUDIT || !touched.contains(rule.set)) continue;
    decides_until[rule.set] = std::max<std::uint64_t>(decides_until[rule.set], rule.expires_at);
  }
  for (const auto& [set, until] : decides_until) {
    if (tables_.sets()[set].decides_until != until) tables_.store(tables_.sets()[set].decides_until, until);
  }
  return {};
}

}  // namespace egress
