// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <optional>
#include <vector>

#include "egress/health.hpp"
#include "engine/finding_kinds.hpp"
#include "sys/cgroup.hpp"
#include "sys/kernel_ids.hpp"

namespace egress {

/// What the checks look at.
struct Examined {
  const Instance& instance;
  const CgroupTree* tree = nullptr;       ///< nullptr if the root could not be opened
  const FoundInstance* found = nullptr;   ///< nullptr if the kernel has no link of the instance
  std::optional<egress_control> control;  ///< nullopt if it could not be read
  RuleStates rules;
  std::uint64_t now = 0;  ///< boot clock, nanoseconds
};

/// One of its maps; nullptr if it has none of this name.
[[nodiscard]] const Fd* map_of(const FoundInstance& found, const char* name);

// Of the instance.
void check_loaded(const Examined& examined, Findings& findings);
void check_links(const Examined& examined, Findings& findings);
void check_pins(const Examined& examined, Findings& findings);
void check_version(const Examined& examined, Findings& findings);
void check_bindings(const Examined& examined, Findings& findings);
void check_pressure(const Examined& examined, Findings& findings);
void check_counters(const Examined& examined, Findings& findings);
void check_maintenance(const Examined& examined, Findings& findings);
void check_creation(const Examined& examined, Findings& findings);

// Of what others attached.
void check_programs_above(const Examined& examined, Findings& findings);
void check_programs_below(const Examined& examined, Findings& findings);
void check_places(const Examined& examined, Findings& findings);
void check_later_connect_programs(const Examined& examined, Findings& findings);

// Of the machine and the caller.
void check_strict_devices(const Examined& examined, Findings& findings);
void check_cgroup_namespace(const Examined& examined, Findings& findings);
void check_time_namespace(const Examined& examined, Findings& findings);
void check_v1_network_controllers(const Examined& examined, Findings& findings);
void check_destroying(const Examined& examined, Findings& findings);

/// Sockets that the kernel let be made while another was judged on the same CPU.
void check_misses(std::uint64_t misses, Findings& findings);

/// Missing parts of the datapath.
void check_features(const std::vector<Feature>& features, Findings& findings);

/// Whether /proc/cgroups says that net_cls or net_prio is mounted as a v1 hierarchy.
[[nodiscard]] bool has_v1_network_controller(std::string_view proc_cgroups);

/// Whether this kernel forgets the cgroup of sockets once a process joins a group of such a hierarchy (failure A6).
[[nodiscard]] bool loses_sockets(std::string_view release, std::string_view proc_cgroups);

}  // namespace egress
