// SPDX-License-Identifier: GPL-2.0
#include "sys/clock.hpp"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>

namespace egress {
namespace {

constexpr ino_t initial_time_namespace = 4026531834;  // PROC_TIME_INIT_INO, include/linux/proc_ns.h

}  // namespace

Result<BootTime> boot_time_by_program(int program_fd, egress_control& control) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  const int result = bpf_prog_test_run_opts(program_fd, &options);
  const int err = errno;
  if (result < 0) return system_error("read the boot clock", "clock program", err);
  const auto now = std::atomic_ref(control.clock).load(std::memory_order_acquire);
  if (options.retval != 0 || now == 0) {
    return Error{.operation = "read the boot clock",
                 .object = "clock program",
                 .cause = "it ran and stored no time",
                 .remedy = "load the program anew: egress load"};
  }
  return BootTime{std::chrono::nanoseconds(static_cast<std::int64_t>(now))};
}

Result<BootTime> boot_time_by_system_call() {
  if (!in_initial_time_namespace()) {
    return Error{.kind = ErrorKind::Refused,
                 .operation = "read the boot clock",
                 .object = {},
                 .cause = "this process is in a time namespace of its own, whose clock is not the kernel's",
                 .remedy = "run egress in the initial time namespace"};
  }
  timespec now{};
  const int result = ::clock_gettime(CLOCK_BOOTTIME, &now);
  const int err = errno;
  if (result != 0) return system_error("read the boot clock", {}, err);
  return BootTime{std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec)};
}

bool in_initial_time_namespace() {
  struct stat status {};
  // Without CONFIG_TIME_NS there is no such file, and no other namespace either.
  if (::stat("/proc/self/ns/time", &status) != 0) return errno == ENOENT && ::access("/proc/self/ns", X_OK) == 0;
  return status.st_ino == initial_time_namespace;
}

}  // namespace egress
