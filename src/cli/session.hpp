// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string_view>

#include "egress/filter.hpp"

namespace egress::cli {

/// The connection the caller works over, as far as it can be told.
struct Session {
  std::optional<Socket> ssh;  ///< of SSH_CONNECTION, as if it were made in the caller's cgroup
  std::set<std::uint64_t>
      inherited;  ///< inodes of sockets that the caller's ancestors hold: sudo(8) hides the variable
};

/// Reads SSH_CONNECTION (ssh(1)): address and port of the client, then of the server, which is this machine.
/// nullopt for what is not that.
[[nodiscard]] std::optional<Socket> parse_ssh_connection(std::string_view text);

/// The session of this process, as its environment tells of it.
[[nodiscard]] Session own_session(const Filter& filter);
/// Whether its ancestors can tell anything of it.
[[nodiscard]] bool ancestors_hold_sockets();
/// Adds what its ancestors tell of it: every file that they have open is looked at.
void ask_ancestors(Session& session);

/// The safety rail (Refused): rules that would stop the caller's own session. nullopt if they would not.
[[nodiscard]] std::optional<Error> session_rail(const Reach& reach, const Session& session);

}  // namespace egress::cli
