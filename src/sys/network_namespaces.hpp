// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress {

/// An open network namespace. Its inode tells it from the others as long as somebody holds it, and is what BPF programs
/// and /proc/PID/ns/net call it.
struct NetworkNamespace {
  std::uint64_t inode = 0;
  Fd fd;
};

/// That of the calling thread.
[[nodiscard]] Result<NetworkNamespace> own_network_namespace();

/// NotFound if there is no such process.
[[nodiscard]] Result<NetworkNamespace> network_namespace_of(int pid);

/// Calls `visit` for each namespace in which a process lives now or that ip-netns(8) keeps, once; it is closed behind
/// that, as there may be more than a process may hold open.
void visit_network_namespaces(const std::function<void(Result<NetworkNamespace>)>& visit);

/// Calls a function from within a network namespace, in a thread of its own: the caller's thread stays where it is.
/// A netlink socket that is opened there stays there, wherever it is used from.
[[nodiscard]] Result<void> enter_namespace(int netns_fd, const std::function<void()>& act);

/// The same for a namespace by its inode; in the caller's own at once. NotFound if it is none of those visited above.
[[nodiscard]] Result<void> enter_namespace_of(std::uint64_t inode, const std::function<void()>& act);

}  // namespace egress
