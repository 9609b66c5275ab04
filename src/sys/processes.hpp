// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace egress {

/// The processes that procfs shows now.
[[nodiscard]] std::vector<int> all_processes();

/// The processes (of a threaded cgroup: the threads) in a cgroup, by its directory; not those below it.
[[nodiscard]] std::vector<int> processes_in(const std::string& cgroup_directory);

/// Inodes of the sockets of every kind that a process holds open; empty if it is gone or may not be looked at.
[[nodiscard]] std::vector<std::uint64_t> socket_inodes_of(int pid);

/// Whether there is one.
[[nodiscard]] bool holds_socket(int pid);

/// The parent of a process; 0 if there is none, or it cannot be told.
[[nodiscard]] int parent_of(int pid);

}  // namespace egress
