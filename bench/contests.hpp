// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <list>
#include <string>
#include <vector>

#include "lab.hpp"
#include "stores.hpp"
#include "turns.hpp"

namespace egress::bench {

/// What the parent makes and clears up. `none` and `empty` are cgroups without filter and with an empty program;
/// cgroups of the peers are below `peers`.
struct Field {
  Field();

  test::PrivateInstance instance{"bench"};   ///< with all lists, for packets
  std::list<test::PrivateInstance> present;  ///< one of each list of loaded_lists(), for commands
  test::PrivateInstance unloaded{"bench-load"};
  test::PrivateCgroup none{"bench-none"}, empty{"bench-empty"}, peers{"bench-peers"};
};

/// Of the cgroup with this list, below the root of Field::instance: "/exact100".
[[nodiscard]] std::string path_of(const List& list);
/// The lists that cgroups of Field::instance have, one each.
[[nodiscard]] std::vector<List> judged_lists(Family family);
/// The lists that are loaded and removed by commands.
[[nodiscard]] std::vector<List> loaded_lists();

/// What the child makes of it.
struct Ground {
  struct Lpm {
    List list;
    Place place;
    int program = -1;
    double milliseconds = 0;  ///< to fill it, a system call each
    double bytes = 0;
  };

  explicit Ground(const Field& made_by_parent);

  /// All that filter a list of this kind: where their packets are judged.
  struct Judge {
    std::string who;
    List list;
    Place place;
    int program = -1;  ///< if it is one
    [[nodiscard]] std::string name() const { return name_of(who, list); }
  };
  [[nodiscard]] std::vector<Judge> judges(Family family) const;
  /// Those of IPv4 with the shortest list, the longest, and networks.
  [[nodiscard]] std::vector<Judge> few_judges() const;
  [[nodiscard]] std::string cgroup_of(const List& list) const;
  [[nodiscard]] Place here(const std::string& cgroup) const { return {cgroup, network}; }

  const Field& field;
  int network = -1;
  int other_network = -1;  ///< as peers have one, without filter
  int program = -1;        ///< ours
  std::vector<Attached> kept = {};
  int empty_program = -1;
  std::vector<Lpm> lpms = {};
  Stores stores = {};  ///< ours first
};

/// Empty contenders, by name.
constexpr const char* no_filter = "no filter";
constexpr const char* empty_program = "empty program";
constexpr const char* free_cgroup = "egress, cgroup without rules";
constexpr const char* free_deeper = "egress, cgroup without rules, 4 levels deeper";
constexpr const char* one_deeper = "egress, 1 exact, 4 levels deeper";
constexpr const char* endless_match = "egress, match without end";
constexpr const char* deadline_match = "egress, match with a deadline";

/// BPF_PROG_TEST_RUN: nanoseconds a packet, all to one destination.
[[nodiscard]] Table contest_hot(const Ground& ground, Family family);
/// Each to the next of STRANGERS, without anything between: the code is warm, what it reads of rules is not.
[[nodiscard]] Table contest_back_to_back(const Ground& ground, Family family);
/// A packet of another destination each time, a system call for each, which leaves neither warm.
[[nodiscard]] Table contest_cold(const Ground& ground, Family family);

/// Sends a second of UDP sockets, all to one destination or each to the next of many.
[[nodiscard]] Table contest_sends(const Ground& ground, Family family);
[[nodiscard]] Table contest_sends_to_many(const Ground& ground, Family family);
/// To one by a socket that is not connected, as those to many are: what the hooks of such calls take.
[[nodiscard]] Table contest_unconnected_sends(const Ground& ground);
/// The same, each send refused.
[[nodiscard]] Table contest_drops(const Ground& ground);

/// TCP, one byte there and back; and megabytes a second.
[[nodiscard]] Table contest_round_trips(const Ground& ground);
[[nodiscard]] Table contest_throughput(const Ground& ground);

/// What commands cost, by the clock and by the CPU time of the command, and what the lists take.
struct CommandTables {
  Table load{"A list from a file into force", "ms,"}, load_cpu{"The same, CPU time", "ms,"};
  Table flush{"All rules removed", "ms,"}, flush_cpu{"The same, CPU time", "ms,"};
  Table add{"One rule added to a list", "ms,"}, add_cpu{"The same, CPU time", "ms,"};
  Table remove{"One rule removed from a list", "ms,"}, remove_cpu{"The same, CPU time", "ms,"};
  Table bytes{"Kernel memory a destination, by /proc/meminfo", "bytes,"};
  Table own_bytes{"Kernel memory a destination, by egress status", "bytes,"};
  Table whole{"All of its kernel memory, by egress status", "MB,"};
  Table empty{"Kernel memory of an empty default instance, by egress status", "MB,"};
};
/// Leaves the stores filled.
void contest_loads(Ground& ground, CommandTables& tables);
void contest_single_rules(const Ground& ground, CommandTables& tables);
[[nodiscard]] Table contest_commands(const Ground& ground);
/// Empties the stores.
void contest_last_flush(const Ground& ground, CommandTables& tables);

}  // namespace egress::bench
