// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <string>

#include "egress/filter.hpp"

namespace egress::cli {

/// "writing rules: 41%, 830000 a second, 0.7s left"
[[nodiscard]] std::string progress_text(std::size_t done, std::size_t all, std::chrono::nanoseconds since_start);

/// Shows on standard error how far a change with many rules has come, on one line that is wiped in the end. Empty
/// where that is no terminal, or when there are few rules.
[[nodiscard]] Progress progress_on_terminal(std::size_t rules);

}  // namespace egress::cli
