// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress {

/// What the kernel says about a loaded program.
struct ProgramInfo {
  std::uint32_t id = 0;
  std::uint32_t type = 0;  ///< enum bpf_prog_type
  std::string name;        ///< at most 15 bytes
  std::vector<std::uint32_t> map_ids;
  std::uint64_t recursion_misses = 0;  ///< runs left out because another was under way on the same CPU (kernel 5.12)
};

/// Owns a descriptor of one loaded program. The program lives as long as a descriptor, pin or link does.
class Program {
 public:
  explicit Program(Fd fd) : fd_(std::move(fd)) {}

  /// NotFound if there is none (any more). Needs CAP_SYS_ADMIN.
  [[nodiscard]] static Result<Program> open_id(std::uint32_t id);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Fd take_fd() && { return std::move(fd_); }
  [[nodiscard]] Result<ProgramInfo> info() const;

 private:
  Fd fd_;
};

/// As Program::info, for a descriptor that somebody else owns.
[[nodiscard]] Result<ProgramInfo> program_info(int program_fd);

/// Failed unless the kernel knows the program by this name. libbpf leaves names out when it could not find out whether
/// the kernel takes them (memory was short at that moment), and what has no name is not found again.
[[nodiscard]] Result<void> require_name(int program_fd, std::string_view name);

/// Runs a program of type syscall once, without context. Failed if it returns anything but 0; a negative
/// return value is the errno.
[[nodiscard]] Result<void> run_program(int program_fd);

/// Lets a program hold a map it does not use, so that the map is found through the program (kernel 5.10).
[[nodiscard]] Result<void> bind_map(int program_fd, int map_fd);

}  // namespace egress
