// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"

namespace egress {

/// Capabilities that loading needs and the bits of CapEff (of /proc/PID/status) lack: "CAP_BPF" and so on.
[[nodiscard]] std::vector<std::string> missing_capabilities(std::uint64_t effective);

/// NotPermitted, naming what is missing, unless the caller may load and attach.
[[nodiscard]] Result<void> require_load_privileges();

/// Failed unless the kernel tells its types (BTF).
[[nodiscard]] Result<void> require_kernel_btf();

/// Why loading may have been refused for memory on kernels before 5.11, which charge maps to RLIMIT_MEMLOCK;
/// empty on later kernels and where the limit is off.
[[nodiscard]] std::string memlock_hint();

}  // namespace egress
