// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "support/require.hpp"

namespace egress::test {

/// A bpffs in a temporary directory of its own, gone with this object.
class PrivateBpffs {
 public:
  PrivateBpffs() {
    char name[] = "/tmp/egress-bpffs-XXXXXX";
    require(::mkdtemp(name) != nullptr, "mkdtemp", name);
    directory_ = name;
    require(::mount("bpf", name, "bpf", 0, "mode=0755") == 0, "mount bpffs at", name);
  }
  PrivateBpffs(const PrivateBpffs&) = delete;
  PrivateBpffs& operator=(const PrivateBpffs&) = delete;
  ~PrivateBpffs() {
    ::umount2(directory_.c_str(), MNT_DETACH);
    ::rmdir(directory_.c_str());
  }

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }

 private:
  std::string directory_;
};

}  // namespace egress::test
