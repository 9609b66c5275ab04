// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>

#include "egress/error.hpp"

namespace egress {

/// Where a canary is sent: the root of an enforced subtree and the template's maps of its instance. Descriptors
/// are borrowed.
struct CanarySite {
  std::string root;  ///< directory of the enforced root
  int root_fd = -1;
  int drop_configs_fd = -1;
  int cgroup_rules_fd = -1;
};

/// What became of the canary.
struct CanaryReport {
  bool enforcing = false;
  std::string why;  ///< it was not dropped; empty if it was
};

/// Shows that packets are judged: in a cgroup made below the root, with a rule of five seconds for it alone, a
/// datagram inside a new network namespace must be refused and its neighbour pass. Bounded to two seconds;
/// leaves no cgroup, rule or process behind. An Error says that the test could not be made.
[[nodiscard]] Result<CanaryReport> send_canary(const CanarySite& site);

}  // namespace egress
