// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include "support/net_lab.hpp"

namespace egress::test {

/// What ways of making packets need beside a Lab: somebody at the peer who starts conversations, processes in a network
/// namespace inside of the container (which is the client's), a receiver of local copies, tunnels.
///
/// The peer is at home at every address of 203.0.113.0/24, 198.51.100.0/24, 2001:db8:bad::/48 and 2001:db8:fee::/48.
class Stage {
 public:
  explicit Stage(const Lab& lab);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage();

  static constexpr std::uint16_t tagged_port = 0x1236;  ///< what comes here is counted by inbox()
  static constexpr std::uint16_t group_port = 0x1237;   ///< by copies()

  [[nodiscard]] const Lab& lab() const { return lab_; }
  /// A process at the peer, in no cgroup of the lab.
  [[nodiscard]] const Actor& far() const { return far_; }
  /// A process of this cgroup in the namespace inside, whose packets the client forwards.
  [[nodiscard]] const Actor& inner(const std::string& cgroup);

  /// Datagrams that a socket of the peer got, behind whatever was in front of them.
  [[nodiscard]] std::uint64_t inbox();
  /// PPPoE session frames that the peer got.
  [[nodiscard]] std::uint64_t sessions();
  /// Datagrams to groups that a receiver in the client's own network namespace got.
  [[nodiscard]] std::uint64_t copies();

  /// An address that is reached through a VXLAN whose other end is `remote`; empty if the kernel has none. For two.
  [[nodiscard]] std::string beyond_tunnel(const std::string& remote);

  /// Runs `ip` or `nft` with this input in the client's network namespace.
  [[nodiscard]] Outcome configure(const std::string& tool, const std::string& input) const;
  /// The same in the peer's.
  [[nodiscard]] Outcome configure_peer(const std::string& tool, const std::string& input) const;

 private:
  void make_inner_network();
  void open_receivers();

  const Lab& lab_;
  Actor far_;
  Actor receiver_;
  int inner_netns_ = -1;
  std::map<std::string, Actor> inner_;
  std::map<std::string, std::string> beyond_;
  SocketHandle inbox_socket_{-1}, session_socket_{-1}, copy_socket4_{-1}, copy_socket6_{-1};
  std::uint64_t inbox_ = 0, sessions_ = 0, copies_ = 0;
};

}  // namespace egress::test
