// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"
#include "egress/rule.hpp"
#include "sys/fd.hpp"
#include "sys/mountinfo.hpp"

namespace egress {

/// The enforced subtree: an open directory of cgroup v2 and everything below it. Paths are canonical
/// (canonical_cgroup_path) and relative to its root, "/". Nothing outside of it is ever opened.
class CgroupTree {
 public:
  /// `root`: an absolute path in a mounted cgroup v2, or empty for the cgroup v2 root of the host.
  /// Refused when empty in a cgroup namespace of its own (the root seen there is not the host's).
  /// NotFound when there is no such directory, Failed when it is not cgroup v2.
  [[nodiscard]] static Result<CgroupTree> open(const std::string& root);

  /// Descriptor of the root, good for attaching programs.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] CgroupId id() const { return id_; }
  /// Levels below the root of the hierarchy; 0 is the host's root.
  [[nodiscard]] unsigned level() const { return level_; }
  /// Where the root is in the file system: "/sys/fs/cgroup/unified/app".
  [[nodiscard]] const std::string& directory() const { return directory_; }
  /// Whether cgroup v1 hierarchies exist beside this one.
  [[nodiscard]] bool is_hybrid() const { return hybrid_; }

  /// Opens a cgroup for reading. NotFound if it does not exist or leads out of the tree.
  [[nodiscard]] Result<Fd> open_cgroup(const std::string& path) const;
  [[nodiscard]] std::optional<CgroupId> cgroup_at(const std::string& path) const;

  /// The canonical path for what a user wrote: a path below the root, or an absolute path in cgroupfs
  /// ("/sys/fs/cgroup/unified/a" is "/a"). The cgroup need not exist. NotFound for an absolute path in
  /// cgroupfs outside of the tree or in a v1 hierarchy, Usage for what is no path.
  [[nodiscard]] Result<std::string> path_from_user(std::string_view text) const;

  /// The cgroup of a process now. NotFound if there is no such process, if its cgroup is gone or outside
  /// of the tree, or if it has none in v2 (hybrid hosts).
  [[nodiscard]] Result<std::string> path_of_process(int pid) const;

  /// nullopt if the cgroup does not exist (any more) or is outside of the tree.
  [[nodiscard]] std::optional<std::string> path_of(CgroupId id) const;

  /// Every cgroup below the root (itself not included) whose name is `name`.
  [[nodiscard]] std::vector<CgroupId> cgroups_named(const std::string& name) const;

  /// Returns when every mkdir and rmdir of a cgroup that was under way at the call is done.
  [[nodiscard]] Result<void> wait_for_mkdir() const;

  /// Visits every cgroup below the root, parents first, until `visit` returns false. Cgroups that come or go
  /// meanwhile may be missed.
  using Visitor = std::function<bool(const std::string& path, const std::string& name, CgroupId id)>;
  void walk(const Visitor& visit) const;
  /// The same from `path` on, that cgroup itself first. Nothing if it does not exist.
  void walk_from(const std::string& path, const Visitor& visit) const;

 private:
  CgroupTree() = default;

  [[nodiscard]] Result<void> locate(const std::vector<Mount>& mounts);
  [[nodiscard]] std::optional<std::string> path_by_handle(CgroupId id) const;
  [[nodiscard]] std::optional<std::string> path_by_walk(CgroupId id) const;
  [[nodiscard]] Result<std::string> below_root(const std::string& hierarchy_path, int pid) const;
  [[nodiscard]] Result<void> make_and_remove_child() const;

  Fd fd_;
  CgroupId id_{};
  unsigned level_ = 0;
  std::string directory_;       ///< of the root in the file system
  std::string mount_point_;     ///< of the cgroup v2 mount that holds it
  std::string hierarchy_path_;  ///< of the root, as /proc/PID/cgroup counts; "/" for the host's root
  bool hybrid_ = false;
};

/// Whether the caller's cgroup namespace is the initial one.
[[nodiscard]] bool in_initial_cgroup_namespace();

/// The `0::` line of /proc/PID/cgroup; nullopt if there is none.
[[nodiscard]] std::optional<std::string> parse_v2_line(std::string_view proc_cgroup);

}  // namespace egress
