// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "egress/error.hpp"
#include "egress/strict.hpp"
#include "sys/cgroup.hpp"
#include "sys/devices.hpp"

namespace egress {

/// What a request comes to on this machine now.
struct StrictTarget {
  std::vector<Device> devices;
  /// Of the cgroup whose packets the devices receive: the enforced root first, the cgroup last. Empty: the layer is tc.
  std::vector<std::uint64_t> ids;
  bool strict_l2 = false;
  bool as_filter = false;
  std::vector<std::string> uncovered;  ///< devices of a container that no veth to here carries
};

/// NotFound if a device, process or cgroup of the request does not exist; Usage if it asks for nothing or for too
/// much at once.
[[nodiscard]] Result<StrictTarget> find_strict_target(const CgroupTree& tree, const StrictRequest& request);

}  // namespace egress
