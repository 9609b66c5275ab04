// SPDX-License-Identifier: GPL-2.0
#include "support/child_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <utility>

#include "support/require.hpp"

namespace egress::test {
namespace {

void take_place(const ChildPlace& place, pid_t parent) {
  if (!place.cgroup.empty()) {
    errno = enter_cgroup(place.cgroup);
    require(errno == 0, "enter cgroup", place.cgroup.c_str());
  }
  if (place.netns >= 0) require(setns(place.netns, CLONE_NEWNET) == 0, "enter network namespace");
  if (place.uid != 0) {
    require(setgroups(0, nullptr) == 0 && setresgid(place.uid, place.uid, place.uid) == 0, "drop groups");
    require(setresuid(place.uid, place.uid, place.uid) == 0, "drop privileges");
  }
  // After setresuid, which clears it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(125);
}

[[noreturn]] void run_child(const ChildPlace& place, std::vector<int> kept, int ready, pid_t parent,
                            const std::function<int()>& body) {
  take_place(place, parent);
  const char byte = 1;
  require(write(ready, &byte, 1) == 1, "report readiness");
  close_files_except(std::move(kept));
  _exit(body());
}

}  // namespace

int enter_cgroup(const std::string& directory) {
  const int fd = open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int err = write(fd, "0", 1) == 1 ? 0 : errno;
  close(fd);
  return err;
}

void close_files_except(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned first = 3;
  for (const int fd : kept) {
    if (fd < 3) continue;
    const auto here = static_cast<unsigned>(fd);
    if (here > first) syscall(SYS_close_range, first, here - 1, 0);
    first = here + 1;
  }
  syscall(SYS_close_range, first, ~0U, 0);
}

unsigned long long boot_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<unsigned long long>(now.tv_sec) * 1'000'000'000ULL + static_cast<unsigned long long>(now.tv_nsec);
}

ChildProcess ChildProcess::start(const ChildPlace& place, std::vector<int> kept_files,
                                 const std::function<int()>& body) {
  int ready[2];
  require(pipe2(ready, O_CLOEXEC) == 0, "make pipe");
  const pid_t parent = getpid();
  const pid_t pid = fork();
  require(pid >= 0, "fork");
  if (pid == 0) run_child(place, std::move(kept_files), ready[1], parent, body);
  close(ready[1]);
  char byte = 0;
  const bool placed = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  require(placed, "start child process");
  return ChildProcess(pid);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds bound) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  require(fd >= 0, "open pidfd");
  pollfd ended{fd, POLLIN, 0};
  poll(&ended, 1, static_cast<int>(bound.count()));
  close(fd);
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return status;
}

}  // namespace egress::test
