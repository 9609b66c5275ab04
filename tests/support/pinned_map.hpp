// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "drop_egress_by_cgroup.h"

namespace egress::test {

/// A pinned map by system calls alone: what any other tool can do.
class PinnedMap {
 public:
  /// Ends the test program if there is no such map.
  explicit PinnedMap(const std::string& path);
  PinnedMap(const PinnedMap&) = delete;
  PinnedMap& operator=(const PinnedMap&) = delete;
  ~PinnedMap();

  template <typename Key, typename Value>
  [[nodiscard]] bool update(const Key& key, const Value& value) const {
    static_assert(std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>);
    return call(2, &key, &value);
  }
  template <typename Value, typename Key>
  [[nodiscard]] std::optional<Value> lookup(const Key& key) const {
    static_assert(std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>);
    Value value{};
    if (!call(1, &key, &value)) return std::nullopt;
    return value;
  }
  template <typename Key>
  [[nodiscard]] bool erase(const Key& key) const {
    return call(3, &key, nullptr);
  }
  [[nodiscard]] bool has(std::uint64_t key) const;
  /// How many keys a hash map holds.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint32_t max_entries() const { return max_entries_; }

 private:
  /// BPF_MAP_LOOKUP_ELEM 1, _UPDATE_ELEM 2, _DELETE_ELEM 3, _GET_NEXT_KEY 4.
  [[nodiscard]] bool call(int command, const void* key, const void* value) const;

  int fd_ = -1;
  std::uint32_t key_size_ = 0;
  std::uint32_t max_entries_ = 0;
};

/// The one entry of the pinned `stats`, summed over CPUs.
[[nodiscard]] drop_stats read_stats(const std::string& pin_dir);

/// How many packets were treated specially for this reason.
[[nodiscard]] std::uint64_t read_reason(const std::string& pin_dir, egress_reason reason);

/// How many chains of rules the pinned `heads` name.
[[nodiscard]] std::size_t count_chains(const std::string& pin_dir);

/// The record of a rule of the command, from the pinned `rules`; nullopt once it is over.
[[nodiscard]] std::optional<egress_rule> read_rule(const std::string& pin_dir, std::uint32_t id);

}  // namespace egress::test
