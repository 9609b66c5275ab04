// SPDX-License-Identifier: GPL-2.0
#include "sys/network_namespaces.hpp"

#include <sys/stat.h>

#include <set>
#include <string>

#include "sys/processes.hpp"

namespace egress {
namespace {

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// The inode is that of what was opened: the process may have gone elsewhere since it was looked at.
Result<NetworkNamespace> open_namespace(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int err = errno;
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return system_error("list sockets", path, err);
  return NetworkNamespace{status.st_ino, std::move(fd)};
}

/// What a process that ended in between leaves behind is no failure.
bool has_ended(const Error& error) { return error.code == ENOENT || error.code == ESRCH; }

}  // namespace

void visit_network_namespaces(const std::function<void(Result<NetworkNamespace>)>& visit) {
  std::set<std::uint64_t> seen;
  for (const int pid : all_processes()) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
    // Most processes share one: opened only if it is new.
    const std::uint64_t inode = inode_of(path);
    if (inode == 0 || seen.contains(inode)) continue;
    auto netns = open_namespace(path);
    if (netns ? seen.insert(netns->inode).second : !has_ended(netns.error())) visit(std::move(netns));
  }
}

}  // namespace egress
