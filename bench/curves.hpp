// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>

#include "figures.hpp"

namespace egress::bench {

/// An SVG: nanoseconds over the empty program by number of rules, hot and cold.
[[nodiscard]] std::string draw_packets(const Results& results);
/// An SVG: UDP sends by number of rules, to one destination and to many.
[[nodiscard]] std::string draw_sends(const Results& results);

}  // namespace egress::bench
