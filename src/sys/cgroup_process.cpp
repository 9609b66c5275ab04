// SPDX-License-Identifier: GPL-2.0
// Which cgroup a process is in: CgroupTree::path_of_process.
#include <poll.h>
#include <sys/syscall.h>

#include <charconv>

#include "sys/cgroup.hpp"

namespace egress {
namespace {

Error no_process(int pid) {
  return Error{.kind = ErrorKind::NotFound,
               .operation = {},
               .object = "pid " + std::to_string(pid),
               .cause = "no such process",
               .remedy = {}};
}

Error not_usable(int pid, std::string cause, std::string remedy = {}) {
  auto error = no_process(pid);
  error.cause = std::move(cause);
  error.remedy = std::move(remedy);
  return error;
}

/// A pidfd polls readable once its process has ended, zombies included.
bool has_ended(const Fd& pidfd) {
  pollfd waiting{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, 0) != 0;
}

bool ends_in_deleted(std::string_view path) {
  constexpr std::string_view suffix = " (deleted)";
  return path.size() > suffix.size() && path.substr(path.size() - suffix.size()) == suffix;
}

/// Whether the process is in this cgroup; cgroup.threads can be read in every kind of cgroup.
bool holds(const Fd& cgroup, int pid) {
  const auto threads = read_proc_file("/proc/self/fd/" + std::to_string(cgroup.get()) + "/cgroup.threads");
  if (!threads) return false;
  const std::string line = std::to_string(pid) + "\n";
  return ("\n" + *threads).find("\n" + line) != std::string::npos;
}

}  // namespace

std::optional<std::string> parse_v2_line(std::string_view proc_cgroup) {
  while (!proc_cgroup.empty()) {
    const auto end = std::min(proc_cgroup.find('\n'), proc_cgroup.size());
    const auto line = proc_cgroup.substr(0, end);
    if (line.substr(0, 4) == "0::/") return std::string(line.substr(3));
    proc_cgroup.remove_prefix(std::min(end + 1, proc_cgroup.size()));
  }
  return std::nullopt;
}

Result<std::string> CgroupTree::path_of_process(int pid) const {
  // The pidfd first: if the process still lives afterwards, what was read in between is not a successor's.
  const Fd pidfd(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)) : -1);
  int err = errno;
  // ENOENT (6.9: EINVAL before): the id of a thread that does not lead a process.
  if (!pidfd.valid() && (pid <= 0 || err == ESRCH || err == EINVAL || err == ENOENT)) return no_process(pid);
  if (!pidfd.valid()) return system_error("open", "pid " + std::to_string(pid), err);
  auto text = read_proc_file("/proc/" + std::to_string(pid) + "/cgroup");
  if (has_ended(pidfd)) return no_process(pid);
  if (!text) return std::move(text).error();
  const auto path = parse_v2_line(*text);
  if (!path) return not_usable(pid, "no v2 cgroup for this workload", "move it into a cgroup below " + directory_);
  return below_root(*path, pid);
}

Result<std::string> CgroupTree::below_root(const std::string& path, int pid) const {
  if (path == "/" && hybrid_) {
    return not_usable(pid, "no v2 cgroup for this workload (its v2 path is /, it is in cgroup v1 only)",
                      "move it into a cgroup below " + directory_ + ", or run it with: egress run");
  }
  const std::size_t base = hierarchy_path_ == "/" ? 0 : hierarchy_path_.size();
  const bool inside =
      path.compare(0, base, hierarchy_path_, 0, base) == 0 && (base == 0 || path.size() == base || path[base] == '/');
  if (!inside) {
    return not_usable(pid, "its cgroup " + path + " is outside of the enforced subtree " + directory_);
  }
  const std::string below = path.size() == base ? "/" : path.substr(base);
  const auto cgroup = open_cgroup(below);
  if (!cgroup) return not_usable(pid, "its cgroup " + path + " is gone");
  // "x (deleted)" is what a removed x is called, and a name that a living cgroup may have (failure J7).
  if (ends_in_deleted(below) && !holds(*cgroup, pid)) return not_usable(pid, "its cgroup " + path + " is gone");
  return below;
}

}  // namespace egress
