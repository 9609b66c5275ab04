// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "engine/tables.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"
#include "sys/socket_table.hpp"

namespace egress {

/// The machine: its cgroups, its boot clock, its grace periods.
class KernelWorld final : public World {
 public:
  /// `clock_program`: a program of type syscall that stores the boot clock into control.clock; without it
  /// (not valid) the clock is that of the caller's time namespace, which must be the initial one. `control`
  /// outlives this.
  KernelWorld(CgroupTree tree, Fd clock_program, egress_control& control);

  [[nodiscard]] const CgroupTree& tree() const { return tree_; }

  [[nodiscard]] Result<BootTime> now() const override;
  void wait_for_readers() override;
  [[nodiscard]] CgroupId root() const override { return tree_.id(); }
  [[nodiscard]] std::optional<CgroupId> cgroup_at(const std::string& path) const override;
  [[nodiscard]] std::optional<std::string> path_of(CgroupId id) const override;
  [[nodiscard]] std::vector<CgroupId> cgroups_named(const std::string& name) const override;
  [[nodiscard]] Result<void> wait_for_mkdir() override { return tree_.wait_for_mkdir(); }
  [[nodiscard]] SocketListing sockets() override { return sockets_.list(); }
  [[nodiscard]] std::vector<int> destroy(std::span<const Socket> sockets) override { return sockets_.destroy(sockets); }
  [[nodiscard]] std::vector<HeldSocket> held_sockets(const std::string& path, Subject::Scope scope) const override;

 private:
  CgroupTree tree_;
  Fd clock_program_;
  egress_control& control_;
  SocketTable sockets_;
};

/// Returns when every BPF program (not sleepable) that was running at the call has returned.
void wait_for_grace_period();

}  // namespace egress
