// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/run_cgroup.hpp"
#include "egress/error.hpp"

namespace egress::cli {

inline constexpr int exit_not_executable = 126;
inline constexpr int exit_not_found = 127;

/// Runs a command inside the cgroup and waits for it. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are
/// handed on, unless the terminal sent them to the command already. Returns the exit status as a shell would:
/// 128+N for signal N. NotFound or Failed with `code` when the command could not be started (see start_status).
[[nodiscard]] Result<int> run_child(const RunCgroup& cgroup, const std::vector<std::string>& command);

/// Exit status for a command that could not be executed.
[[nodiscard]] int start_status(int exec_errno);

}  // namespace egress::cli
