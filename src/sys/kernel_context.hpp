// SPDX-License-Identifier: GPL-2.0
#pragma once

namespace egress {

/// Whether programs may look at the kernel's own packet or call: bpf_cast_to_kern_ctx (6.2) is among its types.
[[nodiscard]] bool has_kernel_context();

/// From now on calls of kernel functions that are not there are taken out of our cgroup programs when they are loaded,
/// once for the process. They are never reached, but 5.13 to 5.15 look at every one.
void take_out_missing_calls();

}  // namespace egress
