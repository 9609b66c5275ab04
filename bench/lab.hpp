// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <netinet/in.h>

#include <string>
#include <vector>

#include "bpf/private_instance.hpp"
#include "egress/filter.hpp"
#include "sys/fd.hpp"

namespace egress::bench {

/// Program and cgroup attachment.
struct Attached {
  int program = -1;
  Fd link;
};

/// A program beside ours, from build/NAME.skel.h; stays loaded until the process ends.
[[nodiscard]] Attached attach_empty(const std::string& cgroup);
/// All of `denied` are of one family.
[[nodiscard]] Attached attach_lpm(const std::string& cgroup, const std::vector<Prefix>& denied);

/// Moves this process.
void enter(const std::string& cgroup);

/// The program attached at the root of the instance.
[[nodiscard]] int program_of(const test::PrivateInstance& instance);

/// A fresh network namespace where every address of both families is local, with a socket for each that swallows what
/// comes to `sink_port`. A file that lives as long as this process.
[[nodiscard]] int make_network();
constexpr std::uint16_t sink_port = 9009;

/// Where a socket is made: it keeps both.
struct Place {
  std::string cgroup;
  int network = -1;
};

/// A socket address, of either family.
struct Endpoint {
  sockaddr_in6 storage{};
  socklen_t length = 0;

  Endpoint(const Address& address, std::uint16_t port);
  [[nodiscard]] int family() const { return raw()->sa_family; }
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Kept open until the process ends.
[[nodiscard]] int socket_in(const Place& place, int family, int type);
/// UDP, to `sink_port` of that address.
[[nodiscard]] int connected_socket(const Place& place, const Address& to);

/// Whether a datagram from there is refused with EPERM.
[[nodiscard]] bool is_dropped(const Place& place, const Address& to);

}  // namespace egress::bench
