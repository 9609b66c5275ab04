// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace egress::test {

/// Where a child lives. It is there before its body runs, so nothing it makes belongs elsewhere.
struct ChildPlace {
  std::string cgroup = {};  ///< directory; empty = the test's own cgroup
  int netns = -1;           ///< file descriptor; -1 = the test's own
  uid_t uid = 0;            ///< 0 = stays root
};

/// A forked child of the test. It dies with the test, keeps no file of it but those named, and is
/// killed and reaped by the destructor.
class ChildProcess {
 public:
  /// Returns when the child is in its place. The body's value is the exit status.
  static ChildProcess start(const ChildPlace& place, std::vector<int> kept_files, const std::function<int()>& body);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;

  /// The wait status; nullopt if the child still runs after `bound`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds bound);

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// Moves the calling process into a cgroup; 0 or the errno.
[[nodiscard]] int enter_cgroup(const std::string& directory);

/// Closes every file beyond standard error that is not named.
void close_files_except(std::vector<int> kept);

/// Nanoseconds of the boot clock.
[[nodiscard]] unsigned long long boot_now();

}  // namespace egress::test
