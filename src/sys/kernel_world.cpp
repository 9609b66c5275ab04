// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_world.hpp"

#include <bpf/bpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "sys/clock.hpp"
#include "sys/processes.hpp"

namespace egress {
namespace {

/// MEMBARRIER_CMD_GLOBAL is a synchronize_rcu (kernel/sched/membarrier.c), but a no-op on one CPU and refused
/// with nohz_full.
bool grace_period_by_membarrier() {
  return ::sysconf(_SC_NPROCESSORS_ONLN) > 1 && ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0u, 0) == 0;
}

/// An update of a map of maps from user space waits for all readers (maybe_wait_bpf_programs in
/// kernel/bpf/syscall.c): exactly what is wanted, on any number of CPUs.
bool grace_period_by_map_of_maps() {
  const Fd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 8, 1, nullptr));
  if (!inner.valid()) return false;
  LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<__u32>(inner.get()));
  const Fd outer(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", 4, 4, 1, &options));
  if (!outer.valid()) return false;
  const __u32 key = 0;
  const int value = inner.get();
  return bpf_map_update_elem(outer.get(), &key, &value, BPF_ANY) == 0;
}

}  // namespace

void wait_for_grace_period() {
  if (grace_period_by_membarrier() || grace_period_by_map_of_maps()) return;
  // Programs run for microseconds and cannot sleep; two ticks at HZ=100 outlast any of them.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

KernelWorld::KernelWorld(CgroupTree tree, Fd clock_program, egress_control& control)
    : tree_(std::move(tree)), clock_program_(std::move(clock_program)), control_(control) {}

Result<BootTime> KernelWorld::now() const {
  if (clock_program_.valid()) return boot_time_by_program(clock_program_.get(), control_);
  return boot_time_by_system_call();
}

void KernelWorld::wait_for_readers() { wait_for_grace_period(); }

std::optional<CgroupId> KernelWorld::cgroup_at(const std::string& path) const { return tree_.cgroup_at(path); }

std::optional<std::string> KernelWorld::path_of(CgroupId id) const { return tree_.path_of(id); }

std::vector<CgroupId> KernelWorld::cgroups_named(const std::string& name) const { return tree_.cgroups_named(name); }

std::vector<HeldSocket> KernelWorld::held_sockets(const std::string& path, Subject::Scope scope) const {
  std::vector<HeldSocket> held;
  tree_.walk_from(path, [&](const std::string& cgroup, const std::string&, CgroupId) {
    for (const int pid : processes_in(tree_.directory() + cgroup)) {
      for (const std::uint64_t inode : socket_inodes_of(pid)) held.push_back({inode, pid});
    }
    return scope == Subject::Scope::Subtree;
  });
  return held;
}

}  // namespace egress
