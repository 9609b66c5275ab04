// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <span>
#include <vector>

#include "engine/tables.hpp"
#include "sys/socket_diag.hpp"

namespace egress {

/// The TCP and UDP sockets of every network namespace that a process lives in.
class SocketTable {
 public:
  /// Looks anew, at namespaces too.
  [[nodiscard]] SocketListing list();

  /// Destroys sockets of the last listing: 0 or an errno for each, as SocketDiag::destroy() returns them.
  [[nodiscard]] std::vector<int> destroy(std::span<const Socket> sockets) const;

 private:
  std::vector<SocketDiag> namespaces_;
};

}  // namespace egress
