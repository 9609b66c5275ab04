// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/tables.hpp"
#include "sys/bpffs.hpp"
#include "sys/fd.hpp"

namespace egress {

/// What a map of the instance must look like.
struct MapLayout {
  std::string_view name;  ///< of the map and of its pin
  std::uint32_t type;     ///< enum bpf_map_type
  std::uint32_t key_size;
  std::uint32_t value_size;
  std::uint32_t least_entries;
  bool mapped = false;  ///< BPF_F_MMAPABLE: user space shares its memory
};

/// All maps of an instance, in a fixed order.
[[nodiscard]] std::span<const MapLayout> map_layouts();

/// FNV-1a over name, type and sizes of all maps: egress_meta.layout. Two builds that agree on it read each
/// other's maps.
[[nodiscard]] std::uint64_t layout_hash();

/// The maps of one instance in the kernel. Not for several threads at once: parts are mapped when they are
/// first touched. Writers hold the lock.
class KernelTables final : public Tables {
 public:
  using Access = PinDirectory::Access;

  /// Opens every map pinned in the directory. NotFound if there is none of them. Failed, with the remedy, if
  /// they are of another version or have been tampered with; nothing is changed then. With Access::Read the
  /// arrays and control() are for reading only (stores are faults) and the tables refuse to be written.
  [[nodiscard]] static Result<std::unique_ptr<KernelTables>> open(const PinDirectory& directory, Access access);

  /// The same from descriptors by map name (maps found by kernel id, or those of an object just loaded).
  [[nodiscard]] static Result<std::unique_ptr<KernelTables>> adopt(std::map<std::string, Fd> maps, Access access);

  ~KernelTables() override;

  /// Who made these maps; read once at opening.
  [[nodiscard]] const egress_meta& meta() const;
  /// Descriptor of a map of map_layouts().
  [[nodiscard]] int fd_of(std::string_view name) const;

  [[nodiscard]] egress_control& control() override;
  [[nodiscard]] Places<egress_rule> rules() override;
  [[nodiscard]] Places<egress_set> sets() override;
  [[nodiscard]] Places<egress_shape> shapes() override;
  [[nodiscard]] Places<egress_heads> heads() override;
  [[nodiscard]] Places<__u64> sieve() override;
  [[nodiscard]] Places<__u64> covers() override;
  [[nodiscard]] Places<egress_anchor> anchors() override;
  [[nodiscard]] Table<std::uint32_t, egress_anchor_name>& anchor_names() override;
  [[nodiscard]] Table<egress_name_key, egress_name>& names() override;
  [[nodiscard]] Table<std::uint64_t, egress_binding>& bindings() override;
  [[nodiscard]] Table<std::uint32_t, egress_text>& policy_names() override;
  [[nodiscard]] Table<std::uint32_t, egress_text>& reasons() override;
  [[nodiscard]] Table<std::uint32_t, drop_config>& drop_configs() override;
  [[nodiscard]] Table<std::uint64_t, std::uint32_t>& cgroup_rules() override;
  [[nodiscard]] Result<void> create_counter(std::uint64_t key) override;
  [[nodiscard]] Result<void> erase_counter(std::uint64_t key) override;
  [[nodiscard]] Result<Counts> read_counter(std::uint64_t key) const override;
  [[nodiscard]] Result<std::vector<std::pair<std::uint64_t, Counts>>> read_counters() const override;
  [[nodiscard]] Result<drop_stats> read_stats() const override;
  [[nodiscard]] Result<std::vector<std::uint64_t>> read_reasons() const override;

 private:
  struct Maps;
  explicit KernelTables(std::unique_ptr<Maps> maps);

  std::unique_ptr<Maps> maps_;
};

}  // namespace egress
