// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>

#include "egress/error.hpp"

namespace egress::cli {

/// A cgroup made for one command. Its end kills what is left in it and removes it with its descendants.
class RunCgroup {
 public:
  /// Makes `directory`, which must not exist.
  [[nodiscard]] static Result<RunCgroup> create(const std::string& directory);

  RunCgroup(RunCgroup&& other) noexcept;
  RunCgroup& operator=(RunCgroup&& other) = delete;
  ~RunCgroup();

  [[nodiscard]] const std::string& directory() const { return directory_; }

  /// Moves the calling process in. Async-signal-safe; errno of the failure, 0 if it went well.
  [[nodiscard]] int enter() const noexcept;

  /// Kills what is left and removes the cgroup; after success the end of the object does nothing.
  [[nodiscard]] Result<void> close();

 private:
  explicit RunCgroup(std::string directory) : directory_(std::move(directory)), procs_(directory_ + "/cgroup.procs") {}
  std::string directory_;  ///< empty once removed
  std::string procs_;
};

}  // namespace egress::cli
