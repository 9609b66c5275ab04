// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>

#include "egress/error.hpp"

namespace egress {

/// A program as a clsact filter on what leaves by a device, first in line: how kernels before 6.6, which have no
/// tcx links, run one. It has no owner in the kernel: anything may take it off, so its id is to be asked for.
/// All of this in the caller's network namespace.

struct TcAttached {
  bool made_qdisc = false;  ///< there was no clsact before
};

/// Takes the place of a filter of ours at once. Failed if another one stands in the way; that one is left alone.
[[nodiscard]] Result<TcAttached> attach_tc_filter(int program_fd, std::uint32_t ifindex);

/// Id of the program in our place; 0 = there is none.
[[nodiscard]] std::uint32_t tc_filter_program(std::uint32_t ifindex);

/// Takes the filter off if it runs this program, and the clsact with it if `with_qdisc` and nothing else is there.
[[nodiscard]] Result<void> detach_tc_filter(std::uint32_t ifindex, std::uint32_t program_id, bool with_qdisc);

}  // namespace egress
