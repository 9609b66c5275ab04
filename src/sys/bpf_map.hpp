// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "egress/error.hpp"
#include "engine/places.hpp"
#include "engine/tables.hpp"
#include "sys/fd.hpp"

namespace egress {

/// What the kernel says about a map.
struct MapInfo {
  std::string name;
  std::uint32_t id = 0;
  std::uint32_t type = 0;  ///< enum bpf_map_type
  std::uint32_t key_size = 0;
  std::uint32_t value_size = 0;
  std::uint32_t max_entries = 0;
  std::uint32_t flags = 0;
};

[[nodiscard]] Result<MapInfo> map_info(int map_fd);

/// How many CPUs this machine could have, plugged in or not: what a read of a per-CPU map writes a value for.
[[nodiscard]] Result<std::size_t> possible_cpus();

/// A hash map by its descriptor, keys and values as bytes. The typed owners below are the ones to use.
class RawMap {
 public:
  /// Takes the descriptor; asks the kernel for name and sizes.
  [[nodiscard]] static Result<RawMap> adopt(Fd fd);

  [[nodiscard]] const MapInfo& info() const { return info_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// False if there is no such key. `value` has room for value_size bytes, or for per-CPU maps for
  /// value_size rounded up to 8 times possible_cpus().
  [[nodiscard]] Result<bool> get(const void* key, void* value) const;

  enum class Put { Any, IfAbsent };
  /// False if the key is there already and `how` is IfAbsent. A full map is told as such, with the remedy.
  [[nodiscard]] Result<bool> put(const void* key, const void* value, Put how) const;

  /// A key that is not there is no error.
  [[nodiscard]] Result<void> erase(const void* key) const;

  /// Visits every entry once, in no order. Values are as get() reads them.
  using Visitor = std::function<void(const std::byte* key, const std::byte* value)>;
  [[nodiscard]] Result<void> visit(const Visitor& visitor) const;
  /// The two ways of visit: a bucket at a time (Linux 5.6), and key by key, for what has no batch.
  [[nodiscard]] Result<void> visit_by_batch(const Visitor& visitor) const;
  [[nodiscard]] Result<void> visit_by_key(const Visitor& visitor) const;

 private:
  RawMap(Fd fd, MapInfo info, std::size_t value_bytes)
      : fd_(std::move(fd)), info_(std::move(info)), value_bytes_(value_bytes) {}
  [[nodiscard]] Error failure(const char* operation, int code) const;

  Fd fd_;
  MapInfo info_;
  std::size_t value_bytes_;  ///< of all CPUs, for per-CPU maps
};

/// A hash map of the kernel as a Table. Threads may share it: each call is a system call.
template <typename K, typename V>
class HashMap final : public Table<K, V> {
  static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);

 public:
  /// Takes the descriptor of a hash map. Failed if its sizes are not those of K and V.
  [[nodiscard]] static Result<HashMap> adopt(Fd fd);

  [[nodiscard]] const MapInfo& info() const { return map_.info(); }
  [[nodiscard]] int fd() const { return map_.fd(); }

  [[nodiscard]] Result<std::optional<V>> get(const K& key) const override;
  [[nodiscard]] Result<void> put(const K& key, const V& value) override;
  [[nodiscard]] Result<void> erase(const K& key) override { return map_.erase(&key); }
  [[nodiscard]] Result<std::vector<std::pair<K, V>>> entries() const override;
  [[nodiscard]] Result<std::vector<K>> keys() const override;

 private:
  explicit HashMap(RawMap map) : map_(std::move(map)) {}

  RawMap map_;
};

/// A per-CPU hash or per-CPU array whose values are made of u64 counters: V is a struct of them.
template <typename K, typename V>
class PerCpuMap {
  static_assert(std::is_trivially_copyable_v<V> && sizeof(V) % sizeof(std::uint64_t) == 0);

 public:
  /// Takes the descriptor of a per-CPU map. Failed if its sizes are not those of K and V.
  [[nodiscard]] static Result<PerCpuMap> adopt(Fd fd);

  [[nodiscard]] const MapInfo& info() const { return map_.info(); }

  /// Every counter summed over all CPUs; nullopt if there is no such key.
  [[nodiscard]] Result<std::optional<V>> sum(const K& key) const;
  /// Those of every key, in no order.
  [[nodiscard]] Result<std::vector<std::pair<K, V>>> sums() const;
  /// Enters zeroes under `key`; leaves what is there already alone.
  [[nodiscard]] Result<void> create(const K& key);
  /// A key that is not there is no error.
  [[nodiscard]] Result<void> erase(const K& key) { return map_.erase(&key); }

 private:
  PerCpuMap(RawMap map, std::size_t cpus) : map_(std::move(map)), cpus_(cpus) {}
  static constexpr std::size_t words = sizeof(V) / sizeof(std::uint64_t);
  [[nodiscard]] V added_up(const std::uint64_t* values) const;

  RawMap map_;
  std::size_t cpus_;
};

/// Memory of a BPF_F_MMAPABLE array, shared with the kernel.
class MappedMemory {
 public:
  enum class Access { Read, ReadWrite };
  /// Maps `length` bytes from the start of the array, rounded up to whole pages.
  [[nodiscard]] static Result<MappedMemory> map(int map_fd, std::size_t length, Access access);

  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  ~MappedMemory();

  [[nodiscard]] void* data() const { return data_; }

 private:
  MappedMemory(void* data, std::size_t length) : data_(data), length_(length) {}

  void* data_ = nullptr;
  std::size_t length_ = 0;
};

/// An mmapable array of T. The memory stays valid without the descriptor, and moves with its owner.
template <typename T>
class MappedArray {
  static_assert(std::is_trivially_copyable_v<T>);
  static_assert(sizeof(T) % 8 == 0, "the kernel rounds values of arrays up to 8 bytes");

 public:
  /// Failed if the size of its values is not that of T. The descriptor must be writable (not BPF_F_RDONLY) even
  /// for Access::Read: the kernel maps no other. With Access::Read, stores into span() are faults.
  [[nodiscard]] static Result<MappedArray> map(const Fd& fd, MappedMemory::Access access);

  [[nodiscard]] std::span<T> span() const { return {static_cast<T*>(memory_.data()), count_}; }

 private:
  MappedArray(MappedMemory memory, std::size_t count) : memory_(std::move(memory)), count_(count) {}

  MappedMemory memory_;
  std::size_t count_;
};

/// The same for an array so large that to map all of it would take longer than most changes: what is asked for is
/// mapped, and what is around it. Not for several threads at once. A kernel that refuses a part when it gave the
/// first has no memory: the process ends as it does without memory.
class LazyMemory final : public Presence {
 public:
  /// Maps the first part, so that what can be refused is refused here.
  [[nodiscard]] static Result<LazyMemory> map(Fd fd, std::size_t length, MappedMemory::Access access);

  LazyMemory(LazyMemory&& other) noexcept;
  LazyMemory& operator=(LazyMemory&& other) noexcept;
  ~LazyMemory() override;

  /// Where the array begins. No part of it may be touched that was not asked for.
  [[nodiscard]] std::byte* data() const { return data_; }
  void need_all() override;

 private:
  LazyMemory(Fd fd, std::size_t length, int protection);
  [[nodiscard]] int try_map(std::size_t offset, std::size_t length) const;
  void bring(std::size_t number) override;

  Fd fd_;
  std::byte* data_ = nullptr;
  std::size_t length_ = 0;
  int protection_ = 0;
  bool whole_ = false;
};

/// An mmapable array of T that is mapped where it is touched.
template <typename T>
class LazyArray {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);

 public:
  /// As MappedArray::map(); keeps a descriptor of its own.
  [[nodiscard]] static Result<LazyArray> map(const Fd& fd, MappedMemory::Access access);

  /// Good as long as this stands where it stands.
  [[nodiscard]] Places<T> places() { return {reinterpret_cast<T*>(memory_.data()), count_, memory_}; }

 private:
  LazyArray(LazyMemory memory, std::size_t count) : memory_(std::move(memory)), count_(count) {}

  LazyMemory memory_;
  std::size_t count_;
};

/// Failed if the map's key and value sizes are not these: "map 'x': its keys have 8 bytes instead of 4".
[[nodiscard]] Result<void> check_sizes(const MapInfo& info, std::size_t key_size, std::size_t value_size);

// ---- definitions of the templates ----

template <typename K, typename V>
Result<HashMap<K, V>> HashMap<K, V>::adopt(Fd fd) {
  auto map = RawMap::adopt(std::move(fd));
  if (!map) return std::move(map).error();
  if (auto same = check_sizes(map->info(), sizeof(K), sizeof(V)); !same) return std::move(same).error();
  return HashMap(*std::move(map));
}

template <typename K, typename V>
Result<std::optional<V>> HashMap<K, V>::get(const K& key) const {
  V value{};
  auto found = map_.get(&key, &value);
  if (!found) return std::move(found).error();
  if (!*found) return std::optional<V>();
  return std::optional<V>(value);
}

template <typename K, typename V>
Result<void> HashMap<K, V>::put(const K& key, const V& value) {
  auto done = map_.put(&key, &value, RawMap::Put::Any);
  if (!done) return std::move(done).error();
  return {};
}

template <typename K, typename V>
Result<std::vector<std::pair<K, V>>> HashMap<K, V>::entries() const {
  std::vector<std::pair<K, V>> all;
  auto done = map_.visit([&all](const std::byte* key, const std::byte* value) {
    auto& entry = all.emplace_back();
    std::memcpy(&entry.first, key, sizeof(K));
    std::memcpy(&entry.second, value, sizeof(V));
  });
  if (!done) return std::move(done).error();
  return all;
}

template <typename K, typename V>
Result<std::vector<K>> HashMap<K, V>::keys() const {
  std::vector<K> all;
  auto done =
      map_.visit([&all](const std::byte* key, const std::byte*) { std::memcpy(&all.emplace_back(), key, sizeof(K)); });
  if (!done) return std::move(done).error();
  return all;
}

template <typename K, typename V>
Result<PerCpuMap<K, V>> PerCpuMap<K, V>::adopt(Fd fd) {
  auto map = RawMap::adopt(std::move(fd));
  if (!map) return std::move(map).error();
  if (auto same = check_sizes(map->info(), sizeof(K), sizeof(V)); !same) return std::move(same).error();
  auto cpus = possible_cpus();
  if (!cpus) return std::move(cpus).error();
  return PerCpuMap(*std::move(map), *cpus);
}

template <typename K, typename V>
Result<std::optional<V>> PerCpuMap<K, V>::sum(const K& key) const {
  std::vector<std::uint64_t> values(words * cpus_);
  auto found = map_.get(&key, values.data());
  if (!found) return std::move(found).error();
  if (!*found) return std::optional<V>();
  return std::optional<V>(added_up(values.data()));
}

template <typename K, typename V>
Result<std::vector<std::pair<K, V>>> PerCpuMap<K, V>::sums() const {
  std::vector<std::pair<K, V>> all;
  std::vector<std::uint64_t> values(words * cpus_);
  auto done = map_.visit([&](const std::byte* key, const std::byte* value) {
    auto& entry = all.emplace_back();
    std::memcpy(&entry.first, key, sizeof(K));
    std::memcpy(values.data(), value, values.size() * sizeof(std::uint64_t));
    entry.second = added_up(values.data());
  });
  if (!done) return std::move(done).error();
  return all;
}

template <typename K, typename V>
V PerCpuMap<K, V>::added_up(const std::uint64_t* values) const {
  std::uint64_t total[words] = {};
  for (std::size_t i = 0; i < words * cpus_; ++i) total[i % words] += values[i];
  V result;
  std::memcpy(&result, total, sizeof(V));
  return result;
}

template <typename K, typename V>
Result<void> PerCpuMap<K, V>::create(const K& key) {
  const std::vector<std::uint64_t> zeroes(words * cpus_);
  auto done = map_.put(&key, zeroes.data(), RawMap::Put::IfAbsent);
  if (!done) return std::move(done).error();
  return {};
}

template <typename T>
Result<MappedArray<T>> MappedArray<T>::map(const Fd& fd, MappedMemory::Access access) {
  auto info = map_info(fd.get());
  if (!info) return std::move(info).error();
  if (auto same = check_sizes(*info, sizeof(std::uint32_t), sizeof(T)); !same) return std::move(same).error();
  auto memory = MappedMemory::map(fd.get(), sizeof(T) * info->max_entries, access);
  if (!memory) return std::move(memory).error().in("map memory of '" + info->name + "'");
  return MappedArray(*std::move(memory), info->max_entries);
}

template <typename T>
Result<LazyArray<T>> LazyArray<T>::map(const Fd& fd, MappedMemory::Access access) {
  auto info = map_info(fd.get());
  if (!info) return std::move(info).error();
  if (auto same = check_sizes(*info, sizeof(std::uint32_t), sizeof(T)); !same) return std::move(same).error();
  auto copy = fd.duplicate();
  if (!copy) return std::move(copy).error();
  auto memory = LazyMemory::map(*std::move(copy), sizeof(T) * info->max_entries, access);
  if (!memory) return std::move(memory).error().in("map memory of '" + info->name + "'");
  return LazyArray(*std::move(memory), info->max_entries);
}

}  // namespace egress
