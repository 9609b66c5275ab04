// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"

namespace egress {

/// One line of /proc/PID/mountinfo (proc(5)), octal escapes undone.
struct Mount {
  std::string root;   ///< what of the file system is mounted: "/"
  std::string point;  ///< where: "/sys/fs/cgroup/unified"
  std::string type;   ///< "cgroup2"

  bool operator==(const Mount&) const = default;
};

/// Reads the text of mountinfo; lines that cannot be read are left out.
[[nodiscard]] std::vector<Mount> parse_mountinfo(std::string_view text);

/// The mounts of the calling process, in the order they were made.
[[nodiscard]] Result<std::vector<Mount>> read_mounts();

/// Reads a whole small file of procfs or sysfs.
[[nodiscard]] Result<std::string> read_proc_file(const std::string& path);

}  // namespace egress
