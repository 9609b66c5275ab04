// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "support/require.hpp"

namespace egress::test {

/// Somebody else's cgroup_skb/egress program, which counts its packets and passes them.
class ForeignProgram {
 public:
  ForeignProgram() {
    map_ = bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign_count", 4, 8, 1, nullptr);
    require(map_ >= 0, "create map");
    // r1 = &count[0]; r2 = 1; *r1 += r2 (atomic); return 1
    const bpf_insn code[] = {{0x18, 1, BPF_PSEUDO_MAP_VALUE, 0, map_},
                             {0, 0, 0, 0, 0},
                             {0xb7, 2, 0, 0, 1},
                             {0xdb, 1, 2, 0, 0},
                             {0xb7, 0, 0, 0, 1},
                             {0x95, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
    program_ = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "foreign", "GPL", code, std::size(code), &options);
    require(program_ >= 0, "load foreign program");
  }
  ForeignProgram(ForeignProgram&& other) noexcept
      : map_(std::exchange(other.map_, -1)), program_(std::exchange(other.program_, -1)) {}
  ~ForeignProgram() {
    if (program_ >= 0) close(program_);
    if (map_ >= 0) close(map_);
  }

  [[nodiscard]] int fd() const { return program_; }
  [[nodiscard]] std::uint64_t packets() const {
    const std::uint32_t key = 0;
    std::uint64_t count = 0;
    require(bpf_map_lookup_elem(map_, &key, &count) == 0, "read count");
    return count;
  }
  /// With BPF_F_ALLOW_MULTI, BPF_F_ALLOW_OVERRIDE or 0; it goes with the cgroup.
  [[nodiscard]] bool attach(const std::string& cgroup_directory, unsigned flags) const {
    const int cgroup = open(cgroup_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = bpf_prog_attach(program_, cgroup, BPF_CGROUP_INET_EGRESS, flags) == 0;
    close(cgroup);
    return done;
  }
  [[nodiscard]] bool detach(const std::string& cgroup_directory) const {
    const int cgroup = open(cgroup_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = bpf_prog_detach2(program_, cgroup, BPF_CGROUP_INET_EGRESS) == 0;
    close(cgroup);
    return done;
  }
  /// By a link: the caller owns the descriptor.
  [[nodiscard]] int link(const std::string& cgroup_directory) const {
    const int cgroup = open(cgroup_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int link = bpf_link_create(program_, cgroup, BPF_CGROUP_INET_EGRESS, nullptr);
    close(cgroup);
    return link;
  }

 private:
  int map_ = -1;
  int program_ = -1;
};

}  // namespace egress::test
