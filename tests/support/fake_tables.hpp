// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "engine/tables.hpp"

namespace egress::test {

/// Thrown in place of the write at which the process "is killed": nothing of it happens any more.
struct Killed {};

/// Counts writes, and makes one of them go wrong.
class Faults {
 public:
  /// The n-th write of a table (from 1) fails, once.
  void fail_at(std::size_t n) { reset(), fail_at_ = n; }
  /// The process dies before its n-th write, stores to shared memory included: Killed is thrown, and every
  /// later write is refused until reset().
  void kill_at(std::size_t n) { reset(), kill_at_ = n; }
  /// The process stands still before its n-th write, while `meanwhile` happens; then it goes on.
  void stop_at(std::size_t n, std::function<void()> meanwhile) {
    reset(), stop_at_ = n, meanwhile_ = std::move(meanwhile);
  }
  void reset() { fail_at_ = kill_at_ = stop_at_ = failures_ = writes_ = table_writes_ = 0, dead_ = false; }

  [[nodiscard]] bool dead() const { return dead_; }
  [[nodiscard]] std::size_t writes() const { return writes_; }
  [[nodiscard]] std::size_t table_writes() const { return table_writes_; }
  [[nodiscard]] bool failed() const { return failures_ != 0; }

  /// Called before a store; throws Killed.
  void before_write();
  /// Called before a write of a table; its failure, if it is to fail.
  [[nodiscard]] Result<void> before_table_write();

 private:
  std::size_t fail_at_ = 0;
  std::size_t kill_at_ = 0;
  std::size_t stop_at_ = 0;
  std::function<void()> meanwhile_;
  std::size_t failures_ = 0;
  std::size_t writes_ = 0;
  std::size_t table_writes_ = 0;
  bool dead_ = false;
};

/// A hash map with a bound. Keys are compared as bytes, as the kernel does.
template <typename K, typename V>
class FakeTable final : public Table<K, V> {
 public:
  FakeTable(Faults& faults, std::size_t size) : faults_(faults), size_(size) {}

  Result<std::optional<V>> get(const K& key) const override {
    const auto found = map_.find(key);
    return found == map_.end() ? std::optional<V>() : std::optional<V>(found->second);
  }
  Result<void> put(const K& key, const V& value) override {
    if (auto done = faults_.before_table_write(); !done) return done;
    if (!map_.contains(key) && map_.size() >= size_) return system_error("", "map", 7);
    map_[key] = value;
    return {};
  }
  Result<void> erase(const K& key) override {
    if (auto done = faults_.before_table_write(); !done) return done;
    map_.erase(key);
    return {};
  }
  Result<std::vector<std::pair<K, V>>> entries() const override {
    return std::vector<std::pair<K, V>>(map_.begin(), map_.end());
  }

  /// As the kernel or another tool does it: no fault meets these.
  void set(const K& key, const V& value) { map_[key] = value; }
  void remove(const K& key) { map_.erase(key); }
  [[nodiscard]] std::size_t size() const { return map_.size(); }

 private:
  struct Bytes {
    bool operator()(const K& a, const K& b) const { return std::memcmp(&a, &b, sizeof(K)) < 0; }
  };
  Faults& faults_;
  std::size_t size_;
  std::map<K, V, Bytes> map_;
};

/// The maps of an instance that was just loaded, in memory.
class FakeTables final : public Tables {
 public:
  explicit FakeTables(std::uint32_t max_rules = 64);

  Faults faults;

  egress_control& control() override { return control_; }
  Places<egress_rule> rules() override { return rules_; }
  Places<egress_set> sets() override { return sets_; }
  Places<egress_shape> shapes() override { return shapes_; }
  Places<egress_heads> heads() override { return heads_; }
  Places<__u64> sieve() override { return sieve_; }
  Places<__u64> covers() override { return covers_; }
  Places<egress_anchor> anchors() override { return anchors_; }
  void store(__u32& word, __u32 value) override;
  void store(__u64& word, __u64 value) override;
  void store_record(egress_rule& place, const egress_rule& record) override;
  bool swap(__u32& word, __u32 from, __u32 to) override;

  FakeTable<std::uint32_t, egress_anchor_name>& anchor_names() override { return anchor_names_; }
  FakeTable<egress_name_key, egress_name>& names() override { return names_; }
  FakeTable<std::uint64_t, egress_binding>& bindings() override { return bindings_; }
  FakeTable<std::uint32_t, egress_text>& policy_names() override { return policy_names_; }
  FakeTable<std::uint32_t, egress_text>& reasons() override { return reasons_; }
  FakeTable<std::uint32_t, drop_config>& drop_configs() override { return drop_configs_; }
  FakeTable<std::uint64_t, std::uint32_t>& cgroup_rules() override { return cgroup_rules_; }

  Result<void> create_counter(std::uint64_t key) override;
  Result<void> erase_counter(std::uint64_t key) override;
  Result<Counts> read_counter(std::uint64_t key) const override;
  Result<std::vector<std::pair<std::uint64_t, Counts>>> read_counters() const override {
    return std::vector<std::pair<std::uint64_t, Counts>>(counters.begin(), counters.end());
  }
  Result<drop_stats> read_stats() const override { return stats; }
  Result<std::vector<std::uint64_t>> read_reasons() const override {
    return std::vector<std::uint64_t>(EGRESS_REASONS, 0);
  }

  drop_stats stats{};
  std::map<std::uint64_t, Counts> counters;

  /// Whether nothing but the bare instance is left: no rule, set, subject, name, counter, text.
  [[nodiscard]] std::string leftovers() const;

 private:
  egress_control control_{};
  std::vector<egress_rule> rules_;
  std::vector<egress_set> sets_;
  std::vector<egress_shape> shapes_;
  std::vector<egress_heads> heads_;
  std::vector<__u64> sieve_;
  std::vector<__u64> covers_;
  std::vector<egress_anchor> anchors_;
  FakeTable<std::uint32_t, egress_anchor_name> anchor_names_;
  FakeTable<egress_name_key, egress_name> names_;
  FakeTable<std::uint64_t, egress_binding> bindings_;
  FakeTable<std::uint32_t, egress_text> policy_names_;
  FakeTable<std::uint32_t, egress_text> reasons_;
  FakeTable<std::uint32_t, drop_config> drop_configs_;
  FakeTable<std::uint64_t, std::uint32_t> cgroup_rules_;
};

}  // namespace egress::test
