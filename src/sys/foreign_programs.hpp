// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "egress/error.hpp"

namespace egress {

/// What the kernel takes at one hook of a cgroup (BPF_CGROUP_MAX_PROGS).
inline constexpr std::size_t programs_per_cgroup = 64;

/// The programs attached to one cgroup at one hook, in the order in which they run.
struct Attachments {
  std::string directory;    ///< of the cgroup
  std::uint32_t flags = 0;  ///< BPF_F_ALLOW_MULTI, BPF_F_ALLOW_OVERRIDE or 0; all programs share them
  std::vector<std::uint32_t> program_ids;
};

/// What is attached to the cgroup itself; empty if nothing is. `attach_type` is an enum bpf_attach_type.
[[nodiscard]] Result<Attachments> attachments_at(int cgroup_fd, std::uint32_t attach_type);

/// What is attached to the cgroup and to each cgroup above it, from it up to the root of the hierarchy that
/// is visible here; cgroups without programs are left out.
[[nodiscard]] Result<std::vector<Attachments>> attachments_up_from(int cgroup_fd, std::uint32_t attach_type);

/// Who keeps a link from being attached: programs on the cgroup itself with other flags than ours, or
/// programs without flags above it. "program 17 (name) on /sys/fs/cgroup/x"; nullopt if nobody does.
[[nodiscard]] std::optional<std::string> blocking_program(int cgroup_fd, std::uint32_t attach_type);

/// "program 17 (name)".
[[nodiscard]] std::string describe_program(std::uint32_t id);

}  // namespace egress
