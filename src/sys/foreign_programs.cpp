// SPDX-License-Identifier: GPL-2.0
#include "sys/foreign_programs.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/fd.hpp"
#include "sys/program.hpp"

namespace egress {
namespace {

std::string path_of_fd(int fd) {
  std::array<char, 4096> buffer{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), buffer.data(), buffer.size());
  return length > 0 ? std::string(buffer.data(), static_cast<std::size_t>(length)) : std::string("?");
}

bool is_cgroup2(int fd) {
  struct statfs fs {};
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/// The parent directory if it is a cgroup too; an empty Fd at the root of the hierarchy.
Fd parent_cgroup(int fd) {
  Fd parent(::openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.valid() && is_cgroup2(parent.get())) return parent;
  return Fd();
}

}  // namespace

Result<Attachments> attachments_at(int cgroup_fd, std::uint32_t attach_type) {
  Attachments found;
  found.directory = path_of_fd(cgroup_fd);
  found.program_ids.resize(programs_per_cgroup);
  __u32 count = programs_per_cgroup;
  const int failed = bpf_prog_query(cgroup_fd, static_cast<bpf_attach_type>(attach_type), 0, &found.flags,
                                    found.program_ids.data(), &count);
  const int err = errno;
  if (failed) return system_error("list programs", found.directory, err);
  found.program_ids.resize(count);
  return found;
}

Result<std::vector<Attachments>> attachments_up_from(int cgroup_fd, std::uint32_t attach_type) {
  std::vector<Attachments> found;
  Fd above;
  for (int fd = cgroup_fd; fd >= 0; fd = above.get()) {
    Result<Attachments> here = attachments_at(fd, attach_type);
    if (!here) return std::move(here).error();
    if (!here->program_ids.empty()) found.push_back(std::move(*here));
    above = parent_cgroup(fd);
  }
  return found;
}

std::string describe_program(std::uint32_t id) {
  const std::string text = "program " + std::to_string(id);
  Result<Program> program = Program::open_id(id);
  if (!program) return text;
  Result<ProgramInfo> info = program->info();
  return info && !info->name.empty() ? text + " (" + info->name + ")" : text;
}

std::optional<std::string> blocking_program(int cgroup_fd, std::uint32_t attach_type) {
  Result<std::vector<Attachments>> all = attachments_up_from(cgroup_fd, attach_type);
  if (!all) return std::nullopt;
  const std::string own = path_of_fd(cgroup_fd);
  for (const Attachments& there : *all) {
    const bool blocks = there.directory == own ? !(there.flags & BPF_F_ALLOW_MULTI) : there.flags == 0;
    if (blocks) return describe_program(there.program_ids.front()) + " on " + there.directory;
  }
  return std::nullopt;
}

}  // namespace egress
