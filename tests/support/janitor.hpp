// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>

namespace egress::test {

/// What a lab leaves behind, as names.
struct Leftovers {
  std::string cgroup_root;  ///< with the cgroups and processes in it
  std::string bpffs;        ///< mount point
  std::string directory;    ///< with the files in it
};

/// Kills every process in the cgroups, removes them, unmounts and deletes. What is gone already is no error.
void clean_up(const Leftovers& leftovers);

/// Kills every process in a cgroup and its descendants.
void kill_cgroup(const std::string& directory);

}  // namespace egress::test
