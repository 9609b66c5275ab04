// SPDX-License-Identifier: GPL-2.0
#include "sys/bpffs.hpp"

#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

#include "egress/rule.hpp"
#include "sys/directory.hpp"

namespace egress {
namespace {

constexpr char default_bpffs[] = "/sys/fs/bpf";

Error refused(const std::string& path, std::string cause, std::string remedy) {
  return Error{.kind = ErrorKind::Refused,
               .operation = "open pin directory",
               .object = path,
               .cause = std::move(cause),
               .remedy = std::move(remedy)};
}

/// The components of an absolute path; empty and "." ones left out.
std::vector<std::string> components_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    auto part = path.substr(at, end - at);
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
    at = end + 1;
  }
  return parts;
}

Result<std::vector<std::string>> checked_components(const std::string& path) {
  auto parts = components_of(path);
  if (path.empty() || path.front() != '/' || parts.empty()) {
    return usage_error(path, "the pin directory is not an absolute path", "for example /sys/fs/bpf/NAME");
  }
  if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
    return usage_error(path, "the path of the pin directory contains '..'", "write it without");
  }
  return parts;
}

/// Why a component of the path could not be opened. A symbolic link is ENOTDIR with O_DIRECTORY | O_NOFOLLOW.
Error open_failure(const std::string& path, const std::string& reached, int parent, const std::string& name, int code) {
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode)) {
    return refused(path, reached + " is a symbolic link", "name the directory that it leads to");
  }
  if (code == EPERM && name.find('.') != std::string::npos && is_on_bpffs(parent)) {
    return refused(path, "bpffs refuses names with a dot", "choose another --pin-dir");
  }
  auto error = system_error("open pin directory", path, code);
  if (code == ENOENT) {
    error.kind = ErrorKind::NotFound;
    error.cause = reached + " does not exist";
  }
  return error;
}

/// Makes a directory that is missing and opens it; only bpffs is ours to make directories in.
Result<Fd> make_directory(const std::string& path, const std::string& reached, int parent, const std::string& name) {
  if (!is_on_bpffs(parent)) {
    return refused(path, reached + " does not exist and would not be on a bpffs",
                   "choose a directory below /sys/fs/bpf, or mount a bpffs there: mount -t bpf bpf DIR");
  }
  const int made = ::mkdirat(parent, name.c_str(), 0700);
  int err = errno;
  if (made != 0 && err != EEXIST) return system_error("make pin directory", reached, err);
  Fd fd(::openat(parent, name.c_str(), directory_flags));
  err = errno;
  if (!fd.valid()) return open_failure(path, reached, parent, name, err);
  // The umask may have taken even root's bits away.
  if (made == 0) ::fchmod(fd.get(), 0700);
  return fd;
}

/// Whoever may rename in a directory on the way could put another one in our place.
Result<void> check_parent(int fd, const std::string& path, const std::string& reached) {
  struct stat status {};
  if (!is_on_bpffs(fd) || ::fstat(fd, &status) != 0) return {};
  const bool shared = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0;
  if (status.st_uid == 0 && !shared) return {};
  return refused(path,
                 status.st_uid != 0 ? reached + " is not owned by root" : "others may rename what is in " + reached,
                 "chown root " + reached + "; chmod go-w " + reached);
}

/// Opens the path one component at a time, so that no symbolic link is followed on the way.
Result<Fd> open_components(const std::string& path, const std::vector<std::string>& parts, bool make) {
  Fd here(::open("/", directory_flags));
  std::string reached;
  for (const auto& part : parts) {
    reached += "/" + part;
    Fd next(::openat(here.get(), part.c_str(), directory_flags));
    const int err = errno;
    if (!next.valid() && err == ENOENT && make) {
      auto made = make_directory(path, reached, here.get(), part);
      if (!made) return made;
      next = *std::move(made);
    }
    if (!next.valid()) return open_failure(path, reached, here.get(), part, err);
    here = std::move(next);
    if (&part == &parts.back()) break;
    if (auto safe = check_parent(here.get(), path, reached); !safe) return std::move(safe).error();
  }
  return here;
}

Result<void> check_directory(int fd, const std::string& path) {
  if (!is_on_bpffs(fd)) {
    return refused(path, "not on a bpffs", "choose a directory below a mounted bpffs: mount -t bpf bpf /sys/fs/bpf");
  }
  struct stat status {};
  const int result = ::fstat(fd, &status);
  const int err = errno;
  if (result != 0) return system_error("open pin directory", path, err);
  if (status.st_uid != 0) {
    return refused(path, "owned by uid " + std::to_string(status.st_uid) + " instead of root",
                   "somebody else made it: look what it holds, remove it, or choose another --pin-dir");
  }
  const auto mode = static_cast<unsigned>(status.st_mode & 07777);
  if (mode != 0700) {
    char text[8];
    std::snprintf(text, sizeof text, "%04o", mode);
    return refused(path, std::string("its mode is ") + text + " instead of 0700",
                   "look what it holds, then: chmod 0700 " + path);
  }
  return {};
}

bool is_below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 &&
         path[directory.size()] == '/';
}

std::string joined(const std::vector<std::string>& parts) {
  std::string path;
  for (const auto& part : parts) path += "/" + part;
  return path;
}

}  // namespace

bool is_on_bpffs(int fd) {
  struct statfs status {};
  return ::fstatfs(fd, &status) == 0 && static_cast<unsigned long>(status.f_type) == BPF_FS_MAGIC;
}

Result<void> mount_default_bpffs() {
  struct statfs status {};
  int result = ::statfs(default_bpffs, &status);
  int err = errno;
  if (result != 0) return system_error("mount bpffs", default_bpffs, err, "mount sysfs at /sys");
  if (static_cast<unsigned long>(status.f_type) == BPF_FS_MAGIC) return {};
  result = ::mount("bpf", default_bpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700");
  err = errno;
  if (result != 0) return system_error("mount bpffs", default_bpffs, err, "mount -t bpf bpf /sys/fs/bpf");
  return {};
}

Result<PinDirectory> PinDirectory::open(const std::string& path) {
  auto parts = checked_components(path);
  if (!parts) return std::move(parts).error();
  auto fd = open_components(path, *parts, /*make=*/false);
  if (!fd) return std::move(fd).error();
  if (auto good = check_directory(fd->get(), path); !good) return std::move(good).error();
  return PinDirectory(*std::move(fd), path);
}

Result<PinDirectory> PinDirectory::open_or_create(const std::string& path) {
  auto parts = checked_components(path);
  if (!parts) return std::move(parts).error();
  if (is_below(joined(*parts), default_bpffs)) {
    if (auto mounted = mount_default_bpffs(); !mounted) return std::move(mounted).error();
  }
  auto fd = open_components(path, *parts, /*make=*/true);
  if (!fd) return std::move(fd).error();
  if (auto good = check_directory(fd->get(), path); !good) return std::move(good).error();
  return PinDirectory(*std::move(fd), path);
}

std::string PinDirectory::entry_path(std::string_view name) const {
  return "/proc/self/fd/" + std::to_string(fd_.get()) + "/" + std::string(name);
}

Result<void> PinDirectory::pin(int object_fd, const std::string& name) const {
  const int result = bpf_obj_pin(object_fd, entry_path(name).c_str());
  const int err = errno;
  if (result < 0) return system_error("pin", path_ + "/" + name, err);
  return {};
}

Result<Fd> PinDirectory::open_pin(const std::string& name, Access access) const {
  const __u32 flags = access == Access::Read ? __u32{BPF_F_RDONLY} : 0;
  LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = flags);
  Fd object(bpf_obj_get_opts(entry_path(name).c_str(), &options));
  const int err = errno;
  if (object.valid()) return object;
  auto error = system_error("open pin", path_ + "/" + name, err);
  if (err == ENOENT) error.kind = ErrorKind::NotFound;
  return error;
}

bool PinDirectory::contains(const std::string& name) const {
  struct stat status {};
  return ::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<std::vector<std::string>> PinDirectory::names() const {
  // A descriptor of its own: the position of fd_ is shared by its duplicates.
  const int copy = ::openat(fd_.get(), ".", directory_flags);
  int err = errno;
  if (copy < 0) return system_error("list pin directory", path_, err);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
  std::vector<std::string> found;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") found.push_back(name);
    errno = 0;
  }
  err = errno;
  if (err != 0) return system_error("list pin directory", path_, err);
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> PinDirectory::rename(const std::string& from, const std::string& to) const {
  const int result = ::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str());
  const int err = errno;
  if (result != 0) return system_error("rename pin to " + to, path_ + "/" + from, err);
  return {};
}

Result<void> PinDirectory::unlink(const std::string& name) const {
  const int result = ::unlinkat(fd_.get(), name.c_str(), 0);
  const int err = errno;
  if (result != 0 && err != ENOENT) return system_error("remove pin", path_ + "/" + name, err);
  return {};
}

bool PinDirectory::is_current() const {
  struct stat mine {
  }, there{};
  return ::fstat(fd_.get(), &mine) == 0 && ::lstat(path_.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
         mine.st_dev == there.st_dev && mine.st_nlink > 0;
}

Result<void> PinDirectory::remove() const {
  if (!is_current()) return {};
  const int result = ::rmdir(path_.c_str());
  const int err = errno;
  if (result != 0 && err != ENOENT) return system_error("remove pin directory", path_, err);
  return {};
}

Result<DirectoryLock> DirectoryLock::acquire(const PinDirectory& directory, std::chrono::milliseconds limit) {
  Fd fd(::openat(directory.fd(), ".", directory_flags));
  int err = errno;
  if (!fd.valid()) return system_error("lock", directory.path(), err);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  // flock has no time limit of its own, and a signal to end it would be the whole process's.
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    err = errno;
    if (err != EWOULDBLOCK && err != EINTR) return system_error("lock", directory.path(), err);
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{.operation = "lock",
                   .object = directory.path(),
                   .cause = "another egress command holds it for longer than " +
                            format_duration(std::chrono::nanoseconds(limit)),
                   .remedy = "wait for it to end, or find it with: fuser -v " + directory.path(),
                   .code = EWOULDBLOCK};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (directory.is_current()) return DirectoryLock(std::move(fd));
  return Error{.operation = "lock",
               .object = directory.path(),
               .cause = "the directory was removed or replaced meanwhile (egress unload?)",
               .remedy = "run the command again",
               .code = ESTALE};
}

}  // namespace egress
