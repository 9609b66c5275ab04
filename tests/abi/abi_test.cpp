// SPDX-License-Identifier: GPL-2.0
// The object against the contract: what the header says is what the object was built with, and the template's maps
// have the shape that other tools rely on.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "drop_egress_by_cgroup.h"

#ifndef EGRESS_BPF_OBJECT
#error "the build says where the object is"
#endif

namespace {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

class Object : public ::testing::Test {
 protected:
  void SetUp() override {
    object_.reset(bpf_object__open_file(EGRESS_BPF_OBJECT, nullptr));
    ASSERT_TRUE(object_) << EGRESS_BPF_OBJECT;
    btf_ = bpf_object__btf(object_.get());
    ASSERT_TRUE(btf_);
  }
  [[nodiscard]] const bpf_map* map(const char* name) const {
    const bpf_map* found = bpf_object__find_map_by_name(object_.get(), name);
    EXPECT_TRUE(found) << name;
    return found;
  }
  void expect_map(const char* name, bpf_map_type type, std::size_t key, std::size_t value) const {
    const bpf_map* found = map(name);
    if (!found) return;
    EXPECT_EQ(bpf_map__type(found), type) << name;
    EXPECT_EQ(bpf_map__key_size(found), key) << name;
    EXPECT_EQ(bpf_map__value_size(found), value) << name;
  }
  /// Offsets in bytes of the members of a structure, as the BPF compiler laid them out.
  [[nodiscard]] std::map<std::string, std::size_t> offsets_of(const char* structure) const {
    std::map<std::string, std::size_t> offsets;
    const int id = btf__find_by_name_kind(btf_, structure, BTF_KIND_STRUCT);
    EXPECT_GT(id, 0) << structure;
    if (id <= 0) return offsets;
    const btf_type* type = btf__type_by_id(btf_, static_cast<__u32>(id));
    offsets["(size)"] = type->size;
    const btf_member* members = btf_members(type);
    for (__u16 i = 0; i < btf_vlen(type); ++i) {
      offsets[btf__name_by_offset(btf_, members[i].name_off)] = btf_member_bit_offset(type, i) / 8;
    }
    return offsets;
  }

  std::unique_ptr<bpf_object, CloseObject> object_;
  const btf* btf_ = nullptr;
};

using Offsets = std::map<std::string, std::size_t>;

TEST_F(Object, HasTheTemplatesMaps) {
  expect_map("drop_configs", BPF_MAP_TYPE_HASH, 4, 32);
  expect_map("cgroup_rules", BPF_MAP_TYPE_HASH, 8, 4);
  expect_map("stats", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 24);
  EXPECT_EQ(bpf_map__max_entries(map("stats")), 1U);
  EXPECT_GE(bpf_map__max_entries(map("drop_configs")), 65536U);
  EXPECT_GE(bpf_map__max_entries(map("cgroup_rules")), 65536U);
}

TEST_F(Object, LaysADropConfigOutAsTheContractSays) {
  EXPECT_EQ(offsets_of("drop_config"), (Offsets{{"(size)", 32},
                                                {"dst_ip", 0},
                                                {"dst_port", 4},
                                                {"flags", 6},
                                                {"cgroup_id", 8},
                                                {"ttl", 16},
                                                {"reserved", 20},
                                                {"created_at", 24}}));
  EXPECT_EQ(offsets_of("drop_stats"),
            (Offsets{{"(size)", 24}, {"packets_dropped", 0}, {"packets_processed", 8}, {"bytes_dropped", 16}}));
}

TEST_F(Object, AgreesWithThisCompilerOnEveryStructure) {
#define AT(structure, member) {#member, offsetof(structure, member)}
  EXPECT_EQ(offsets_of("egress_rule"), (Offsets{{"(size)", sizeof(egress_rule)},
                                                AT(egress_rule, id),
                                                AT(egress_rule, next),
                                                AT(egress_rule, set),
                                                AT(egress_rule, reason),
                                                AT(egress_rule, action),
                                                AT(egress_rule, flags),
                                                AT(egress_rule, proto),
                                                AT(egress_rule, plen),
                                                AT(egress_rule, port_first),
                                                AT(egress_rule, port_last),
                                                AT(egress_rule, turn),
                                                AT(egress_rule, created),
                                                AT(egress_rule, expires_at),
                                                AT(egress_rule, addr)}));
  EXPECT_EQ(offsets_of("egress_set"), (Offsets{{"(size)", sizeof(egress_set)},
                                               AT(egress_set, flags),
                                               AT(egress_set, next),
                                               AT(egress_set, anchor),
                                               AT(egress_set, policy),
                                               AT(egress_set, lists),
                                               AT(egress_set, decides_until),
                                               AT(egress_set, refusing)}));
  EXPECT_EQ(offsets_of("egress_control"), (Offsets{{"(size)", sizeof(egress_control)},
                                                   AT(egress_control, epoch),
                                                   AT(egress_control, next_id),
                                                   AT(egress_control, next_node),
                                                   AT(egress_control, pending),
                                                   AT(egress_control, trial_deadline),
                                                   AT(egress_control, next_deadline),
                                                   AT(egress_control, lease_until),
                                                   AT(egress_control, maintenance),
                                                   AT(egress_control, rejects),
                                                   AT(egress_control, swept_at),
                                                   AT(egress_control, clock),
                                                   AT(egress_control, bind_failed),
                                                   AT(egress_control, sweeps_seen),
                                                   AT(egress_control, on_trial),
                                                   AT(egress_control, subjects),
                                                   AT(egress_control, stale),
                                                   AT(egress_control, sweeps)}));
#undef AT
}

TEST_F(Object, HasKeysAndValuesOfTheHeadersSizes) {
  expect_map("rules", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_rule));
  expect_map("sets", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_set));
  expect_map("shapes", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_shape));
  expect_map("anchors", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_anchor));
  expect_map("control", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_control));
  expect_map("meta", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_meta));
  expect_map("sieve", BPF_MAP_TYPE_ARRAY, 4, 8);
  expect_map("covers", BPF_MAP_TYPE_ARRAY, 4, 8);
  expect_map("heads", BPF_MAP_TYPE_ARRAY, 4, sizeof(egress_heads));
  expect_map("names", BPF_MAP_TYPE_HASH, sizeof(egress_name_key), sizeof(egress_name));
  expect_map("bindings", BPF_MAP_TYPE_HASH, 8, sizeof(egress_binding));
  expect_map("devices", BPF_MAP_TYPE_HASH, 8, sizeof(egress_device));
  expect_map("anchor_names", BPF_MAP_TYPE_HASH, 4, sizeof(egress_anchor_name));
  expect_map("reasons", BPF_MAP_TYPE_HASH, 4, sizeof(egress_text));
  expect_map("policy_names", BPF_MAP_TYPE_HASH, 4, sizeof(egress_text));
  expect_map("counters", BPF_MAP_TYPE_PERCPU_HASH, 8, sizeof(egress_counter));
  expect_map("reason_counts", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8);
}

// H4: a cgroup that cannot be bound for want of memory would go unfiltered.
TEST_F(Object, H4AllocatesBindingsInFull) { EXPECT_EQ(bpf_map__map_flags(map("bindings")) & BPF_F_NO_PREALLOC, 0U); }

// H3: no map of rules may evict.
TEST_F(Object, H3NeverEvicts) {
  const bpf_map* each = nullptr;
  bpf_object__for_each_map(each, object_.get()) {
    EXPECT_NE(bpf_map__type(each), BPF_MAP_TYPE_LRU_HASH) << bpf_map__name(each);
    EXPECT_NE(bpf_map__type(each), BPF_MAP_TYPE_LRU_PERCPU_HASH) << bpf_map__name(each);
  }
}

TEST_F(Object, HasItsProgramsInTheirSections) {
  const std::map<std::string, std::string> sections{{"egress_skb", "cgroup_skb/egress"},
                                                    {"egress_connect4", "cgroup/connect4"},
                                                    {"egress_connect6", "cgroup/connect6"},
                                                    {"egress_sendmsg4", "cgroup/sendmsg4"},
                                                    {"egress_sendmsg6", "cgroup/sendmsg6"},
                                                    {"egress_mkdir", "tp_btf/cgroup_mkdir"},
                                                    {"egress_release", "tp_btf/cgroup_release"},
                                                    {"egress_socket", "fmod_ret/security_socket_create"},
                                                    {"egress_arm", "syscall"},
                                                    {"egress_clock", "syscall"}};
  std::map<std::string, std::string> found;
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, object_.get()) found[bpf_program__name(each)] = bpf_program__section_name(each);
  EXPECT_EQ(found, sections);
}

}  // namespace
