// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_tables.hpp"

#include <linux/bpf.h>

#include <array>
#include <cassert>
#include <optional>

#include "sys/bpf_map.hpp"

namespace egress {
namespace {

template <typename K, typename V>
constexpr MapLayout hash(std::string_view name) {
  return {name, BPF_MAP_TYPE_HASH, sizeof(K), sizeof(V), 1};
}

template <typename V>
constexpr MapLayout shared_array(std::string_view name) {
  return {name, BPF_MAP_TYPE_ARRAY, sizeof(std::uint32_t), sizeof(V), 1, /*mapped=*/true};
}

using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr std::array<MapLayout, 20> layouts{{
    {"meta", BPF_MAP_TYPE_ARRAY, sizeof(u32), sizeof(egress_meta), 1},
    shared_array<egress_control>("control"),
    shared_array<egress_rule>("rules"),
    shared_array<egress_set>("sets"),
    shared_array<egress_shape>("shapes"),
    shared_array<egress_heads>("heads"),
    shared_array<__u64>("sieve"),
    shared_array<__u64>("covers"),
    shared_array<egress_anchor>("anchors"),
    hash<u32, egress_anchor_name>("anchor_names"),
    hash<egress_name_key, egress_name>("names"),
    hash<u64, egress_binding>("bindings"),
    hash<u64, egress_device>("devices"),
    hash<u32, egress_text>("policy_names"),
    hash<u32, egress_text>("reasons"),
    {"counters", BPF_MAP_TYPE_PERCPU_HASH, sizeof(u64), sizeof(egress_counter), 1},
    hash<u32, drop_config>("drop_configs"),
    hash<u64, u32>("cgroup_rules"),
    {"stats", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(u32), sizeof(drop_stats), 1},
    {"reason_counts", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(u32), sizeof(u64), EGRESS_REASONS},
}};

/// FNV-1a, 64 bits (draft-eastlake-fnv).
class Fnv1a {
 public:
  void add(std::string_view text) {
    for (const char c : text) step(static_cast<std::uint8_t>(c));
    step(0);
  }
  void add(u32 number) {
    for (unsigned shift = 0; shift < 32; shift += 8) step(static_cast<std::uint8_t>(number >> shift));
  }
  [[nodiscard]] u64 value() const { return hash_; }

 private:
  void step(std::uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3ull; }

  u64 hash_ = 0xcbf29ce484222325ull;
};

Error another_version(std::string object, std::string cause) {
  return Error{.operation = "open instance",
               .object = std::move(object),
               .cause = "pins are of another version: " + std::move(cause),
               .remedy =
                   "the loaded program keeps enforcing; use the egress that loaded it, or: egress unload, "
                   "egress load (rules are lost: egress export saves them)"};
}

/// Compares a map with what it must look like.
Result<void> check_map(const MapLayout& layout, const Fd& fd) {
  const std::string object = "map '" + std::string(layout.name) + "'";
  auto info = map_info(fd.get());
  if (!info) return std::move(info).error();
  const auto differs = [&](const char* what, u32 is, u32 wanted) {
    return another_version(object,
                           std::string(what) + " " + std::to_string(is) + " instead of " + std::to_string(wanted));
  };
  if (info->type != layout.type) return differs("type", info->type, layout.type);
  if (info->key_size != layout.key_size) return differs("key size", info->key_size, layout.key_size);
  if (info->value_size != layout.value_size) return differs("value size", info->value_size, layout.value_size);
  if (info->max_entries < layout.least_entries) return differs("entries", info->max_entries, layout.least_entries);
  return {};
}

Result<void> check_maps(const std::map<std::string, Fd>& maps) {
  for (const auto& layout : layouts) {
    const auto found = maps.find(std::string(layout.name));
    if (found == maps.end()) return another_version("map '" + std::string(layout.name) + "'", "it is missing");
    if (auto good = check_map(layout, found->second); !good) return good;
  }
  return {};
}

Result<egress_meta> read_meta(const Fd& fd) {
  auto copy = fd.duplicate();
  if (!copy) return std::move(copy).error();
  auto map = RawMap::adopt(*std::move(copy));
  if (!map) return std::move(map).error();
  egress_meta meta{};
  const u32 key = 0;
  if (auto found = map->get(&key, &meta); !found) return std::move(found).error();
  return meta;
}

Result<void> check_meta(const egress_meta& meta) {
  if (meta.magic != EGRESS_MAGIC) return another_version("map 'meta'", "it does not say that egress made it");
  if (meta.abi != EGRESS_ABI) {
    return another_version("map 'meta'",
                           "ABI " + std::to_string(meta.abi) + " instead of " + std::to_string(EGRESS_ABI));
  }
  if (meta.layout != layout_hash()) return another_version("map 'meta'", "another layout of the maps");
  return {};
}

}  // namespace

std::span<const MapLayout> map_layouts() { return layouts; }

u64 layout_hash() {
  Fnv1a hash;
  for (const auto& layout : layouts) {
    hash.add(layout.name);
    hash.add(layout.type);
    hash.add(layout.key_size);
    hash.add(layout.value_size);
  }
  return hash.value();
}

/// The owners of all maps; each keeps a descriptor of its own.
struct KernelTables::Maps {
  std::map<std::string, Fd> fds;
  egress_meta meta;
  MappedArray<egress_control> control;
  LazyArray<egress_rule> rules;
  LazyArray<egress_set> sets;
  LazyArray<egress_shape> shapes;
  LazyArray<egress_heads> heads;
  LazyArray<__u64> sieve;
  LazyArray<__u64> covers;
  LazyArray<egress_anchor> anchors;
  HashMap<u32, egress_anchor_name> anchor_names;
  HashMap<egress_name_key, egress_name> names;
  HashMap<u64, egress_binding> bindings;
  HashMap<u32, egress_text> policy_names;
  HashMap<u32, egress_text> reasons;
  HashMap<u32, drop_config> drop_configs;
  HashMap<u64, u32> cgroup_rules;
  PerCpuMap<u64, egress_counter> counters;
  PerCpuMap<u32, drop_stats> stats;
  PerCpuMap<u32, u64> reason_counts;
};

namespace {

Counts counts_of(const egress_counter& counter) {
  return {.packets = counter.packets, .bytes = counter.bytes, .denied = counter.denied};
}

/// Makes the owners one after another and keeps the first failure; after it, nothing more is tried.
class Opener {
 public:
  Opener(const std::map<std::string, Fd>& fds, MappedMemory::Access access) : fds_(fds), access_(access) {}

  template <typename T>
  std::optional<MappedArray<T>> mapped(const char* name) {
    if (error_) return std::nullopt;
    return keep(MappedArray<T>::map(fds_.at(name), access_));
  }

  template <typename T>
  std::optional<LazyArray<T>> lazily(const char* name) {
    if (error_) return std::nullopt;
    return keep(LazyArray<T>::map(fds_.at(name), access_));
  }

  template <typename Map>
  std::optional<Map> map(const char* name) {
    if (error_) return std::nullopt;
    auto copy = fds_.at(name).duplicate();
    if (!copy) return error_ = std::move(copy).error(), std::nullopt;
    return keep(Map::adopt(*std::move(copy)));
  }

  [[nodiscard]] std::optional<Error>& error() { return error_; }

 private:
  template <typename T>
  std::optional<T> keep(Result<T> result) {
    if (result) return std::optional<T>(*std::move(result));
    error_ = std::move(result).error();
    return std::nullopt;
  }

  const std::map<std::string, Fd>& fds_;
  MappedMemory::Access access_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::unique_ptr<KernelTables>> KernelTables::open(const PinDirectory& directory, Access access) {
  std::map<std::string, Fd> maps;
  for (const auto& layout : layouts) {
    const std::string name(layout.name);
    // The kernel maps memory of a writable descriptor only, even for reading.
    auto fd = directory.open_pin(name, layout.mapped ? Access::ReadWrite : access);
    if (fd) {
      maps.emplace(name, *std::move(fd));
    } else if (fd.error().kind != ErrorKind::NotFound) {
      return std::move(fd).error();
    }
  }
  // `meta` is pinned last.
  if (maps.contains("meta")) return adopt(std::move(maps), access);
  return Error{.kind = ErrorKind::NotFound,
               .operation = "open instance",
               .object = directory.path(),
               .cause = maps.empty() ? "not loaded" : "not loaded completely: the map 'meta' is missing",
               .remedy = "egress load"};
}

Result<std::unique_ptr<KernelTables>> KernelTables::adopt(std::map<std::string, Fd> fds, Access access) {
  if (auto good = check_maps(fds); !good) return std::move(good).error();
  auto meta = read_meta(fds.at("meta"));
  if (!meta) return std::move(meta).error();
  if (auto good = check_meta(*meta); !good) return std::move(good).error();

  Opener from(fds, access == Access::Read ? MappedMemory::Access::Read : MappedMemory::Access::ReadWrite);
  auto control = from.mapped<egress_control>("control");
  auto rules = from.lazily<egress_rule>("rules");
  auto sets = from.lazily<egress_set>("sets");
  auto shapes = from.lazily<egress_shape>("shapes");
  auto heads = from.lazily<egress_heads>("heads");
  auto sieve = from.lazily<__u64>("sieve");
  auto covers = from.lazily<__u64>("covers");
  auto anchors = from.lazily<egress_anchor>("anchors");
  auto anchor_names = from.map<HashMap<u32, egress_anchor_name>>("anchor_names");
  auto names = from.map<HashMap<egress_name_key, egress_name>>("names");
  auto bindings = from.map<HashMap<u64, egress_binding>>("bindings");
  auto policy_names = from.map<HashMap<u32, egress_text>>("policy_names");
  auto reasons = from.map<HashMap<u32, egress_text>>("reasons");
  auto drop_configs = from.map<HashMap<u32, drop_config>>("drop_configs");
  auto cgroup_rules = from.map<HashMap<u64, u32>>("cgroup_rules");
  auto counters = from.map<PerCpuMap<u64, egress_counter>>("counters");
  auto stats = from.map<PerCpuMap<u32, drop_stats>>("stats");
  auto reason_counts = from.map<PerCpuMap<u32, u64>>("reason_counts");
  if (from.error()) return *std::move(from.error());

  return std::unique_ptr<KernelTables>(
      new KernelTables(std::unique_ptr<Maps>(new Maps{std::move(fds),           *meta,
                                                      *std::move(control),      *std::move(rules),
                                                      *std::move(sets),         *std::move(shapes),
                                                      *std::move(heads),        *std::move(sieve),
                                                      *std::move(covers),       *std::move(anchors),
                                                      *std::move(anchor_names), *std::move(names),
                                                      *std::move(bindings),     *std::move(policy_names),
                                                      *std::move(reasons),      *std::move(drop_configs),
                                                      *std::move(cgroup_rules), *std::move(counters),
                                                      *std::move(stats),        *std::move(reason_counts)})));
}

KernelTables::KernelTables(std::unique_ptr<Maps> maps) : maps_(std::move(maps)) {}
KernelTables::~KernelTables() = default;

const egress_meta& KernelTables::meta() const { return maps_->meta; }

int KernelTables::fd_of(std::string_view name) const { return maps_->fds.at(std::string(name)).get(); }

egress_control& KernelTables::control() { return maps_->control.span()[0]; }
Places<egress_rule> KernelTables::rules() { return maps_->rules.places(); }
Places<egress_set> KernelTables::sets() { return maps_->sets.places(); }
Places<egress_shape> KernelTables::shapes() { return maps_->shapes.places(); }
Places<egress_heads> KernelTables::heads() { return maps_->heads.places(); }
Places<__u64> KernelTables::sieve() { return maps_->sieve.places(); }
Places<__u64> KernelTables::covers() { return maps_->covers.places(); }
Places<egress_anchor> KernelTables::anchors() { return maps_->anchors.places(); }
Table<u32, egress_anchor_name>& KernelTables::anchor_names() { return maps_->anchor_names; }
Table<egress_name_key, egress_name>& KernelTables::names() { return maps_->names; }
Table<u64, egress_binding>& KernelTables::bindings() { return maps_->bindings; }
Table<u32, egress_text>& KernelTables::policy_names() { return maps_->policy_names; }
Table<u32, egress_text>& KernelTables::reasons() { return maps_->reasons; }
Table<u32, drop_config>& KernelTables::drop_configs() { return maps_->drop_configs; }
Table<u64, u32>& KernelTables::cgroup_rules() { return maps_->cgroup_rules; }

Result<void> KernelTables::create_counter(u64 key) { return maps_->counters.create(key); }
Result<void> KernelTables::erase_counter(u64 key) { return maps_->counters.erase(key); }

Result<Counts> KernelTables::read_counter(u64 key) const {
  auto counter = maps_->counters.sum(key);
  if (!counter) return std::move(counter).error();
  return counts_of(counter->value_or(egress_counter{}));
}

Result<std::vector<std::pair<u64, Counts>>> KernelTables::read_counters() const {
  auto counters = maps_->counters.sums();
  if (!counters) return std::move(counters).error();
  std::vector<std::pair<u64, Counts>> all;
  for (const auto& [key, counter] : *counters) all.emplace_back(key, counts_of(counter));
  return all;
}

Result<drop_stats> KernelTables::read_stats() const {
  auto stats = maps_->stats.sum(0);
  if (!stats) return std::move(stats).error();
  return stats->value_or(drop_stats{});
}

Result<std::vector<u64>> KernelTables::read_reasons() const {
  std::vector<u64> counts;
  for (u32 reason = 0; reason < EGRESS_REASONS; ++reason) {
    auto count = maps_->reason_counts.sum(reason);
    if (!count) return std::move(count).error();
    counts.push_back(count->value_or(0));
  }
  return counts;
}

}  // namespace egress
