// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>

#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress {

/// What the kernel says about a link.
struct LinkInfo {
  std::uint32_t id = 0;
  std::uint32_t type = 0;  ///< enum bpf_link_type
  std::uint32_t program_id = 0;
  std::uint32_t attach_type = 0;  ///< enum bpf_attach_type, of cgroup links
  std::uint64_t cgroup_id = 0;    ///< of cgroup links; 0 = detached, or the cgroup is gone
  std::uint32_t ifindex = 0;      ///< of XDP and tcx links; 0 = detached, or the device is gone
};

/// Of kernel 6.6, which the headers to build with may not know.
inline constexpr std::uint32_t link_type_tcx = 11;           ///< BPF_LINK_TYPE_TCX
inline constexpr std::uint32_t attach_type_tcx_egress = 47;  ///< BPF_TCX_EGRESS

/// Owns a descriptor of one bpf_link: an attachment that nobody but its owner can replace. Attached as long
/// as a descriptor or a pin lives, unless detach() ended it.
class Link {
 public:
  explicit Link(Fd fd) : fd_(std::move(fd)) {}

  /// Attaches a program to a cgroup and what is below it. `attach_type` is an enum bpf_attach_type.
  /// Never uses BPF_PROG_ATTACH, whose attachments any user may take off (kernels 6.1 to 6.18).
  /// Refusals name their cause: the program of somebody else that stands in the way, the kernel's limit.
  [[nodiscard]] static Result<Link> attach_cgroup(int program_fd, int cgroup_fd, std::uint32_t attach_type);

  /// Attaches a program to a device of the caller's network namespace: `attach_type` BPF_XDP, or
  /// attach_type_tcx_egress. `flags` are those of the kind: XDP_FLAGS_*, BPF_F_BEFORE. The error's code is the errno.
  [[nodiscard]] static Result<Link> attach_device(int program_fd, std::uint32_t ifindex, std::uint32_t attach_type,
                                                  std::uint32_t flags);

  /// Attaches a tp_btf program to the tracepoint it was loaded for.
  [[nodiscard]] static Result<Link> attach_tracing(int program_fd);

  /// NotFound if there is none (any more). Needs CAP_SYS_ADMIN.
  [[nodiscard]] static Result<Link> open_id(std::uint32_t id);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Fd take_fd() && { return std::move(fd_); }
  [[nodiscard]] Result<LinkInfo> info() const;

  /// Replaces the program; each packet meets the old or the new one. Not for tracing links.
  [[nodiscard]] Result<void> update(int program_fd) const;

  /// Takes the attachment off, whoever else holds descriptors or pins. Not for tracing links; kernel 5.9.
  [[nodiscard]] Result<void> detach() const;

 private:
  Fd fd_;
};

/// As Link::update and Link::detach, for a descriptor that somebody else owns.
[[nodiscard]] Result<void> link_update(int link_fd, int program_fd);
[[nodiscard]] Result<void> link_detach(int link_fd);

/// As Link::info, for a descriptor that somebody else owns.
[[nodiscard]] Result<LinkInfo> link_info(int link_fd);

}  // namespace egress
