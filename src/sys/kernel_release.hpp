// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <string_view>

namespace egress {

/// The release of this kernel: "6.1.0-13-amd64".
[[nodiscard]] std::string kernel_release();

/// Whether a release is older than `major.minor`. Only for behaviour that no probe can show: what loads is
/// found out by loading. A release that cannot be read is not older.
[[nodiscard]] bool release_older_than(std::string_view release, unsigned major, unsigned minor);

}  // namespace egress
