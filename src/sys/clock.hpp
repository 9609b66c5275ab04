// SPDX-License-Identifier: GPL-2.0
#pragma once

#include "drop_egress_by_cgroup.h"
#include "egress/error.hpp"
#include "egress/rule.hpp"

namespace egress {

/// The kernel's boot clock, asked in the kernel: runs the clock program (type syscall), which stores it into
/// control.clock. Right in every time namespace.
[[nodiscard]] Result<BootTime> boot_time_by_program(int program_fd, egress_control& control);

/// CLOCK_BOOTTIME of the caller; Refused in a time namespace of its own, where it may differ from the
/// kernel's (deadlines would be off by the difference).
[[nodiscard]] Result<BootTime> boot_time_by_system_call();

/// Whether the caller's time namespace is the initial one (or the kernel has none).
[[nodiscard]] bool in_initial_time_namespace();

}  // namespace egress
