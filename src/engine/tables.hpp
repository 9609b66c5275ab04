// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "egress/error.hpp"
#include "egress/rule.hpp"
#include "egress/socket.hpp"
#include "engine/places.hpp"

namespace egress {

/// One hash map of the instance. Every call is one or a few system calls on the real thing and may fail;
/// "no such key" is not a failure.
template <typename K, typename V>
class Table {
 public:
  virtual ~Table() = default;
  [[nodiscard]] virtual Result<std::optional<V>> get(const K& key) const = 0;
  /// Inserts or replaces; a concurrent reader finds the old or the new value, never none.
  [[nodiscard]] virtual Result<void> put(const K& key, const V& value) = 0;
  [[nodiscard]] virtual Result<void> erase(const K& key) = 0;
  /// Every entry, in no order. Entries that come or go meanwhile may be missed.
  [[nodiscard]] virtual Result<std::vector<std::pair<K, V>>> entries() const = 0;
  /// The keys of entries().
  [[nodiscard]] virtual Result<std::vector<K>> keys() const {
    auto all = entries();
    if (!all) return std::move(all).error();
    std::vector<K> keys;
    for (const auto& [key, value] : *all) keys.push_back(key);
    return keys;
  }
};

/// The maps of one instance as the engine sees them: shared memory and hash tables. The kernel's are in
/// sys/, a fake for tests is in tests/support. The arrays are memory that the datapath reads at any time:
/// a word becomes visible the moment it is stored (std::atomic_ref).
class Tables {
 public:
  virtual ~Tables() = default;

  [[nodiscard]] virtual egress_control& control() = 0;
  [[nodiscard]] virtual Places<egress_rule> rules() = 0;
  [[nodiscard]] virtual Places<egress_set> sets() = 0;
  [[nodiscard]] virtual Places<egress_shape> shapes() = 0;
  [[nodiscard]] virtual Places<egress_heads> heads() = 0;  ///< plain part and mark part: see egress_index_place()
  [[nodiscard]] virtual Places<__u64> sieve() = 0;         ///< a power of two of words
  [[nodiscard]] virtual Places<__u64> covers() = 0;        ///< EGRESS_COVER_UNITS times a power of two of words
  [[nodiscard]] virtual Places<egress_anchor> anchors() = 0;

  /// Stores one word of the memory above; the datapath sees it at once, and after everything stored before.
  /// Every store of the engine passes here, so that a test can die between any two of them.
  virtual void store(__u32& word, __u32 value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }
  virtual void store(__u64& word, __u64 value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }
  /// Stores a record into a free place; its id last.
  virtual void store_record(egress_rule& place, const egress_rule& record) {
    static_assert(offsetof(egress_rule, id) == 0);
    std::memcpy(&place.next, &record.next, sizeof record - offsetof(egress_rule, next));
    __atomic_store_n(&place.id, record.id, __ATOMIC_RELEASE);
  }
  /// Stores `to` if the word is `from`; false if it is not.
  [[nodiscard]] virtual bool swap(__u32& word, __u32 from, __u32 to) {
    return __atomic_compare_exchange_n(&word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  }

  [[nodiscard]] virtual Table<std::uint32_t, egress_anchor_name>& anchor_names() = 0;
  [[nodiscard]] virtual Table<egress_name_key, egress_name>& names() = 0;
  [[nodiscard]] virtual Table<std::uint64_t, egress_binding>& bindings() = 0;
  [[nodiscard]] virtual Table<std::uint32_t, egress_text>& policy_names() = 0;
  [[nodiscard]] virtual Table<std::uint32_t, egress_text>& reasons() = 0;
  [[nodiscard]] virtual Table<std::uint32_t, drop_config>& drop_configs() = 0;
  [[nodiscard]] virtual Table<std::uint64_t, std::uint32_t>& cgroup_rules() = 0;

  /// Counters, summed over CPUs; the datapath is the only one who adds to them.
  [[nodiscard]] virtual Result<void> create_counter(std::uint64_t key) = 0;
  [[nodiscard]] virtual Result<void> erase_counter(std::uint64_t key) = 0;
  [[nodiscard]] virtual Result<Counts> read_counter(std::uint64_t key) const = 0;  ///< zero if there is none
  /// Every counter that there is.
  [[nodiscard]] virtual Result<std::vector<std::pair<std::uint64_t, Counts>>> read_counters() const = 0;
  [[nodiscard]] virtual Result<drop_stats> read_stats() const = 0;
  [[nodiscard]] virtual Result<std::vector<std::uint64_t>> read_reasons() const = 0;  ///< EGRESS_REASONS entries
};

/// A socket, of whatever kind, that a process holds open.
struct HeldSocket {
  std::uint64_t inode = 0;
  int pid = 0;
};

/// The TCP and UDP sockets of the machine at one moment.
struct SocketListing {
  std::vector<Socket> sockets;
  std::string problem;  ///< why some may be missing; empty = none
};

/// What the engine needs of the machine beside the maps.
class World {
 public:
  virtual ~World() = default;

  /// The kernel's boot clock.
  [[nodiscard]] virtual Result<BootTime> now() const = 0;
  /// Returns when every packet that was being judged at the call has its verdict (an RCU grace period).
  virtual void wait_for_readers() = 0;

  /// Paths below are canonical, relative to the root of the enforced subtree.
  [[nodiscard]] virtual CgroupId root() const = 0;
  [[nodiscard]] virtual std::optional<CgroupId> cgroup_at(const std::string& path) const = 0;
  /// Path of a cgroup below the root; nullopt if it does not exist (any more) or is elsewhere.
  [[nodiscard]] virtual std::optional<std::string> path_of(CgroupId id) const = 0;
  /// Every cgroup below the root whose last path component is `name`.
  [[nodiscard]] virtual std::vector<CgroupId> cgroups_named(const std::string& name) const = 0;
  /// Returns when every mkdir of a cgroup that was under way at the call is visible in the tree.
  [[nodiscard]] virtual Result<void> wait_for_mkdir() = 0;

  /// The sockets of every network namespace in which a process lives.
  [[nodiscard]] virtual SocketListing sockets() = 0;
  /// Destroys sockets of the last listing: 0 or an errno for each. ENOENT: it is no more; EOPNOTSUPP: this kernel
  /// cannot.
  [[nodiscard]] virtual std::vector<int> destroy(std::span<const Socket> sockets) = 0;
  /// What the processes of a cgroup, and of those below it, hold open.
  [[nodiscard]] virtual std::vector<HeldSocket> held_sockets(const std::string& path, Subject::Scope scope) const = 0;
};

}  // namespace egress
