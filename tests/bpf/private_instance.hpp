// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <string>

#include "bpf/private_bpffs.hpp"
#include "egress/filter.hpp"
#include "support/require.hpp"
#include "sys/fd.hpp"
#include "sys/kernel_ids.hpp"
#include "sys/link.hpp"

namespace egress::test {

/// Where cgroup v2 is mounted.
inline std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device;
  std::string point;
  std::string type;
  for (std::string rest; mounts >> device >> point >> type && std::getline(mounts, rest);) {
    if (type == "cgroup2") return point;
  }
  require(false, "find cgroup v2");
  return {};
}

/// A cgroup below the host's root that nobody else uses; removed with this object.
class PrivateCgroup {
 public:
  explicit PrivateCgroup(const std::string& name)
      : directory_(cgroup2_mount() + "/egress-test-" + std::to_string(::getpid()) + "-" + name) {
    require(::mkdir(directory_.c_str(), 0755) == 0, "make cgroup", directory_.c_str());
  }
  PrivateCgroup(const PrivateCgroup&) = delete;
  PrivateCgroup& operator=(const PrivateCgroup&) = delete;
  ~PrivateCgroup() { ::rmdir(directory_.c_str()); }

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] Fd open() const { return Fd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

 private:
  std::string directory_;
};

/// A pin directory and a root of its own for one instance; what is loaded into it is unloaded at the end.
class PrivateInstance {
 public:
  explicit PrivateInstance(const std::string& name)
      : root_(name), instance_{bpffs_.path("egress"), root_.directory()} {}
  ~PrivateInstance() { (void)unload(instance_); }

  [[nodiscard]] const Instance& get() const { return instance_; }
  [[nodiscard]] const PrivateCgroup& root() const { return root_; }
  [[nodiscard]] const PrivateBpffs& bpffs() const { return bpffs_; }
  [[nodiscard]] std::string pin(const std::string& name) const { return instance_.pin_dir + "/" + name; }

 private:
  PrivateBpffs bpffs_;
  PrivateCgroup root_;
  Instance instance_;
};

/// Removes a pin and waits until the kernel has freed the link, which it does on a work queue.
inline void remove_link(const std::string& pin) {
  const auto id = [&] {
    const Fd fd(bpf_obj_get(pin.c_str()));
    Result<LinkInfo> info = link_info(fd.get());
    return info ? info->id : 0u;
  }();
  require(id != 0, "open link", pin.c_str());
  require(::unlink(pin.c_str()) == 0, "remove pin", pin.c_str());
  const timespec pause{0, 1'000'000};
  for (int tries = 0; tries < 5000; ++tries) {
    if (!Link::open_id(id).ok()) return;
    ::nanosleep(&pause, nullptr);
  }
  require(false, "see link go", pin.c_str());
}

/// Settings with small maps.
inline LoadSettings small_settings() { return LoadSettings{.max_rules = 1024}; }

}  // namespace egress::test
