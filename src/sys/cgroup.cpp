// SPDX-License-Identifier: GPL-2.0
#include "sys/cgroup.hpp"

#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "sys/directory.hpp"

namespace egress {
namespace {

constexpr ino_t initial_cgroup_namespace = 4026531835;  // PROC_CGROUP_INIT_INO, include/linux/proc_ns.h
constexpr ino_t hierarchy_root = 1;                     // kernfs gives its root the id 1

/// Opens a directory below `parent` and nowhere else: no links, no "..", no other mount (failure L4).
Fd open_below(int parent, const char* path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return Fd(static_cast<int>(::syscall(SYS_openat2, parent, path, &how, sizeof how)));
}

std::optional<CgroupId> id_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return std::nullopt;
  return CgroupId{status.st_ino};
}

bool is_on(int fd, unsigned long magic) {
  struct statfs status {};
  return ::fstatfs(fd, &status) == 0 && static_cast<unsigned long>(status.f_type) == magic;
}

/// "/a" and "/b" are "/a/b"; "/" is neutral on both sides.
std::string join(const std::string& head, const std::string& tail) {
  if (tail == "/" || tail.empty()) return head;
  return head == "/" ? tail : head + tail;
}

/// What `path` is below `base`: "/" for base itself, nullopt for a path elsewhere.
std::optional<std::string> strip(std::string_view path, std::string_view base) {
  if (base == "/") return std::string(path);
  if (path.substr(0, base.size()) != base) return std::nullopt;
  path.remove_prefix(base.size());
  if (path.empty()) return "/";
  if (path.front() != '/') return std::nullopt;
  return std::string(path);
}

unsigned levels_of(const std::string& path) {
  return path == "/" ? 0 : static_cast<unsigned>(std::count(path.begin(), path.end(), '/'));
}

/// Where an open directory is, as this process sees it.
std::string directory_of(int fd) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
}

Error not_found(std::string object, std::string cause, std::string remedy = {}) {
  return Error{.kind = ErrorKind::NotFound,
               .operation = {},
               .object = std::move(object),
               .cause = std::move(cause),
               .remedy = std::move(remedy)};
}

Error root_error(const std::string& root, std::string cause, std::string remedy) {
  return Error{.operation = "open cgroup root", .object = root, .cause = std::move(cause), .remedy = std::move(remedy)};
}

Error in_own_namespace(const std::string& root) {
  auto error =
      root_error(root, "this process is in a cgroup namespace of its own: the host's cgroups are not seen here",
                 "run egress in the host's cgroup namespace, or give it a host cgroup mount with --cgroup-root");
  error.kind = ErrorKind::Refused;
  return error;
}

Result<Fd> open_root(const std::string& root) {
  if (root.empty() || root.front() != '/') return usage_error(root, "the cgroup root is not an absolute path");
  // The user's own choice of a path: links are followed, and what counts is what was opened.
  Fd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int err = errno;
  if (!fd.valid()) {
    auto error = system_error("open cgroup root", root, err);
    if (err == ENOENT) error.kind = ErrorKind::NotFound;
    return error;
  }
  if (is_on(fd.get(), CGROUP2_SUPER_MAGIC)) return fd;
  return root_error(root, is_on(fd.get(), CGROUP_SUPER_MAGIC) ? "a cgroup v1 directory" : "not in cgroup v2",
                    "name a directory of cgroup v2 (grep cgroup2 /proc/self/mounts)");
}

/// The mount of the host's cgroup v2 root. A later mount on the same point hides an earlier one.
const Mount* default_mount(const std::vector<Mount>& mounts) {
  const Mount* found = nullptr;
  for (const auto& mount : mounts) {
    if (mount.type == "cgroup2" && mount.root == "/" && found == nullptr) found = &mount;
  }
  return found;
}

/// The innermost cgroup v2 mount that `directory` lies in.
const Mount* mount_of(const std::vector<Mount>& mounts, const std::string& directory) {
  const Mount* found = nullptr;
  for (const auto& mount : mounts) {
    if (mount.type != "cgroup2" || !strip(directory, mount.point)) continue;
    if (found == nullptr || mount.point.size() >= found->point.size()) found = &mount;
  }
  return found;
}

/// Visits the cgroups below an open directory.
bool walk_directory(int directory, const std::string& path, const CgroupTree::Visitor& visit) {
  Fd copy(::openat(directory, ".", directory_flags));
  if (!copy.valid()) return true;  // removed meanwhile
  const DirectoryStream stream = stream_of(std::move(copy));
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    const Fd child = open_below(directory, name.c_str());
    const auto id = child.valid() ? id_of(child.get()) : std::nullopt;
    if (!id) continue;
    const std::string child_path = join(path, "/" + name);
    if (!visit(child_path, name, *id) || !walk_directory(child.get(), child_path, visit)) return false;
  }
  return true;
}

}  // namespace

bool in_initial_cgroup_namespace() {
  struct stat status {};
  return ::stat("/proc/self/ns/cgroup", &status) == 0 && status.st_ino == initial_cgroup_namespace;
}

Result<CgroupTree> CgroupTree::open(const std::string& root) {
  auto mounts = read_mounts();
  if (!mounts) return std::move(mounts).error();
  std::string directory = root;
  if (root.empty()) {
    if (!in_initial_cgroup_namespace()) return in_own_namespace("/");
    const Mount* mount = default_mount(*mounts);
    if (mount == nullptr) {
      return root_error({}, "cgroup v2 is not mounted", "mount -t cgroup2 cgroup2 DIR, or boot with systemd");
    }
    directory = mount->point;
  }
  auto fd = open_root(directory);
  if (!fd) return std::move(fd).error();
  CgroupTree tree;
  tree.fd_ = *std::move(fd);
  if (auto located = tree.locate(*mounts); !located) return std::move(located).error();
  if (root.empty() && tree.id_ != CgroupId{hierarchy_root}) return in_own_namespace(directory);
  return tree;
}

Result<void> CgroupTree::locate(const std::vector<Mount>& mounts) {
  directory_ = directory_of(fd_.get());
  const auto id = id_of(fd_.get());
  const Mount* mount = mount_of(mounts, directory_);
  if (!id || mount == nullptr) return root_error(directory_, "its mount cannot be told", "mount /proc");
  id_ = *id;
  mount_point_ = mount->point;
  hierarchy_path_ = join(mount->root, *strip(directory_, mount_point_));
  hybrid_ = std::any_of(mounts.begin(), mounts.end(), [](const Mount& other) { return other.type == "cgroup"; });
  // Paths in mountinfo count from the root of the caller's namespace; the level counts from the host's root.
  struct stat status {};
  const bool whole = ::stat(mount_point_.c_str(), &status) == 0 && status.st_ino == hierarchy_root;
  if (!whole && !in_initial_cgroup_namespace()) return in_own_namespace(directory_);
  level_ = levels_of(whole ? *strip(directory_, mount_point_) : hierarchy_path_);
  return {};
}

Result<Fd> CgroupTree::open_cgroup(const std::string& path) const {
  const auto start = path.find_first_not_of('/');
  const std::string relative = start == std::string::npos ? "." : path.substr(start);
  Fd fd = open_below(fd_.get(), relative.c_str());
  const int err = errno;
  if (fd.valid()) return fd;
  if (err == ENOENT || err == ENOTDIR || err == ENODEV) return not_found("cgroup " + path, "no such cgroup");
  if (err == EXDEV || err == ELOOP) return not_found("cgroup " + path, "leads out of " + directory_);
  return system_error("open", "cgroup " + path, err);
}

std::optional<CgroupId> CgroupTree::cgroup_at(const std::string& path) const {
  const auto fd = open_cgroup(path);
  return fd ? id_of(fd->get()) : std::nullopt;
}

Result<std::string> CgroupTree::path_from_user(std::string_view text) const {
  if (const auto below = strip(text, directory_)) return canonical_cgroup_path(*below);
  const std::string path(text);
  const std::string where = "the enforced subtree " + directory_;
  if (strip(text, mount_point_)) return not_found("cgroup " + path, "outside of " + where);
  // "/sys/fs/cgroup/memory/a" may be meant below the root only if there is no such directory of v1.
  const Fd absolute(path.empty() || path.front() != '/' ? -1 : ::open(path.c_str(), directory_flags));
  if (absolute.valid() && is_on(absolute.get(), CGROUP_SUPER_MAGIC)) {
    return not_found("cgroup " + path, "a cgroup v1 directory", "name the cgroup below " + directory_);
  }
  if (absolute.valid() && is_on(absolute.get(), CGROUP2_SUPER_MAGIC)) {  // by another mount
    if (const auto id = id_of(absolute.get()); id && path_of(*id)) return *path_of(*id);
    return not_found("cgroup " + path, "outside of " + where);
  }
  return canonical_cgroup_path(text);
}

std::optional<std::string> CgroupTree::path_of(CgroupId id) const {
  if (id == id_) return "/";
  auto path = path_by_handle(id);
  return path ? path : path_by_walk(id);
}

std::optional<std::string> CgroupTree::path_by_handle(CgroupId id) const {
  constexpr int fileid_kernfs = 0xfe;  // FILEID_KERNFS, include/linux/exportfs.h, Linux 5.5
  alignas(file_handle) char buffer[sizeof(file_handle) + sizeof(std::uint64_t)]{};
  auto* handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = sizeof(std::uint64_t);
  handle->handle_type = fileid_kernfs;
  std::memcpy(handle->f_handle, &id, sizeof id);
  const Fd fd(::open_by_handle_at(fd_.get(), handle, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  // Both paths as of now: the tree may have been mounted elsewhere since it was opened.
  auto path = strip(directory_of(fd.get()), directory_of(fd_.get()));
  // A removed cgroup's path ends in " (deleted)", and so may the name of a living one (failure J7).
  if (!path || cgroup_at(*path) != id) return std::nullopt;
  return path;
}

std::optional<std::string> CgroupTree::path_by_walk(CgroupId id) const {
  std::optional<std::string> found;
  walk([&](const std::string& path, const std::string&, CgroupId other) {
    if (other == id) found = path;
    return !found;
  });
  return found;
}

std::vector<CgroupId> CgroupTree::cgroups_named(const std::string& name) const {
  std::vector<CgroupId> found;
  walk([&](const std::string&, const std::string& other, CgroupId id) {
    if (other == name) found.push_back(id);
    return true;
  });
  return found;
}

void CgroupTree::walk(const Visitor& visit) const { walk_directory(fd_.get(), "/", visit); }

void CgroupTree::walk_from(const std::string& path, const Visitor& visit) const {
  const auto start = open_cgroup(path);
  const auto id = start ? id_of(start->get()) : std::nullopt;
  if (!id || !visit(path, path.substr(path.rfind('/') + 1), *id)) return;
  walk_directory(start->get(), path, visit);
}

Result<void> CgroupTree::wait_for_mkdir() const {
  // An empty list of controllers changes nothing, but is read under cgroup_mutex, which mkdir holds until the
  // new cgroup is in the tree (cgroup_subtree_control_write and cgroup_mkdir in kernel/cgroup/cgroup.c).
  const Fd control(::openat(fd_.get(), "cgroup.subtree_control", O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (control.valid() && ::write(control.get(), "\n", 1) == 1) return {};
  return make_and_remove_child();
}

Result<void> CgroupTree::make_and_remove_child() const {
  const std::string name = "egress-barrier-" + std::to_string(::getpid());
  int result = ::mkdirat(fd_.get(), name.c_str(), 0700);
  int err = errno;
  if (result != 0 && err != EEXIST) return system_error("wait for cgroups being made", directory_, err);
  result = ::unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR);
  err = errno;
  if (result != 0 && err != ENOENT) return system_error("remove cgroup", directory_ + "/" + name, err);
  return {};
}

}  // namespace egress
