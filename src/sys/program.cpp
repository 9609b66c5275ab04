// SPDX-License-Identifier: GPL-2.0
#include "sys/program.hpp"

#include <bpf/bpf.h>

#include <cerrno>

namespace egress {
namespace {

Result<bpf_prog_info> query(int fd, std::vector<std::uint32_t>& map_ids) {
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<__u32>(map_ids.size());
  info.map_ids = map_ids.empty() ? 0 : reinterpret_cast<__u64>(map_ids.data());
  __u32 size = sizeof(info);
  const int failed = bpf_obj_get_info_by_fd(fd, &info, &size);
  const int err = errno;
  if (failed) return system_error("read program", {}, err);
  return info;
}

}  // namespace

Result<Program> Program::open_id(std::uint32_t id) {
  const int fd = bpf_prog_get_fd_by_id(id);
  const int err = errno;
  if (fd >= 0) return Program(Fd(fd));
  Error error = system_error("open program", "id " + std::to_string(id), err);
  if (err == ENOENT) error.kind = ErrorKind::NotFound;
  return error;
}

Result<ProgramInfo> Program::info() const { return program_info(fd_.get()); }

Result<ProgramInfo> program_info(int program_fd) {
  std::vector<std::uint32_t> map_ids;
  Result<bpf_prog_info> sized = query(program_fd, map_ids);
  if (!sized) return std::move(sized).error();
  map_ids.resize(sized->nr_map_ids);
  Result<bpf_prog_info> filled = query(program_fd, map_ids);
  if (!filled) return std::move(filled).error();
  if (filled->nr_map_ids < map_ids.size()) map_ids.resize(filled->nr_map_ids);
  return ProgramInfo{filled->id, filled->type, filled->name, std::move(map_ids), filled->recursion_misses};
}

Result<void> require_name(int program_fd, std::string_view name) {
  Result<ProgramInfo> info = program_info(program_fd);
  if (!info) return std::move(info).error();
  if (info->name == name.substr(0, BPF_OBJ_NAME_LEN - 1)) return {};
  return Error{ErrorKind::Failed,
               "load",
               "program " + std::string(name),
               "the kernel got it without its name",
               "a system call failed just before: try again",
               0};
}

Result<void> run_program(int program_fd) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  const int failed = bpf_prog_test_run_opts(program_fd, &options);
  const int err = errno;
  if (failed) return system_error("run program", {}, err);
  const int returned = static_cast<int>(options.retval);
  if (returned < 0) return system_error("run program", {}, -returned);
  if (returned > 0)
    return Error{ErrorKind::Failed, "run program", {}, "it returned " + std::to_string(returned), {}, 0};
  return {};
}

Result<void> bind_map(int program_fd, int map_fd) {
  const int failed = bpf_prog_bind_map(program_fd, map_fd, nullptr);
  const int err = errno;
  if (failed) return system_error("bind map to program", {}, err);
  return {};
}

}  // namespace egress
