// SPDX-License-Identifier: GPL-2.0
#include "sys/link.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <optional>

#include "sys/foreign_programs.hpp"

namespace egress {
namespace {

Error attach_error(int cgroup_fd, std::uint32_t attach_type, int err) {
  Error error = system_error("attach program", {}, err);
  if (err == E2BIG) {
    error.cause = "64 programs on this cgroup already (kernel limit)";
    error.remedy = "see `bpftool cgroup show` and take one off";
  } else if (err == EBADF) {
    error.cause = "not a cgroup v2 directory";
  } else if (err == EPERM) {
    if (std::optional<std::string> foreign = blocking_program(cgroup_fd, attach_type)) {
      error.kind = ErrorKind::Failed;
      error.cause = *foreign + " was attached without BPF_F_ALLOW_MULTI and allows no other";
      error.remedy = "enforce a subtree that does not hold it, or have its owner take it off";
    }
  }
  return error;
}

}  // namespace

Result<Link> Link::attach_cgroup(int program_fd, int cgroup_fd, std::uint32_t attach_type) {
  const int fd = bpf_link_create(program_fd, cgroup_fd, static_cast<bpf_attach_type>(attach_type), nullptr);
  const int err = errno;
  if (fd < 0) return attach_error(cgroup_fd, attach_type, err);
  return Link(Fd(fd));
}

Result<Link> Link::attach_device(int program_fd, std::uint32_t ifindex, std::uint32_t attach_type,
                                 std::uint32_t flags) {
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
  const int fd =
      bpf_link_create(program_fd, static_cast<int>(ifindex), static_cast<bpf_attach_type>(attach_type), &options);
  const int err = errno;
  if (fd < 0) return system_error("attach program", "device " + std::to_string(ifindex), err);
  return Link(Fd(fd));
}

Result<Link> Link::attach_tracing(int program_fd) {
  const int fd = bpf_raw_tracepoint_open(nullptr, program_fd);
  const int err = errno;
  if (fd < 0) return system_error("attach program", "tracepoint", err);
  return Link(Fd(fd));
}

Result<Link> Link::open_id(std::uint32_t id) {
  const int fd = bpf_link_get_fd_by_id(id);
  const int err = errno;
  if (fd >= 0) return Link(Fd(fd));
  Error error = system_error("open link", "id " + std::to_string(id), err);
  if (err == ENOENT) error.kind = ErrorKind::NotFound;
  return error;
}

Result<LinkInfo> Link::info() const { return link_info(fd_.get()); }

Result<LinkInfo> link_info(int link_fd) {
  bpf_link_info info{};
  __u32 size = sizeof(info);
  const int failed = bpf_obj_get_info_by_fd(link_fd, &info, &size);
  const int err = errno;
  if (failed) return system_error("read link", {}, err);
  LinkInfo known{info.id, info.type, info.prog_id, 0, 0, 0};
  if (info.type == BPF_LINK_TYPE_CGROUP) {
    known.attach_type = info.cgroup.attach_type;
    known.cgroup_id = info.cgroup.cgroup_id;
  }
  // The number stands in the same place for both; headers before 6.6 do not know tcx.
  if (info.type == BPF_LINK_TYPE_XDP || info.type == link_type_tcx) known.ifindex = info.xdp.ifindex;
  return known;
}

Result<void> Link::update(int program_fd) const { return link_update(fd_.get(), program_fd); }

Result<void> link_update(int link_fd, int program_fd) {
  const int failed = bpf_link_update(link_fd, program_fd, nullptr);
  const int err = errno;
  if (failed) return system_error("replace program", {}, err);
  return {};
}

Result<void> Link::detach() const { return link_detach(fd_.get()); }

Result<void> link_detach(int link_fd) {
  const int failed = bpf_link_detach(link_fd);
  const int err = errno;
  if (failed) return system_error("detach program", {}, err);
  return {};
}

}  // namespace egress
