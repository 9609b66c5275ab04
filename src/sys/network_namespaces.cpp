// SPDX-License-Identifier: GPL-2.0
#include "sys/network_namespaces.hpp"

#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <optional>
#include <set>
#include <string>

#include "sys/directory.hpp"
#include "sys/processes.hpp"

namespace egress {
namespace {

constexpr const char* kept_by_ip = "/run/netns";  // ip-netns(8)

std::string path_of_process(int pid) { return "/proc/" + std::to_string(pid) + "/ns/net"; }

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// The inode is that of what was opened: the process may have gone elsewhere since it was looked at.
Result<NetworkNamespace> open_namespace(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int err = errno;
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return system_error("open network namespace", path, err);
  return NetworkNamespace{status.st_ino, std::move(fd)};
}

/// What a process that ended in between leaves behind is no failure.
bool has_ended(const Error& error) { return error.code == ENOENT || error.code == ESRCH; }

/// A name whose namespace was taken away is an empty file.
bool is_namespace(int fd) {
  struct statfs status {};
  return ::fstatfs(fd, &status) == 0 && status.f_type == NSFS_MAGIC;
}

struct Visit {
  int netns = -1;
  const std::function<void()>& act;
  int err = 0;

  static void* run(void* argument) {
    auto& visit = *static_cast<Visit*>(argument);
    if (::setns(visit.netns, CLONE_NEWNET) == 0) {
      visit.act();
    } else {
      visit.err = errno;
    }
    return nullptr;
  }
};

/// With the usual 8 MiB of stack, what a memory limit leaves may be gone.
int run_in_thread(Visit& visit) {
  constexpr std::size_t stack = 256 * 1024;
  pthread_attr_t attributes;
  pthread_t thread{};
  int err = ::pthread_attr_init(&attributes);
  if (err != 0) return err;
  ::pthread_attr_setstacksize(&attributes, stack);
  err = ::pthread_create(&thread, &attributes, Visit::run, &visit);
  if (err == 0) ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
  return err;
}

}  // namespace

Result<NetworkNamespace> own_network_namespace() { return open_namespace("/proc/thread-self/ns/net"); }

Result<NetworkNamespace> network_namespace_of(int pid) {
  auto netns = open_namespace(path_of_process(pid));
  if (netns || !has_ended(netns.error())) return netns;
  Error error = std::move(netns).error();
  error.kind = ErrorKind::NotFound;
  error.object = "pid " + std::to_string(pid);
  return error;
}

void visit_network_namespaces(const std::function<void(Result<NetworkNamespace>)>& visit) {
  std::set<std::uint64_t> seen;
  for (const int pid : all_processes()) {
    const std::string path = path_of_process(pid);
    // Most processes share one: opened only if it is new.
    const std::uint64_t inode = inode_of(path);
    if (inode == 0 || seen.contains(inode)) continue;
    auto netns = open_namespace(path);
    if (netns ? seen.insert(netns->inode).second : !has_ended(netns.error())) visit(std::move(netns));
  }
  for_each_entry(kept_by_ip, [&](int, const char* name) {
    auto netns = open_namespace(std::string(kept_by_ip) + "/" + name);
    if (netns && is_namespace(netns->fd.get()) && seen.insert(netns->inode).second) visit(std::move(netns));
  });
}

Result<void> enter_namespace(int netns_fd, const std::function<void()>& act) {
  Visit visit{netns_fd, act, 0};
  const int err = run_in_thread(visit);
  if (err != 0 || visit.err != 0) return system_error("enter network namespace", {}, err != 0 ? err : visit.err);
  return {};
}

Result<void> enter_namespace_of(std::uint64_t inode, const std::function<void()>& act) {
  const auto own = own_network_namespace();
  if (own && own.value().inode == inode) {
    act();
    return {};
  }
  std::optional<Result<void>> entered;
  visit_network_namespaces([&](const Result<NetworkNamespace>& one) {
    if (!entered && one && one.value().inode == inode) entered = enter_namespace(one.value().fd.get(), act);
  });
  if (entered) return *entered;
  return Error{
      ErrorKind::NotFound, "enter network namespace", "inode " + std::to_string(inode), "nobody keeps it", {}, 0};
}

}  // namespace egress
