// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sys/cgroup.hpp"

/// Processes as /proc shows them.
namespace egress {

/// What a process could send by without meeting a hook of its cgroup.
struct ProcessReach {
  int pid = 0;
  std::string name;
  bool may_open_packet_sockets = false;  ///< has CAP_NET_RAW in effect
  bool has_packet_socket = false;        ///< one of its own network namespace
  bool has_tun = false;                  ///< holds /dev/net/tun open
};

/// Looks at processes; remembers what it read of their network namespaces.
class ProcessViewer {
 public:
  /// What cannot be read (the process has ended, or the caller may not) is taken for nothing.
  [[nodiscard]] ProcessReach reach_of(int pid);

 private:
  [[nodiscard]] const std::set<std::uint64_t>& packet_sockets_of(int pid);

  std::map<std::uint64_t, std::set<std::uint64_t>> packet_sockets_;  ///< by inode of the network namespace
};

/// The processes in a cgroup, and in those below it unless the scope is Only. Paths are those of the tree.
[[nodiscard]] std::set<int> processes_in(const CgroupTree& tree, const std::string& path, Subject::Scope scope);

/// Whether a process of this /proc/PID/status has the capability in effect.
[[nodiscard]] bool has_capability(std::string_view proc_status, unsigned number);

/// The inodes of the sockets in a /proc/net/packet.
[[nodiscard]] std::set<std::uint64_t> packet_socket_inodes(std::string_view proc_net_packet);

/// Whether a process of this /proc/PID/cgroup is in a cgroup of version 1 and in the root of version 2 (failure A7).
[[nodiscard]] bool is_in_v1_only(std::string_view proc_cgroup);

}  // namespace egress
