// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "egress/error.hpp"
#include "egress/socket.hpp"
#include "sys/netlink.hpp"
#include "sys/network_namespaces.hpp"

namespace egress {

/// The kernel's list of TCP and UDP sockets in one network namespace (NETLINK_SOCK_DIAG), and the right to destroy
/// them. Needs CAP_NET_ADMIN in that namespace for the latter, CAP_SYS_ADMIN to get there.
class SocketDiag {
 public:
  [[nodiscard]] static Result<SocketDiag> open(const NetworkNamespace& netns);

  [[nodiscard]] std::uint64_t netns() const { return netns_; }

  /// Sockets that have a cgroup: none of those in TIME_WAIT, and no connection that is not made yet. Those that come
  /// or go meanwhile may be missed. `holders` stays empty.
  [[nodiscard]] Result<std::vector<Socket>> list() const;

  /// SOCK_DESTROY: the holder's next call fails with ECONNABORTED, and TCP sends a reset. UDP sockets are
  /// disconnected and can be used again. Returns 0 or an errno: ENOENT if the socket is no more, EOPNOTSUPP if the
  /// kernel was built without CONFIG_INET_DIAG_DESTROY.
  [[nodiscard]] int destroy(const Socket& socket) const;

 private:
  friend bool can_destroy_sockets();
  SocketDiag(Netlink netlink, std::uint64_t netns) : netlink_(std::move(netlink)), netns_(netns) {}
  Netlink netlink_;
  std::uint64_t netns_;
};

/// Whether the kernel was built to destroy sockets; asked by an attempt on one that cannot exist. Yes if it cannot be
/// told.
[[nodiscard]] bool can_destroy_sockets();

}  // namespace egress
