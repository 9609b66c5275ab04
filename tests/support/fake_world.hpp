// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <functional>
#include <map>
#include <string>

#include "engine/tables.hpp"

namespace egress::test {

/// A machine with a clock that stands still until it is moved, and a cgroup tree in memory.
class FakeWorld final : public World {
 public:
  explicit FakeWorld(Tables& tables) : tables_(tables) { tree_["/"] = CgroupId{1}; }

  Result<BootTime> now() const override { return BootTime{clock_}; }
  void wait_for_readers() override;
  CgroupId root() const override { return CgroupId{1}; }
  std::optional<CgroupId> cgroup_at(const std::string& path) const override;
  std::optional<std::string> path_of(CgroupId id) const override;
  std::vector<CgroupId> cgroups_named(const std::string& name) const override;
  Result<void> wait_for_mkdir() override;
  SocketListing sockets() override;
  std::vector<int> destroy(std::span<const Socket> sockets) override;
  std::vector<HeldSocket> held_sockets(const std::string& path, Subject::Scope scope) const override;

  void advance(std::chrono::nanoseconds by) { clock_ += by; }

  /// As the kernel with the cgroup_mkdir program: the new cgroup is bound before it can be seen.
  CgroupId mkdir(const std::string& path);
  /// As a mkdir that the program answered before the tree of names had what it has by now.
  CgroupId mkdir_unbound(const std::string& path);
  /// The directory goes; sockets of the cgroup may live on.
  void rmdir(const std::string& path);
  /// The last socket of a cgroup goes, too.
  void release(CgroupId id);

  /// Called in wait_for_mkdir() and wait_for_readers(): what happens meanwhile elsewhere.
  std::function<void()> meanwhile;
  std::function<void()> while_readers_finish;
  int grace_periods = 0;

  /// Sockets that exist; destroying takes them out.
  std::vector<Socket> existing;
  std::string listing_problem;
  int destroy_error = 0;
  std::function<void()> when_destroyed;
  std::map<std::string, std::vector<HeldSocket>> held;  ///< by the path of the holder's cgroup
  int listings = 0;

 private:
  void bind(const std::string& path, CgroupId id);

  Tables& tables_;
  std::chrono::nanoseconds clock_ = std::chrono::hours(1);
  std::map<std::string, CgroupId> tree_;
  std::uint64_t next_ = 100;
};

}  // namespace egress::test
