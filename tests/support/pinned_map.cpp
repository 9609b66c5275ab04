// SPDX-License-Identifier: GPL-2.0
#include "support/pinned_map.hpp"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <numeric>

#include "support/require.hpp"

namespace egress::test {
namespace {

std::uint64_t pointer(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

long bpf(int command, bpf_attr& attributes) { return syscall(SYS_bpf, command, &attributes, sizeof(attributes)); }

/// Per-CPU values are as many as CPUs are possible, not online.
std::size_t possible_cpus() {
  std::ifstream list("/sys/devices/system/cpu/possible");  // "0-3"
  std::size_t last = 0;
  for (std::string part; std::getline(list, part, ',');) {
    const std::size_t dash = part.find('-');
    last = std::stoul(dash == std::string::npos ? part : part.substr(dash + 1));
  }
  return last + 1;
}

}  // namespace

PinnedMap::PinnedMap(const std::string& path) {
  bpf_attr attributes{};
  attributes.pathname = pointer(path.c_str());
  fd_ = static_cast<int>(bpf(BPF_OBJ_GET, attributes));
  require(fd_ >= 0, "open map", path.c_str());
  bpf_map_info info{};
  attributes = {};
  attributes.info.bpf_fd = static_cast<std::uint32_t>(fd_);
  attributes.info.info_len = sizeof(info);
  attributes.info.info = pointer(&info);
  require(bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) == 0, "ask about map", path.c_str());
  key_size_ = info.key_size;
  max_entries_ = info.max_entries;
}

PinnedMap::~PinnedMap() { close(fd_); }

bool PinnedMap::call(int command, const void* key, const void* value) const {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(fd_);
  attributes.key = pointer(key);
  attributes.value = pointer(value);
  return bpf(command, attributes) == 0;
}

bool PinnedMap::has(std::uint64_t key) const {
  // Room for a value of every CPU; only whether there is one matters.
  std::vector<std::uint8_t> value(std::size_t{64} * 1024);
  return key_size_ == sizeof(key) && call(BPF_MAP_LOOKUP_ELEM, &key, value.data());
}

std::size_t PinnedMap::size() const {
  std::vector<std::uint8_t> key(key_size_);
  std::vector<std::uint8_t> next(key_size_);
  std::size_t keys = 0;
  const void* from = nullptr;
  while (keys <= max_entries_ && call(BPF_MAP_GET_NEXT_KEY, from, next.data())) {
    ++keys;
    key.swap(next);
    from = key.data();
  }
  return keys;
}

drop_stats read_stats(const std::string& pin_dir) {
  const PinnedMap map(pin_dir + "/stats");
  std::array<drop_stats, 1024> of_cpus{};
  require(possible_cpus() <= of_cpus.size(), "too many CPUs");
  of_cpus = map.lookup<decltype(of_cpus)>(std::uint32_t{0}).value_or(of_cpus);
  drop_stats sum{};
  for (const drop_stats& one : of_cpus) {
    sum.packets_dropped += one.packets_dropped;
    sum.packets_processed += one.packets_processed;
    sum.bytes_dropped += one.bytes_dropped;
  }
  return sum;
}

std::uint64_t read_reason(const std::string& pin_dir, egress_reason reason) {
  const PinnedMap map(pin_dir + "/reason_counts");
  std::array<std::uint64_t, 1024> of_cpus{};
  require(possible_cpus() <= of_cpus.size(), "too many CPUs");
  of_cpus = map.lookup<decltype(of_cpus)>(static_cast<std::uint32_t>(reason)).value_or(of_cpus);
  return std::accumulate(of_cpus.begin(), of_cpus.end(), std::uint64_t{0});
}

std::size_t count_chains(const std::string& pin_dir) {
  const PinnedMap heads(pin_dir + "/heads");
  std::size_t chains = 0;
  for (std::uint32_t key = 0; key < heads.max_entries(); ++key) {
    for (const std::uint32_t first : heads.lookup<egress_heads>(key).value_or(egress_heads{}).first) {
      chains += first != 0;
    }
  }
  return chains;
}

std::optional<egress_rule> read_rule(const std::string& pin_dir, std::uint32_t id) {
  const PinnedMap rules(pin_dir + "/rules");
  const std::optional<egress_rule> record = rules.lookup<egress_rule>(id % rules.max_entries());
  if (!record || record->id != id) return std::nullopt;
  return record;
}

}  // namespace egress::test
