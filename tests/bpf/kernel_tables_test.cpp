// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_tables.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "bpf/private_bpffs.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

Fd create(const MapLayout& layout) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = layout.mapped ? __u32{BPF_F_MMAPABLE} : 0);
  Fd fd(bpf_map_create(static_cast<bpf_map_type>(layout.type), std::string(layout.name).c_str(), layout.key_size,
                       layout.value_size, std::max(16u, layout.least_entries), &options));
  test::require(fd.valid(), "create map", std::string(layout.name).c_str());
  return fd;
}

/// Pins of an instance, made as the loader makes them; `change` may spoil a map before it is made.
class KernelTablesTest : public testing::Test {
 protected:
  using Change = std::function<void(MapLayout&)>;

  void pin_all(const Change& change = [](MapLayout&) {}) {
    for (MapLayout layout : map_layouts()) {
      const std::string name(layout.name);
      change(layout);
      const Fd fd = create(layout);
      if (name == "meta" && layout.value_size == sizeof(egress_meta)) write_meta(fd);
      ASSERT_TRUE(pins_.pin(fd.get(), name).ok()) << name;
    }
  }

  void write_meta(const Fd& fd) const {
    const __u32 key = 0;
    ASSERT_EQ(bpf_map_update_elem(fd.get(), &key, &meta_, BPF_ANY), 0);
  }

  [[nodiscard]] auto open(KernelTables::Access access = KernelTables::Access::ReadWrite) const {
    return KernelTables::open(pins_, access);
  }

  [[nodiscard]] std::string refusal() const {
    const auto tables = open();
    return tables.ok() ? "opened" : tables.error().message();
  }

  static egress_meta good_meta() {
    egress_meta meta{};
    meta.magic = EGRESS_MAGIC;
    meta.abi = EGRESS_ABI;
    meta.layout = layout_hash();
    meta.max_rules = 4711;
    return meta;
  }

  test::PrivateBpffs fs_;
  PinDirectory pins_ = *PinDirectory::open_or_create(fs_.path("instance"));
  egress_meta meta_ = good_meta();
};

TEST_F(KernelTablesTest, OpensAllPinnedMaps) {
  pin_all();
  const auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  auto& tables = **opened;
  EXPECT_EQ(tables.meta().max_rules, 4711u);
  EXPECT_EQ(tables.rules().size(), 16u);
  EXPECT_EQ(tables.sets().size(), 16u);
  EXPECT_EQ(tables.shapes().size(), 16u);
  EXPECT_EQ(tables.anchors().size(), 16u);
  ASSERT_TRUE(tables.reasons().put(7, egress_text{"IR-4211"}).ok());
  EXPECT_STREQ((*tables.reasons().get(7))->text, "IR-4211");
  EXPECT_FALSE(tables.policy_names().get(7)->has_value());
  for (const auto& layout : map_layouts()) EXPECT_GE(tables.fd_of(layout.name), 0) << layout.name;
}

TEST_F(KernelTablesTest, TwoOwnersShareTheMemory) {
  pin_all();
  const auto writer = open(), reader = open(KernelTables::Access::Read);
  ASSERT_TRUE(writer.ok() && reader.ok()) << reader.error().message();
  (*writer)->control().epoch = 0x1234;
  (*writer)->rules()[15].id = 99;
  EXPECT_EQ((*reader)->control().epoch, 0x1234u);
  EXPECT_EQ((*reader)->rules()[15].id, 99u);
  EXPECT_FALSE((*reader)->reasons().put(7, egress_text{}).ok()) << "a reader cannot write";
}

TEST_F(KernelTablesTest, CountersAppearAtZeroAndReadAsZeroWhenGone) {
  pin_all();
  const auto opened = open();
  ASSERT_TRUE(opened.ok());
  auto& tables = **opened;
  ASSERT_TRUE(tables.create_counter(EGRESS_COUNTER_DOOR | 7).ok());
  EXPECT_EQ(*tables.read_counter(EGRESS_COUNTER_DOOR | 7), Counts{});
  EXPECT_EQ(*tables.read_counter(7), Counts{});
  EXPECT_TRUE(tables.erase_counter(7).ok());
  EXPECT_EQ(tables.read_stats()->packets_processed, 0u);
  EXPECT_EQ(tables.read_reasons()->size(), std::size_t{EGRESS_REASONS});
}

TEST_F(KernelTablesTest, AreNotFoundInAnEmptyDirectory) {
  const auto tables = open();
  ASSERT_FALSE(tables.ok());
  EXPECT_EQ(tables.error().kind, ErrorKind::NotFound);
  EXPECT_TRUE(test::has(tables.error().message(), "egress load"));
}

// Failure J10.
TEST_F(KernelTablesTest, RefusesAMissingMap) {
  pin_all();
  ASSERT_TRUE(pins_.unlink("shapes").ok());
  EXPECT_TRUE(test::has(refusal(), "map 'shapes': pins are of another version: it is missing")) << refusal();
}

TEST_F(KernelTablesTest, RefusesAMapOfAnotherTypeOrSize) {
  const std::vector<std::pair<Change, std::string>> spoils{
      {[](MapLayout& map) {
         if (map.name == "rules") map.value_size += 8;
       },
       "value size 64 instead of 56"},
      {[](MapLayout& map) {
         if (map.name == "names") map.key_size += 4;
       },
       "key size 264 instead of 260"},
      {[](MapLayout& map) {
         if (map.name == "reasons") map.type = BPF_MAP_TYPE_LRU_HASH;
       },
       "type"},
      {[](MapLayout& map) {
         if (map.name == "meta") map.value_size -= 8;
       },
       "value size"},
  };
  for (const auto& [change, expected] : spoils) {
    pin_all(change);
    EXPECT_TRUE(test::has(refusal(), "pins are of another version")) << refusal();
    EXPECT_TRUE(test::has(refusal(), expected)) << refusal();
    const auto names = pins_.names();
    for (const auto& name : *names) ASSERT_TRUE(pins_.unlink(name).ok());
  }
}

TEST_F(KernelTablesTest, RefusesAnotherAbiLayoutOrMaker) {
  const std::vector<std::pair<void (*)(egress_meta&), std::string>> spoils{
      {[](egress_meta& meta) { meta.abi = EGRESS_ABI + 1; },
       fmt::format("ABI {} instead of {}", EGRESS_ABI + 1, EGRESS_ABI)},
      {[](egress_meta& meta) { meta.layout ^= 1; }, "another layout"},
      {[](egress_meta& meta) { meta.magic = 0; }, "does not say that egress made it"},
  };
  pin_all();
  for (const auto& [change, expected] : spoils) {
    meta_ = good_meta();
    change(meta_);
    write_meta(*pins_.open_pin("meta"));
    EXPECT_TRUE(test::has(refusal(), expected)) << refusal();
    EXPECT_TRUE(test::has(refusal(), "egress unload")) << refusal();
  }
  meta_ = good_meta();
  write_meta(*pins_.open_pin("meta"));
  EXPECT_EQ(refusal(), "opened");
}

TEST(MapLayouts, NameEveryMapOnce) {
  std::set<std::string_view> names;
  for (const auto& layout : map_layouts()) names.insert(layout.name);
  EXPECT_EQ(names.size(), map_layouts().size());
  EXPECT_EQ(names.size(), 20u);
}

}  // namespace
}  // namespace egress
