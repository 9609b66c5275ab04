// SPDX-License-Identifier: GPL-2.0
// Every struct, map and program of the object, by its BTF: C++ and BPF must read the same bytes. abi_test.cpp holds
// the numbers that other tools rely on; this file finds what somebody adds on one side only.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <elf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "sys/hooks.hpp"
#include "sys/kernel_tables.hpp"

namespace egress {
namespace {

struct Member {
  std::string name;
  std::size_t offset;
  std::size_t size;

  bool operator==(const Member&) const = default;
};

void PrintTo(const Member& member, std::ostream* out) {
  *out << member.name << " at " << member.offset << ", " << member.size << " bytes";
}

struct Layout {
  std::string type;
  std::size_t size;
  std::vector<Member> members;
};

#define MEMBER(type, member) \
  Member { #member, offsetof(type, member), sizeof(type::member) }

/// Every struct of the contract, as this compiler lays it out. A member that is missing here is found by the
/// comparison: the object has it.
std::vector<Layout> layouts() {
  return {
      {"drop_config",
       sizeof(drop_config),
       {MEMBER(drop_config, dst_ip), MEMBER(drop_config, dst_port), MEMBER(drop_config, flags),
        MEMBER(drop_config, cgroup_id), MEMBER(drop_config, ttl), MEMBER(drop_config, reserved),
        MEMBER(drop_config, created_at)}},
      {"drop_stats",
       sizeof(drop_stats),
       {MEMBER(drop_stats, packets_dropped), MEMBER(drop_stats, packets_processed), MEMBER(drop_stats, bytes_dropped)}},
      {"egress_rule",
       sizeof(egress_rule),
       {MEMBER(egress_rule, id), MEMBER(egress_rule, next), MEMBER(egress_rule, set), MEMBER(egress_rule, reason),
        MEMBER(egress_rule, action), MEMBER(egress_rule, flags), MEMBER(egress_rule, proto), MEMBER(egress_rule, plen),
        MEMBER(egress_rule, port_first), MEMBER(egress_rule, port_last), MEMBER(egress_rule, turn),
        MEMBER(egress_rule, created), MEMBER(egress_rule, expires_at), MEMBER(egress_rule, addr)}},
      {"egress_heads", sizeof(egress_heads), {MEMBER(egress_heads, first)}},
      {"egress_counter",
       sizeof(egress_counter),
       {MEMBER(egress_counter, packets), MEMBER(egress_counter, bytes), MEMBER(egress_counter, denied)}},
      {"egress_run", sizeof(egress_run), {MEMBER(egress_run, first), MEMBER(egress_run, count)}},
      {"egress_shape",
       sizeof(egress_shape),
       {MEMBER(egress_shape, kind), MEMBER(egress_shape, plen), MEMBER(egress_shape, zero),
        MEMBER(egress_shape, rule)}},
      {"egress_set",
       sizeof(egress_set),
       {MEMBER(egress_set, flags), MEMBER(egress_set, next), MEMBER(egress_set, anchor), MEMBER(egress_set, policy),
        MEMBER(egress_set, lists), MEMBER(egress_set, decides_until), MEMBER(egress_set, refusing)}},
      {"egress_anchor",
       sizeof(egress_anchor),
       {MEMBER(egress_anchor, kind), MEMBER(egress_anchor, first_set), MEMBER(egress_anchor, cgroup_id)}},
      {"egress_anchor_name", sizeof(egress_anchor_name), {MEMBER(egress_anchor_name, name)}},
      {"egress_name_key", sizeof(egress_name_key), {MEMBER(egress_name_key, node), MEMBER(egress_name_key, name)}},
      {"egress_name", sizeof(egress_name), {MEMBER(egress_name, node), MEMBER(egress_name, anchor)}},
      {"egress_binding",
       sizeof(egress_binding),
       {MEMBER(egress_binding, node), MEMBER(egress_binding, path_anchor), MEMBER(egress_binding, unit_anchor),
        MEMBER(egress_binding, id_anchor)}},
      {"egress_device",
       sizeof(egress_device),
       {MEMBER(egress_device, cgroup_id), MEMBER(egress_device, levels), MEMBER(egress_device, flags),
        MEMBER(egress_device, name), MEMBER(egress_device, ids)}},
      {"egress_text", sizeof(egress_text), {MEMBER(egress_text, text)}},
      {"egress_control",
       sizeof(egress_control),
       {MEMBER(egress_control, epoch), MEMBER(egress_control, next_id), MEMBER(egress_control, next_node),
        MEMBER(egress_control, pending), MEMBER(egress_control, trial_deadline), MEMBER(egress_control, next_deadline),
        MEMBER(egress_control, lease_until), MEMBER(egress_control, maintenance), MEMBER(egress_control, rejects),
        MEMBER(egress_control, swept_at), MEMBER(egress_control, clock), MEMBER(egress_control, bind_failed),
        MEMBER(egress_control, sweeps_seen), MEMBER(egress_control, on_trial), MEMBER(egress_control, subjects),
        MEMBER(egress_control, stale), MEMBER(egress_control, sweeps)}},
      {"egress_meta",
       sizeof(egress_meta),
       {MEMBER(egress_meta, magic), MEMBER(egress_meta, abi), MEMBER(egress_meta, max_rules),
        MEMBER(egress_meta, layout), MEMBER(egress_meta, root_id), MEMBER(egress_meta, root_level),
        MEMBER(egress_meta, zero), MEMBER(egress_meta, instance), MEMBER(egress_meta, pin_dir),
        MEMBER(egress_meta, root_path), MEMBER(egress_meta, version)}},
  };
}

/// One map of the object by the types of its declaration: a name of a struct, or "u32", "u64".
struct MapRow {
  std::string name;
  std::uint32_t type;
  std::string key;
  std::string value;
};

const std::vector<MapRow>& maps_of_contract() {
  static const std::vector<MapRow> rows{
      {"drop_configs", BPF_MAP_TYPE_HASH, "u32", "drop_config"},
      {"cgroup_rules", BPF_MAP_TYPE_HASH, "u64", "u32"},
      {"stats", BPF_MAP_TYPE_PERCPU_ARRAY, "u32", "drop_stats"},
      {"rules", BPF_MAP_TYPE_ARRAY, "u32", "egress_rule"},
      {"sets", BPF_MAP_TYPE_ARRAY, "u32", "egress_set"},
      {"shapes", BPF_MAP_TYPE_ARRAY, "u32", "egress_shape"},
      {"sieve", BPF_MAP_TYPE_ARRAY, "u32", "u64"},
      {"covers", BPF_MAP_TYPE_ARRAY, "u32", "u64"},
      {"heads", BPF_MAP_TYPE_ARRAY, "u32", "egress_heads"},
      {"counters", BPF_MAP_TYPE_PERCPU_HASH, "u64", "egress_counter"},
      {"anchors", BPF_MAP_TYPE_ARRAY, "u32", "egress_anchor"},
      {"anchor_names", BPF_MAP_TYPE_HASH, "u32", "egress_anchor_name"},
      {"names", BPF_MAP_TYPE_HASH, "egress_name_key", "egress_name"},
      {"bindings", BPF_MAP_TYPE_HASH, "u64", "egress_binding"},
      {"devices", BPF_MAP_TYPE_HASH, "u64", "egress_device"},
      {"policy_names", BPF_MAP_TYPE_HASH, "u32", "egress_text"},
      {"reasons", BPF_MAP_TYPE_HASH, "u32", "egress_text"},
      {"control", BPF_MAP_TYPE_ARRAY, "u32", "egress_control"},
      {"reason_counts", BPF_MAP_TYPE_PERCPU_ARRAY, "u32", "u64"},
      {"meta", BPF_MAP_TYPE_ARRAY, "u32", "egress_meta"},
  };
  return rows;
}

/// The bytes of a section of the object; libbpf tells those of maps and programs only. Empty if there is none.
std::string section_of_object(const std::string& wanted) {
  std::ifstream file(EGRESS_BPF_OBJECT, std::ios::binary);
  const std::string image{std::istreambuf_iterator<char>(file), {}};
  const auto read = [&image](auto& into, std::size_t offset) {
    if (offset > image.size() || image.size() - offset < sizeof into) return false;
    std::memcpy(&into, image.data() + offset, sizeof into);
    return true;
  };
  Elf64_Ehdr header{};
  Elf64_Shdr names{};
  if (!read(header, 0) || !read(names, header.e_shoff + std::size_t{header.e_shstrndx} * sizeof names)) return {};
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section{};
    if (!read(section, header.e_shoff + i * sizeof section)) return {};
    if (image.c_str() + names.sh_offset + section.sh_name != wanted) continue;
    return image.substr(section.sh_offset, section.sh_size);
  }
  return {};
}

/// The object of this build, read and not loaded.
class ObjectBtf : public testing::Test {
 protected:
  void SetUp() override {
    object_.reset(bpf_object__open_file(EGRESS_BPF_OBJECT, nullptr));
    ASSERT_TRUE(object_) << EGRESS_BPF_OBJECT << ": " << std::strerror(errno);
    btf_ = bpf_object__btf(object_.get());
    ASSERT_NE(btf_, nullptr) << "no BTF";
  }

  [[nodiscard]] const bpf_map* map(const std::string& name) const {
    return bpf_object__find_map_by_name(object_.get(), name.c_str());
  }

  [[nodiscard]] const btf_type* struct_named(const std::string& name) const {
    const int id = btf__find_by_name_kind(btf_, name.c_str(), BTF_KIND_STRUCT);
    return id < 0 ? nullptr : btf__type_by_id(btf_, static_cast<__u32>(id));
  }

  [[nodiscard]] std::vector<Member> members_of(const btf_type& type) const {
    std::vector<Member> found;
    for (__u32 i = 0; i < btf_vlen(&type); ++i) {
      const btf_member& member = btf_members(&type)[i];
      const __s64 size = btf__resolve_size(btf_, member.type);
      EXPECT_GT(size, 0) << btf__name_by_offset(btf_, member.name_off);
      EXPECT_EQ(btf_member_bitfield_size(&type, i), 0u) << "a bit field has no place in the contract";
      found.push_back({btf__name_by_offset(btf_, member.name_off), btf_member_bit_offset(&type, i) / 8,
                       static_cast<std::size_t>(size)});
    }
    return found;
  }

  /// "u32" for an integer of 4 bytes, else the name of the struct.
  [[nodiscard]] std::string type_name(__u32 id) const {
    const btf_type* type = btf__type_by_id(btf_, static_cast<__u32>(btf__resolve_type(btf_, id)));
    if (type == nullptr) return "no type";
    if (!btf_is_int(type)) return btf__name_by_offset(btf_, type->name_off);
    const bool is_signed = (btf_int_encoding(type) & BTF_INT_SIGNED) != 0;
    return (is_signed ? "s" : "u") + std::to_string(type->size * 8);
  }

  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  std::unique_ptr<bpf_object, Close> object_;
  const btf* btf_ = nullptr;
};

TEST_F(ObjectBtf, LaysOutEveryStructInBpfAsInCxx) {
  for (const Layout& layout : layouts()) {
    const btf_type* type = struct_named(layout.type);
    ASSERT_NE(type, nullptr) << layout.type << " is not in the object";
    EXPECT_EQ(type->size, layout.size) << layout.type;
    EXPECT_EQ(members_of(*type), layout.members) << layout.type;
  }
}

TEST_F(ObjectBtf, DeclaresEveryMapWithTheTypesOfTheContract) {
  for (const MapRow& row : maps_of_contract()) {
    const bpf_map* found = map(row.name);
    ASSERT_NE(found, nullptr) << row.name;
    EXPECT_EQ(std::uint32_t{bpf_map__type(found)}, row.type) << row.name;
    EXPECT_EQ(type_name(bpf_map__btf_key_type_id(found)), row.key) << row.name;
    EXPECT_EQ(type_name(bpf_map__btf_value_type_id(found)), row.value) << row.name;
    EXPECT_EQ(btf__resolve_size(btf_, bpf_map__btf_key_type_id(found)), __s64{bpf_map__key_size(found)}) << row.name;
    EXPECT_EQ(btf__resolve_size(btf_, bpf_map__btf_value_type_id(found)), __s64{bpf_map__value_size(found)})
        << row.name;
  }
}

TEST_F(ObjectBtf, HoldsTheMapsThatTheLibraryOpensAndSharesTheSameOnes) {
  std::set<std::string> named;
  for (const MapRow& row : maps_of_contract()) named.insert(row.name);
  std::set<std::string> opened;
  for (const MapLayout& layout : map_layouts()) {
    const std::string name(layout.name);
    opened.insert(name);
    const bpf_map* found = map(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(std::uint32_t{bpf_map__type(found)}, layout.type) << name;
    EXPECT_EQ(bpf_map__key_size(found), layout.key_size) << name;
    EXPECT_EQ(bpf_map__value_size(found), layout.value_size) << name;
    EXPECT_GE(bpf_map__max_entries(found), layout.least_entries) << name;
    EXPECT_EQ((bpf_map__map_flags(found) & BPF_F_MMAPABLE) != 0, layout.mapped) << name;
  }
  EXPECT_EQ(opened, named);
}

TEST_F(ObjectBtf, HoldsTheProgramsOfTheHooksAndNoOther) {
  std::set<std::string> named;
  for (const Hook& hook : hooks) {
    named.insert(hook.program);
    EXPECT_LT(std::strlen(hook.program), std::size_t{BPF_OBJ_NAME_LEN}) << hook.program << ": the kernel cuts it";
  }
  std::set<std::string> found;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) found.insert(bpf_program__name(program));
  EXPECT_EQ(found, named);
}

/// The kernel lends many of its functions to programs under the GPL alone.
TEST(ObjectFile, IsLicensedUnderTheGpl) { EXPECT_EQ(section_of_object("license"), std::string("GPL", 4)); }

/// The kernel's types stand in the object as far as they are read, and each read is mended at load.
TEST_F(ObjectBtf, BringsOnlyThoseKernelTypesThatItReads) {
  const std::map<std::string, std::set<std::string>> read_fields{
      {"kernfs_node", {"name", "id"}},
      {"cgroup_subsys_state", {"parent"}},
      {"cgroup_root", {"hierarchy_id"}},
      {"cgroup", {"self", "level", "kn", "root", "ancestors"}},
      {"sock_cgroup_data", {"cgroup"}},
      {"sock_common", {"skc_flags", "skc_state"}},
      {"sk_buff", {"sk"}},
      {"bpf_sock_addr_kern", {"sk"}},
      {"sock", {"__sk_common", "sk_cgrp_data"}},
      {"css_set", {"dfl_cgrp"}},
      {"task_struct", {"cgroups"}},
  };
  for (const auto& [name, fields] : read_fields) {
    const btf_type* type = struct_named(name);
    if (type == nullptr) continue;  // the compiler leaves out what no program reads
    for (__u32 i = 0; i < btf_vlen(type); ++i) {
      const std::string field = btf__name_by_offset(btf_, btf_members(type)[i].name_off);
      EXPECT_TRUE(fields.contains(field)) << "struct " << name << " was taken from a kernel: " << field;
    }
  }
  // A vmlinux.h brings these with it.
  for (const char* name : {"mm_struct", "module", "net", "super_block"}) {
    EXPECT_EQ(struct_named(name), nullptr) << name;
  }
  EXPECT_NE(struct_named("cgroup"), nullptr) << "nothing above was compared";
}

}  // namespace
}  // namespace egress
