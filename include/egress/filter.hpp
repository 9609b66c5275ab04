// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "egress/error.hpp"
#include "egress/policy.hpp"
#include "egress/rule.hpp"
#include "egress/socket.hpp"

namespace egress {

/// Which instance: two instances with different pin directories and cgroup roots never touch each other.
struct Instance {
  std::string pin_dir = "/sys/fs/bpf/drop_egress_by_cgroup";
  std::string cgroup_root;  ///< absolute path in cgroupfs; empty = the cgroup v2 root of the host
};

constexpr std::uint32_t default_max_rules = 65536;
constexpr std::uint32_t default_max_map_rules = 65536;

/// Settings fixed when the program is loaded.
struct LoadSettings {
  /// 1 to 16,777,216. Subjects and policies have as many places, but no more than 65,536. nullopt: that of the
  /// instance, or default_max_rules.
  std::optional<std::uint32_t> max_rules;
  /// Room for rules that other tools write into the template's maps; as above.
  std::optional<std::uint32_t> max_map_rules = {};
  bool debug = false;  ///< print each verdict to the kernel's trace pipe
};

/// Told now and then how many of the steps of a long change are done. Called by the thread that makes it.
using Progress = std::function<void(std::size_t done, std::size_t all)>;

/// The three totals of the template's `stats`, summed over CPUs.
struct Totals {
  std::uint64_t packets_processed = 0;
  std::uint64_t packets_dropped = 0;
  std::uint64_t bytes_dropped = 0;
};

/// Rules to add for one subject, all or none.
struct Addition {
  Subject subject;
  std::vector<RuleSpec> rules;
  std::optional<std::string> policy;  ///< nullopt = the policy of no name
  bool replace = false;               ///< a rule of the same destination in the same policy and subject gives way
  Established established = Established::Keep;
  Progress progress = {};
  /// More rules, behind `rules`: one for each of these destinations, in all else like `of_list`. A million of them
  /// take a tenth of the memory and a fraction of the time.
  std::vector<Destination> list = {};
  RuleSpec of_list = {};
};

/// All of its rules, each by itself.
[[nodiscard]] std::vector<RuleSpec> rules_of(const Addition& addition);

/// Which rules `remove` takes.
struct Selection {
  std::vector<RuleId> ids;
  std::optional<Subject> subject;  ///< both scopes of the subject's name
  std::optional<std::string> policy;
  bool all = false;  ///< rules of the template's maps too
};

/// What `remove` took.
struct Removed {
  std::vector<RuleId> ids;  ///< of all, ascending
  std::vector<Rule> rules;  ///< the same; empty if they were more than the caller wants to be told
};

struct ApplyOptions {
  /// Without confirm() within this time the former rules are in force again, whoever is alive.
  std::optional<std::chrono::nanoseconds> confirm_within;
  /// What is cut stays cut, whether or not the change is confirmed.
  Established established = Established::Keep;
  Progress progress = {};
};

/// What an apply did, or (diff) would do.
struct PolicyDiff {
  struct Entry {
    Subject subject;
    RuleSpec rule;
    std::optional<RuleId> id;  ///< of a rule that exists
  };
  std::vector<Entry> added;
  std::vector<Entry> removed;
  std::vector<Entry> kept;  ///< their lifetime starts anew
};

/// Why a packet would pass or not; computed by the reference evaluator from the rules in the kernel.
struct Explanation {
  enum class Verdict : std::uint8_t { Pass, Drop, Reject };
  struct Step {
    std::string cgroup;  ///< path below the enforced root
    std::size_t rules_seen = 0;
    Verdict verdict = Verdict::Pass;
  };
  Verdict verdict = Verdict::Pass;
  std::optional<Rule> rule;   ///< the one that decides
  std::vector<RuleId> audit;  ///< audit rules that would count it
  std::vector<Step> path;     ///< from the cgroup up to the root of the enforced subtree
};

/// One loaded instance: rules in pinned maps, enforcement in pinned links. Moves, does not copy.
///
/// Every change is atomic: a packet sees all of it or none, and after SIGKILL at any point the next
/// change, by any process, finds either the old or the new state. Writers exclude each other by a lock
/// that the kernel releases when they die; readers take none. Needs root (CAP_BPF, CAP_NET_ADMIN,
/// CAP_PERFMON, and access to the pin directory). Not safe for use by several threads at once.
class Filter {
 public:
  /// Opens a loaded instance. NotFound if it is not loaded; Failed if its pins are of another version or
  /// have been tampered with (the old program keeps enforcing).
  [[nodiscard]] static Result<Filter> open(const Instance& instance);

  /// Loads the program, or replaces the program of a loaded instance without a gap; rules and counters stay.
  [[nodiscard]] static Result<Filter> load(const Instance& instance, const LoadSettings& settings);

  /// What to load with before more rules are made, if nothing judges packets because the pin of that link is missing:
  /// a loader was killed, or somebody removed it. Rules stay. nullopt if it is there.
  [[nodiscard]] std::optional<LoadSettings> unattached() const;

  /// After load(): the parts of the program that this kernel refused, each "name: what it said".
  [[nodiscard]] const std::vector<std::string>& missing() const;

  /// Takes everything of the instance off, whoever holds what; a command at work is waited for, two seconds at most.
  /// Finds links by kernel id when pins cannot be read. NotFound if there is nothing.
  [[nodiscard]] static Result<void> unload(const Instance& instance);

  Filter(Filter&&) noexcept;
  Filter& operator=(Filter&&) noexcept;
  ~Filter();

  /// Ids of the new rules in the order of addition.rules, then of its list. Sockets that are to be cut are destroyed
  /// right before the rules are in force, so that their peers get a reset, and once more behind it. An error after that
  /// says so.
  [[nodiscard]] Result<std::vector<RuleId>> add(const Addition& addition);

  /// The rules that went. NotFound if an id does not exist; then nothing changes.
  [[nodiscard]] Result<std::vector<Rule>> remove(const Selection& selection);
  /// Of more rules than `most_told` the ids alone: to remove a million by their subject or all at once takes less
  /// time than to tell of them.
  [[nodiscard]] Result<Removed> remove(const Selection& selection, std::size_t most_told);

  /// Lets the rule end `lifetime` from now (nullopt = never).
  [[nodiscard]] Result<Rule> extend(RuleId id, Lifetime lifetime);

  /// Rules that are not over, those of other tools included, in the order of their ids.
  [[nodiscard]] Result<std::vector<Rule>> rules() const;
  [[nodiscard]] Result<Totals> totals() const;

  /// Precondition: destination names one address, and a protocol and port where a rule could ask for them.
  [[nodiscard]] Result<Explanation> explain(const Subject& subject, const Destination& destination) const;

  [[nodiscard]] Result<PolicyDiff> diff(const Policy& policy) const;
  /// With ApplyOptions::established all rules of the policy count, those that stay included.
  [[nodiscard]] Result<PolicyDiff> apply(const Policy& policy, const ApplyOptions& options);

  /// What the last add() or apply() of this object cut.
  [[nodiscard]] const CutReport& cut() const;

  /// What rules like these would mean for the sockets that there are; changes nothing. `supposed`: connected sockets
  /// to judge as if they existed, unless one with the same addresses and ports does, which is then judged instead.
  /// `wants_stopped` is asked where no process of the subject holds a socket, so that none can be foreign: to find
  /// which are stopped takes a listing of every socket. Empty = they are wanted.
  [[nodiscard]] Result<Reach> reach(const Addition& addition, std::span<const Socket> supposed = {},
                                    const std::function<bool()>& wants_stopped = {}) const;
  [[nodiscard]] Result<Reach> reach(const Policy& policy, std::span<const Socket> supposed = {},
                                    const std::function<bool()>& wants_stopped = {}) const;

  /// Destroys sockets that reach() told of, whatever the rules are. UDP sockets are disconnected by it, and can be
  /// used again by who holds them.
  [[nodiscard]] CutReport destroy(std::span<const Socket> sockets) const;

  /// Makes the last apply with confirm_within permanent. NotFound if none waits.
  [[nodiscard]] Result<void> confirm();

  /// The rules of each policy (nullopt = the policy of no name) as policies that apply back to the same rules.
  [[nodiscard]] Result<std::vector<Policy>> policies() const;

  /// Now, on the clock that deadlines are judged by.
  [[nodiscard]] Result<BootTime> now() const;

  /// Puts the subject's `id N`, `pid N`, path or unit into canonical form. NotFound for an id or process
  /// that does not exist.
  [[nodiscard]] Result<Subject> subject_of_pid(int pid, Subject::Scope scope) const;
  [[nodiscard]] Result<Subject> subject_of_path(std::string_view path, Subject::Scope scope) const;

  /// The cgroups that a subject names now; empty for one that is to come.
  [[nodiscard]] std::vector<CgroupId> cgroups_of(const Subject& subject) const;

  /// Where a cgroup is below the enforced root of this instance; nullopt if it is gone or elsewhere.
  [[nodiscard]] std::optional<std::string> path_of(CgroupId id) const;

  struct Parts;  ///< not part of the API
  explicit Filter(std::unique_ptr<Parts> parts);
  [[nodiscard]] Parts& parts() const { return *parts_; }

 private:
  std::unique_ptr<Parts> parts_;
};

}  // namespace egress
