// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <netinet/in.h>

#include <cstdint>
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
[[nodiscard]] Attached attach_lpm(const std::string& cgroup, const std::vector<RuleSpec>& denied);

/// Moves this process.
void enter(const std::string& cgroup);

/// The program attached at the root of the instance.
[[nodiscard]] int program_of(const test::PrivateInstance& instance);

/// A fresh network namespace of this thread, loopback up, a socket that swallows what comes to port 9009.
void enter_new_network();

/// UDP, connected to 127.0.0.1:9009, made in `cgroup` in the present network namespace; a socket keeps both.
[[nodiscard]] int connected_socket(const std::string& cgroup);

[[nodiscard]] RuleSpec drop(const std::string& destination, Lifetime lifetime = std::nullopt);
/// Random addresses of 10.0.0.0/8, all even, none twice.
[[nodiscard]] std::vector<RuleSpec> exact(int count);
/// Random networks of /16 to /32 in 10.0.0.0/8, none twice.
[[nodiscard]] std::vector<RuleSpec> mixed(int count);
/// Random odd addresses of 10.0.0.0/8 in none of the networks, host byte order: they match neither exact() nor these.
[[nodiscard]] std::vector<std::uint32_t> strangers(int count, const std::vector<RuleSpec>& networks);

}  // namespace egress::bench
