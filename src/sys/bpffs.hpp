// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress {

/// The directory in bpffs that holds the pins of one instance. Everything goes through its descriptor, so
/// that a directory put in its place later is never written to.
class PinDirectory {
 public:
  /// Opens an existing directory. NotFound if there is none; Refused unless it is a directory (no symbolic
  /// link on the way) on bpffs, owned by root, mode 0700, with no directory of bpffs above it in which
  /// others may rename: whoever else may write there could take the filter off. Mounts nothing.
  [[nodiscard]] static Result<PinDirectory> open(const std::string& path);

  /// As open, but makes what is missing: the directory (mode 0700 whatever the umask), its parents inside
  /// bpffs, and the bpffs at /sys/fs/bpf if `path` lies below it and nothing is mounted there.
  [[nodiscard]] static Result<PinDirectory> open_or_create(const std::string& path);

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// As given: for messages.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// A path of `name` that leads through the descriptor ("/proc/self/fd/N/name"), for bpf(2) and libbpf.
  [[nodiscard]] std::string entry_path(std::string_view name) const;

  /// Pins a map, program or link. EEXIST (in Error::code) if the name is taken. bpffs refuses names with a dot.
  [[nodiscard]] Result<void> pin(int object_fd, const std::string& name) const;

  enum class Access { Read, ReadWrite };
  /// Opens a pinned object. NotFound if there is no such pin. Access::Read is for maps only.
  [[nodiscard]] Result<Fd> open_pin(const std::string& name, Access access = Access::ReadWrite) const;

  [[nodiscard]] bool contains(const std::string& name) const;
  /// Names in the directory, sorted; directories included.
  [[nodiscard]] Result<std::vector<std::string>> names() const;
  /// Renames a pin; one of the name `to` is replaced at once.
  [[nodiscard]] Result<void> rename(const std::string& from, const std::string& to) const;
  /// Removes a pin. A name that does not exist is no error.
  [[nodiscard]] Result<void> unlink(const std::string& name) const;

  /// Whether path() still leads to this directory: false once it was removed, replaced or mounted over.
  [[nodiscard]] bool is_current() const;

  /// Removes the directory itself, which must be empty; a directory that is gone already is no error.
  /// Parents stay.
  [[nodiscard]] Result<void> remove() const;

 private:
  PinDirectory(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Fd fd_;
  std::string path_;
};

/// The exclusive lock of writers: flock(2) on the pin directory, so the kernel releases it when the holder
/// dies. Held as long as this lives. Readers need none.
class DirectoryLock {
 public:
  /// Waits up to `limit`. Failed, with the remedy, if another process still holds the lock then, or if the
  /// directory was removed or replaced meanwhile (the caller opens it anew).
  [[nodiscard]] static Result<DirectoryLock> acquire(const PinDirectory& directory,
                                                     std::chrono::milliseconds limit = std::chrono::seconds(30));

 private:
  explicit DirectoryLock(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;  ///< an open file of its own: two locks of one process exclude each other too
};

/// Mounts a bpffs at /sys/fs/bpf unless one is there. Changes nothing if it is.
[[nodiscard]] Result<void> mount_default_bpffs();

/// Whether the open file is on bpffs.
[[nodiscard]] bool is_on_bpffs(int fd);

}  // namespace egress
