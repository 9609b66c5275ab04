// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <vector>

#include "egress/error.hpp"
#include "egress/filter.hpp"
#include "egress/health.hpp"

namespace egress {

/// What a load did.
struct Loaded {
  bool upgraded = false;          ///< programs were replaced; rules, counters and links stayed
  std::vector<Feature> features;  ///< what this kernel takes of the object, and why not the rest
};

/// Loads the instance, or replaces its programs without a packet passing unjudged. Finishes what a killed load left.
/// All or nothing: on failure the kernel is as it was. Holds the directory's lock meanwhile.
/// NotPermitted, naming the missing capabilities; Failed or Refused with the remedy if the instance is of another
/// version, of another size, or of another root: then it keeps enforcing as it was.
[[nodiscard]] Result<Loaded> load(const Instance& instance, const LoadSettings& settings);

}  // namespace egress
