// SPDX-License-Identifier: GPL-2.0
#include "sys/canary.hpp"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>

#include "bpf/private_instance.hpp"
#include "sys/loader.hpp"

namespace egress {
namespace {

using test::PrivateInstance;
using test::small_settings;

/// Children of a cgroup.
std::size_t children_of(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), ::closedir);
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') ++count;
  }
  return count;
}

bool is_empty(int map_fd) {
  std::uint64_t key = 0;
  return bpf_map_get_next_key(map_fd, nullptr, &key) != 0;
}

class CanaryTest : public testing::Test {
 protected:
  void SetUp() override {
    const Result<Loaded> loaded = load(at.get(), small_settings());
    ASSERT_TRUE(loaded.ok()) << loaded.error().message();
    root = at.root().open();
    configs = Fd(bpf_obj_get(at.pin("drop_configs").c_str()));
    rules = Fd(bpf_obj_get(at.pin("cgroup_rules").c_str()));
  }

  Result<CanaryReport> send() const {
    return send_canary({at.root().directory(), root.get(), configs.get(), rules.get()});
  }

  PrivateInstance at{"canary"};
  Fd root;
  Fd configs;
  Fd rules;
};

TEST_F(CanaryTest, IsDroppedWhileTheFilterIsAttached) {
  const Result<CanaryReport> report = send();
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_TRUE(report.value().enforcing) << report.value().why;
}

TEST_F(CanaryTest, PassesWhenThePacketHookIsGone) {
  const Link link(Fd(bpf_obj_get(at.pin("link_egress_skb").c_str())));
  ASSERT_TRUE(link.detach().ok());
  const Result<CanaryReport> report = send();
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_FALSE(report.value().enforcing);
  EXPECT_EQ(report.value().why, "a packet that a rule names was not dropped");
}

TEST_F(CanaryTest, LeavesNoCgroupAndNoRuleBehind) {
  ASSERT_TRUE(send().ok());
  EXPECT_EQ(children_of(at.root().directory()), 0u);
  EXPECT_TRUE(is_empty(configs.get()));
  EXPECT_TRUE(is_empty(rules.get()));
}

TEST_F(CanaryTest, LeavesNoCgroupBehindWhenTheMapCannotBeWritten) {
  const Result<CanaryReport> report = send_canary({at.root().directory(), root.get(), configs.get(), -1});
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(children_of(at.root().directory()), 0u);
  EXPECT_TRUE(is_empty(configs.get()));
}

TEST_F(CanaryTest, DoesNotTouchTheRulesOfOthers) {
  const std::uint32_t id = 0x80001234;
  drop_config config{};
  config.dst_port = 0x1234;
  config.cgroup_id = 0x5678;
  ASSERT_EQ(bpf_map_update_elem(configs.get(), &id, &config, BPF_ANY), 0);
  ASSERT_TRUE(send().ok());
  drop_config found{};
  ASSERT_EQ(bpf_map_lookup_elem(configs.get(), &id, &found), 0);
  EXPECT_EQ(found.dst_port, 0x1234);
}

}  // namespace
}  // namespace egress
