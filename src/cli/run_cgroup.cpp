// SPDX-License-Identifier: GPL-2.0
#include "cli/run_cgroup.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "sys/fd.hpp"
#include "sys/mountinfo.hpp"

namespace egress::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{10};

std::vector<std::string> child_cgroups(const std::string& directory) {
  std::vector<std::string> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) return children;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") children.push_back(directory + "/" + name);
  }
  return children;
}

/// Kernels before 5.14 have no cgroup.kill: signal process by process; a fork may outrun one round.
void kill_each(const std::string& directory) {
  for (const std::string& child : child_cgroups(directory)) kill_each(child);
  const auto procs = read_proc_file(directory + "/cgroup.procs");
  if (!procs) return;
  std::istringstream pids(*procs);
  for (pid_t pid = 0; pids >> pid;) {
    if (pid > 1) ::kill(pid, SIGKILL);
  }
}

void kill_all(const std::string& directory) {
  const Fd file(::open((directory + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid() && ::write(file.get(), "1", 1) == 1) return;
  kill_each(directory);
}

bool is_populated(const std::string& directory) {
  const auto events = read_proc_file(directory + "/cgroup.events");
  return events && events->find("populated 1") != std::string::npos;
}

/// Waits until nothing lives in the cgroup: the kernel signals a change of cgroup.events by POLLPRI.
void wait_until_empty(const std::string& directory) {
  const auto deadline = Clock::now() + patience;
  const Fd events(::open((directory + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  while (is_populated(directory) && Clock::now() < deadline) {
    kill_all(directory);
    pollfd change{events.get(), POLLPRI, 0};
    char buffer[256];
    if (::pread(events.get(), buffer, sizeof buffer, 0) > 0 && is_populated(directory)) ::poll(&change, 1, 100);
  }
}

int remove_tree(const std::string& directory) {
  for (const std::string& child : child_cgroups(directory)) remove_tree(child);
  return ::rmdir(directory.c_str()) == 0 ? 0 : errno;
}

}  // namespace

Result<RunCgroup> RunCgroup::create(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0) {
    const int err = errno;
    return system_error("create cgroup", directory, err, "run needs the right to make cgroups there");
  }
  return RunCgroup(directory);
}

RunCgroup::RunCgroup(RunCgroup&& other) noexcept
    : directory_(std::exchange(other.directory_, {})), procs_(std::move(other.procs_)) {}

RunCgroup::~RunCgroup() {
  if (!directory_.empty()) (void)close();
}

int RunCgroup::enter() const noexcept {
  const int fd = ::open(procs_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t written = ::write(fd, "0", 1);
  const int err = errno;
  ::close(fd);
  return written == 1 ? 0 : err;
}

Result<void> RunCgroup::close() {
  wait_until_empty(directory_);
  const std::string directory = std::exchange(directory_, {});
  const int err = remove_tree(directory);
  if (err != 0) return system_error("remove cgroup", directory, err, "remove it by hand when its processes have ended");
  return {};
}

}  // namespace egress::cli
