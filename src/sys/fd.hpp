// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "egress/error.hpp"

namespace egress {

class Fd;

/// A second descriptor of the same open file, close-on-exec.
[[nodiscard]] Result<Fd> duplicate(int fd);

/// Owns one file descriptor and closes it. Whoever makes the descriptor makes it close-on-exec (the kernel
/// does so by itself for BPF objects and pidfds).
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  /// -1 if it owns nothing.
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

  /// Gives the descriptor away; the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes what it owns and takes `fd`. errno stays as it was.
  void reset(int fd = -1) noexcept {
    const int saved = errno;
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
    errno = saved;
  }

  /// A second descriptor of the same open file, close-on-exec.
  [[nodiscard]] Result<Fd> duplicate() const;

 private:
  int fd_ = -1;
};

inline Result<Fd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  const int err = errno;
  if (copy < 0) return system_error("duplicate file descriptor", {}, err);
  return Fd(copy);
}

inline Result<Fd> Fd::duplicate() const { return egress::duplicate(fd_); }

}  // namespace egress
