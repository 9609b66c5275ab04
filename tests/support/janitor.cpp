// SPDX-License-Identifier: GPL-2.0
#include "support/janitor.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace egress::test {
namespace {

namespace fs = std::filesystem;

/// A cgroup and those below it, the deepest first.
std::vector<fs::path> subtree(const std::string& directory) {
  std::vector<fs::path> found;
  std::error_code gone;
  for (fs::recursive_directory_iterator it(directory, gone), end; !gone && it != end; it.increment(gone)) {
    if (it->is_directory(gone)) found.push_back(it->path());
  }
  std::reverse(found.begin(), found.end());
  found.emplace_back(directory);
  return found;
}

void kill_members(const fs::path& cgroup) {
  std::ifstream members(cgroup / "cgroup.procs");
  for (pid_t pid = 0; members >> pid;) {
    if (pid > 1) kill(pid, SIGKILL);
  }
}

bool remove_cgroups(const std::string& root) {
  for (const fs::path& cgroup : subtree(root)) {
    kill_members(cgroup);
    rmdir(cgroup.c_str());
  }
  return access(root.c_str(), F_OK) != 0;
}

}  // namespace

void kill_cgroup(const std::string& directory) {
  const int fd = open((directory + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && write(fd, "1", 1) == 1) {
    close(fd);
    return;
  }
  if (fd >= 0) close(fd);
  for (const fs::path& cgroup : subtree(directory)) kill_members(cgroup);
}

void clean_up(const Leftovers& leftovers) {
  kill_cgroup(leftovers.cgroup_root);
  umount2(leftovers.bpffs.c_str(), MNT_DETACH);
  // Killed processes leave their cgroup a little later.
  for (int tries = 0; tries < 2000 && !remove_cgroups(leftovers.cgroup_root); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::error_code ignored;
  fs::remove_all(leftovers.directory, ignored);
}

}  // namespace egress::test
