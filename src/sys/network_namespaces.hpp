// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress {

/// An open network namespace. Its inode tells it from the others as long as somebody holds it.
struct NetworkNamespace {
  std::uint64_t inode = 0;
  Fd fd;
};

/// Calls `visit` for each namespace in which a process lives now, once; it is closed behind that, as there may be more
/// than a process may hold open. One without a process (ip-netns(8) keeps such) is not found.
void visit_network_namespaces(const std::function<void(Result<NetworkNamespace>)>& visit);

}  // namespace egress
