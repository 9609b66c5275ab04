// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "sys/bpffs.hpp"
#include "sys/devices.hpp"
#include "sys/kernel_ids.hpp"
#include "sys/mountinfo.hpp"
#include "sys/network_namespaces.hpp"
#include "sys/strict_attachment.hpp"
#include "sys/tc_filter.hpp"

namespace egress {
namespace {

/// Mounts that may lie over a pin directory before unload gives up.
constexpr int mounts_over_limit = 16;

/// How long unload waits for a command that holds the lock. A million rules are in force sooner.
constexpr std::chrono::milliseconds patience_with_others{2000};

constexpr std::string_view being_replaced = "_new";  ///< the end of a pin name while the loader replaces the pin

bool is_our_pin(std::string_view name) {
  if (name.ends_with(being_replaced)) name.remove_suffix(being_replaced.size());
  return std::ranges::any_of(hooks, [&](const Hook& hook) { return name == hook.pin; }) || is_instance_map(name) ||
         place_of_pin(name);
}

Result<std::vector<std::string>> entries_of(int directory) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int err = errno;
  if (copy < 0) return system_error("unload", "pin directory", err);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(copy), ::closedir);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

/// A directory with one of our pins is ours with all that is in it (another version may have known more pins),
/// unless it is the root of a bpffs, where others pin too.
Result<bool> remove_pins(int directory, bool is_mount_root) {
  Result<std::vector<std::string>> names = entries_of(directory);
  if (!names) return std::move(names).error();
  if (std::ranges::none_of(*names, is_our_pin)) return false;
  for (const std::string& name : *names) {
    if (is_mount_root && !is_our_pin(name)) continue;
    const int failed = ::unlinkat(directory, name.c_str(), 0);
    const int err = errno;
    if (failed && err != ENOENT && err != EISDIR) return system_error("unload", "pin " + name, err);
  }
  return true;
}

bool is_mount_root(int directory) {
  struct stat here {};
  struct stat above {};
  const bool known = ::fstat(directory, &here) == 0 && ::fstatat(directory, "..", &above, 0) == 0;
  return known && here.st_dev != above.st_dev;
}

/// Removes pins and directory as the path leads to them now. Owner and mode do not matter here: what an
/// attacker left in the directory must not keep the filter on. Only bpffs is ever touched. False if nothing is there.
Result<bool> remove_visible(const std::string& pin_dir) {
  const Fd directory(::open(pin_dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid() || !is_on_bpffs(directory.get())) return false;
  const bool shared = is_mount_root(directory.get());
  Result<bool> removed = remove_pins(directory.get(), shared);
  if (!removed || !*removed || shared) return removed;
  ::rmdir(pin_dir.c_str());  // stays if something of others is inside
  return true;
}

/// The innermost mount that a path leads through.
std::string mount_point_of(const std::vector<Mount>& mounts, const std::string& path) {
  std::string best;
  for (const Mount& mount : mounts) {
    const bool leads = mount.point == "/" || path == mount.point || path.starts_with(mount.point + "/");
    if (leads && mount.point.size() >= best.size()) best = mount.point;
  }
  return best;
}

/// Unmounting here must not unmount elsewhere. In a chroot whose root is no mount point, "/" cannot be named: there
/// it is done for each mount that can be seen.
bool make_mounts_private() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return true;
  if (errno != EINVAL) return false;
  Result<std::vector<Mount>> mounts = read_mounts();
  if (!mounts) return false;
  for (const Mount& mount : *mounts) ::mount("none", mount.point.c_str(), nullptr, MS_PRIVATE, nullptr);
  return true;
}

/// A command that is at work ends first: what it attaches while pins go would stay without one. Nobody keeps the filter
/// on by holding the lock, though.
std::optional<DirectoryLock> wait_for_others(const Instance& instance) {
  Result<PinDirectory> directory = PinDirectory::open(instance.pin_dir);
  if (!directory) return std::nullopt;
  Result<DirectoryLock> lock = DirectoryLock::acquire(*directory, patience_with_others);
  return lock ? std::optional(*std::move(lock)) : std::nullopt;
}

/// Runs in a child: in a mount namespace of its own, takes off one mount after the other that lies on the way
/// to the pin directory and removes the pins that come to light. The mounts of everybody else stay.
int uncover_and_remove(const std::string& pin_dir) {
  if (::unshare(CLONE_NEWNS) != 0) return 1;
  if (!make_mounts_private()) return 1;
  for (int round = 0; round < mounts_over_limit; ++round) {
    Result<std::vector<Mount>> mounts = read_mounts();
    if (!mounts) return 1;
    const std::string point = mount_point_of(*mounts, pin_dir);
    if (point.empty() || point == "/") return 0;
    if (::umount2(point.c_str(), MNT_DETACH) != 0) return 1;
    if (!remove_visible(pin_dir)) return 1;
  }
  return 0;
}

void remove_covered(const std::string& pin_dir) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(uncover_and_remove(pin_dir));
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

Result<void> detach_devices(const FoundInstance& found) {
  for (const FoundDeviceLink& one : found.device_links) {
    Result<void> done = one.link.detach();
    if (!done && done.error().code != EINVAL && done.error().code != ENOLINK)
      return std::move(done).error().in("unload");
  }
  return {};
}

/// Filters of devices hang on no link: every device of every network namespace is asked for one of this instance.
/// Whether there was one.
Result<bool> detach_filters(const Instance& instance) {
  bool found = false;
  Result<void> done;
  const auto detach_here = [&] {
    Result<std::vector<Device>> devices = list_devices();
    if (!devices) return;
    for (const Device& device : *devices) {
      const std::uint32_t program = tc_filter_program(device.ifindex);
      const auto owner = program == 0 ? std::nullopt : instance_of_program(program);
      if (!owner || !is_meta_of(*owner, instance)) continue;
      found = true;
      if (Result<void> detached = detach_tc_filter(device.ifindex, program, /*with_qdisc=*/true); !detached)
        done = std::move(detached);
    }
  };
  visit_network_namespaces([&](const Result<NetworkNamespace>& netns) {
    if (netns) (void)enter_namespace(netns.value().fd.get(), detach_here);
  });
  if (!done) return std::move(done).error().in("unload");
  return found;
}

Result<void> detach_links(const FoundInstance& found) {
  for (const FoundLink& one : found.links) {
    if (one.hook->kind != Hook::Kind::Cgroup) continue;
    Result<void> done = one.link.detach();
    // EINVAL: a kernel before 5.9 knows no BPF_LINK_DETACH; the link goes with its pin then.
    if (!done && done.error().code != EINVAL && done.error().code != ENOLINK)
      return std::move(done).error().in("unload");
  }
  return {};
}

/// The kernel frees a link a moment after its last pin went, on a work queue. Links that stay have pins that we
/// could not see, or a holder.
bool are_links_gone(const Instance& instance) {
  const timespec pause{0, 2'000'000};
  for (int tries = 0; tries < 100; ++tries) {
    Result<std::optional<FoundInstance>> left = find_instance(instance);
    if (!left || !left->has_value()) return true;
    left->reset();
    ::nanosleep(&pause, nullptr);
  }
  return false;
}

bool is_pinned_for_another_root(const Instance& instance) {
  Result<PinDirectory> directory = PinDirectory::open(instance.pin_dir);
  if (!directory) return false;
  Result<Fd> pin = directory->open_pin("meta", PinDirectory::Access::Read);
  if (!pin) return false;
  Result<egress_meta> meta = read_meta(pin->get());
  return meta && !is_meta_of(*meta, instance);
}

}  // namespace

Result<void> unload(const Instance& instance) {
  const std::optional<DirectoryLock> others_done = wait_for_others(instance);
  Result<std::optional<FoundInstance>> found = find_instance(instance);
  if (!found) return std::move(found).error().in("unload");
  if (found->has_value()) {
    if (Result<void> done = detach_links(**found); !done) return done;
    if (Result<void> done = detach_devices(**found); !done) return done;
  }
  Result<bool> filters = detach_filters(instance);
  if (!filters) return std::move(filters).error();
  const bool known = found->has_value() || *filters;
  if (!known && is_pinned_for_another_root(instance)) {
    return Error{ErrorKind::NotFound, "unload", instance.pin_dir, "its pins belong to another cgroup root", {}, 0};
  }
  Result<bool> removed = remove_visible(canonical_pin_dir(instance.pin_dir));
  if (!removed) return std::move(removed).error();
  if (!known && !*removed) {
    return Error{ErrorKind::NotFound, "unload", instance.pin_dir, "not loaded", {}, 0};
  }
  found->reset();  // our descriptors of the links
  if (!are_links_gone(instance)) remove_covered(canonical_pin_dir(instance.pin_dir));
  return {};
}

}  // namespace egress
