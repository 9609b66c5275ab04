// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"
#include "egress/filter.hpp"

namespace egress {

/// One observation about an instance or the machine it runs on.
struct Finding {
  enum class Severity : std::uint8_t {
    Note,     ///< worth knowing; nothing is wrong
    Warning,  ///< enforcement works, but something may break it or is missing
    Problem,  ///< packets that rules name may pass
  };
  std::string code;  ///< stable, for programs: "link-missing"
  Severity severity = Severity::Note;
  std::string text;
  std::string remedy;
};

[[nodiscard]] std::string_view format(Finding::Severity severity);

/// What a code stands for. Codes are added, never renamed; egress(8) lists them.
struct FindingKind {
  std::string_view code;
  Finding::Severity severity;
  std::string_view remedy;
};

/// Every code that health() and examine_processes() can give.
[[nodiscard]] std::span<const FindingKind> finding_kinds();

/// A part of the datapath that not every kernel can run.
struct Feature {
  std::string name;  ///< packets, sockets, names, sweep, clock, creation
  bool present = false;
  std::string why;  ///< it is missing: what the kernel said, where that is known
};

/// One hook of the datapath and what the kernel says about it.
struct HookState {
  std::string hook;  ///< name of the program: egress_skb
  std::uint32_t program_id = 0;
  std::uint32_t link_id = 0;
  bool attached = false;
};

/// How much kernel memory a map takes.
struct MapMemory {
  std::string map;
  std::uint64_t bytes = 0;
};

struct RuleStates {
  std::size_t live = 0;   ///< in force, trial ones included
  std::size_t over = 0;   ///< not in force, not swept yet: past their end, on the other side of a trial, broken off
  std::size_t trial = 0;  ///< waiting for confirm
  std::size_t door = 0;   ///< of the template's maps
  std::size_t refusing_sockets = 0;  ///< in force, and refuse packet sockets
  std::size_t capacity = 0;
  std::size_t door_capacity = 0;
};

/// The state of one instance as the kernel tells it: found by object ids, not by looking into the pin directory.
struct Health {
  bool loaded = false;
  bool enforcing = false;  ///< attached where it should be and, if asked for, shown by a canary packet
  std::string pin_dir;
  std::string root;
  std::vector<HookState> programs;
  std::vector<Feature> features;
  std::vector<Finding> findings;
  RuleStates rules;
  std::vector<MapMemory> memory;
};

/// Asks the kernel how the instance does. `with_canary` sends one packet from a cgroup made for it, which a rule
/// made for it must drop: the only proof that packets are judged (takes up to two seconds). An instance that is not
/// loaded is a finding, not an error. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<Health> health(const Instance& instance, bool with_canary);

/// What processes can send past the hooks: those of subjects that rules cut off and that hold TUN devices or packet
/// sockets or may open them, and those that no rule can name because they are in cgroup v1 only. Reads /proc of all of
/// them, and says nothing about those it cannot read. Empty if the instance is not loaded.
[[nodiscard]] std::vector<Finding> examine_processes(const Instance& instance);

}  // namespace egress
