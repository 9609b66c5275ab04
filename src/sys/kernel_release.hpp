// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string_view>

namespace egress {

/// Whether this kernel is older than `major.minor`. Only for behaviour that no probe can show: what loads is
/// found out by loading. A release that cannot be read is not older.
[[nodiscard]] bool kernel_older_than(unsigned major, unsigned minor);

/// The same for a release string: "6.1.0-13-amd64".
[[nodiscard]] bool release_older_than(std::string_view release, unsigned major, unsigned minor);

}  // namespace egress
