// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "support/actor.hpp"
#include "support/command.hpp"
#include "support/network.hpp"
#include "support/peer.hpp"
#include "sys/fd.hpp"

namespace egress::test {

/// One test's own world: a bpffs, an enforced subtree of cgroups and a network of two ends. Nothing in it can
/// be met by another test, another instance or the host's traffic. All of it is gone after the
/// destructor, and also when the test is killed: a janitor in a session of its own waits for that.
class Lab {
 public:
  Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;
  ~Lab();

  [[nodiscard]] const std::string& pin_dir() const { return pin_dir_; }
  [[nodiscard]] const std::string& cgroup_root() const { return cgroup_root_; }
  /// A directory for the test's files.
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] const Network& network() const { return *network_; }
  [[nodiscard]] const Peer& peer() const { return *peer_; }

  /// Cgroups, by their path below the enforced root ("/a/b").
  [[nodiscard]] std::string cgroup_directory(std::string_view path) const;
  /// With the cgroups above it. Returns the directory.
  std::string make_cgroup(std::string_view path) const;
  /// Waits until it is empty, with a bound.
  void remove_cgroup(std::string_view path) const;
  [[nodiscard]] std::uint64_t cgroup_id(std::string_view path) const;

  /// An actor at the client's end, in a cgroup that is made if it is missing.
  [[nodiscard]] Actor actor(std::string_view cgroup, uid_t uid = 0) const;

  /// Returns when the peer has seen every packet that was sent before: one marker goes through each CPU's
  /// queue, which is first in, first out.
  void settle() const;

  /// Runs the command under test on this lab's instance; `line` is split at blanks.
  [[nodiscard]] Outcome egress(const std::string& line, const std::string& input = {}) const;
  [[nodiscard]] Outcome egress(const Words& arguments, const std::string& input = {}) const;
  [[nodiscard]] Invocation invocation(const Words& arguments) const;
  /// `egress ls -o json`; an empty array if that fails.
  [[nodiscard]] nlohmann::json list() const;
  [[nodiscard]] static Outcome bpftool(const std::string& line);

  /// Writes a file below directory() and returns its path.
  std::string write_file(const std::string& name, const std::string& text) const;

 private:
  void mount_bpffs() const;
  void start_janitor();
  void wait_for_wire() const;

  std::string directory_;
  std::string pin_dir_;
  std::string cgroup_root_;
  int janitor_pipe_ = -1;
  pid_t janitor_ = -1;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Peer> peer_;
  Fd marker_;                       ///< a socket at the client's end: it is sent by often
  std::unique_ptr<Actor> witness_;  ///< outside of the enforced subtree
};

/// Where the host's cgroup v2 is mounted; empty if nowhere.
[[nodiscard]] std::string cgroup2_mount();

}  // namespace egress::test
