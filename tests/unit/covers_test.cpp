// SPDX-License-Identifier: GPL-2.0
#include "engine/covers.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "support/engine_lab.hpp"

namespace egress {
namespace {

using namespace test;

/// A table of this many rules: 4,096 units of one word, so the largest cover has 131,072 bits.
struct Covers : ::testing::Test, EngineLab {
  Covers() { app = world.mkdir_unbound("/app"); }

  CgroupId app;

  /// Of the only set that there is; 0 if none has one.
  [[nodiscard]] std::uint32_t cover() {
    for (const egress_set& set : tables.sets()) {
      if (set.flags != 0) return cover_of(set);
    }
    return 0;
  }
  [[nodiscard]] static std::size_t bits_of(std::uint32_t cover) { return std::size_t{64} << EGRESS_COVER_LOG(cover); }
  [[nodiscard]] std::size_t bits_set() {
    std::size_t count = 0;
    for (const __u64 word : tables.covers()) count += static_cast<std::size_t>(std::popcount(word));
    return count;
  }
  /// Up to 51 addresses, far from each other.
  [[nodiscard]] static std::string address(int number) { return std::to_string(1 + 5 * number) + ".9.0.1"; }
  void add_some(int first, int last) {
    for (int i = first; i < last; ++i) add(cgroup("/app"), "drop " + address(i));
  }
};

TEST_F(Covers, ASetGetsOneWithItsFirstRules) {
  add(cgroup("/app"), "drop 10.0.0.1");
  ASSERT_NE(cover(), 0u);
  EXPECT_EQ(bits_of(cover()), 64u);
  EXPECT_EQ(bits_set(), 1u);
  add(cgroup("/app"), "drop 192.0.0.0/8");
  EXPECT_EQ(bits_set(), 2u);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/app", "192.7.0.1"), "drop");
}

TEST_F(Covers, AWidePrefixTakesAllItsBits) {
  add(cgroup("/app"), "drop 128.0.0.0/1");
  EXPECT_EQ(bits_set(), 32u);
  EXPECT_EQ(fate("/app", "128.0.0.0"), "drop");
  EXPECT_EQ(fate("/app", "255.255.255.255"), "drop");
  EXPECT_EQ(fate("/app", "127.255.255.255"), "pass");
  add(cgroup("/app"), "drop 0.0.0.0/0");
  EXPECT_EQ(bits_set(), 64u);
}

TEST_F(Covers, OfIPv6TheFirst32BitsAreHashed) {
  add(cgroup("/app"), "drop 2001:db8::1");
  ASSERT_NE(cover(), 0u);
  add(cgroup("/app"), "drop 2001:db8:7::/48");
  add(cgroup("/app"), "drop 2001:db8::/32");
  EXPECT_EQ(bits_set(), 1u);
  EXPECT_EQ(fate("/app", "2001:db8:7::9"), "drop");
  EXPECT_EQ(fate("/app", "2001:db9::1"), "pass");
}

TEST_F(Covers, ShorterPrefixesOfIPv6AreInNone) {
  add(cgroup("/app"), "drop 2001:db8::1");
  add(cgroup("/app"), "drop 2000::/3");
  EXPECT_EQ(bits_set(), 1u);
  EXPECT_EQ(fate("/app", "2abc::1"), "drop") << "the cover of such a set says nothing of IPv6";
}

TEST_F(Covers, ASetThatOutgrowsItsOwnGetsALargerOneAndTheFormerIsCleared) {
  add_some(0, 2);
  const std::uint32_t first = cover();
  add_some(2, 40);
  EXPECT_GT(EGRESS_COVER_LOG(cover()), EGRESS_COVER_LOG(first));
  EXPECT_EQ(bits_set(), 40u) << "each rule has its bit in one cover, the former ones are clear";
  for (int i = 0; i < 40; ++i) EXPECT_EQ(fate("/app", address(i)), "drop");
}

TEST_F(Covers, RulesOfBothFamiliesMoveToTheLargerOne) {
  for (int i = 0; i < 40; ++i) {
    add(cgroup("/app"), "drop " + std::to_string(1 + i) + ".9.0.1");
    if (i % 2 == 0) add(cgroup("/app"), "drop 20" + std::to_string(10 + i) + "::1");
  }
  for (int i = 0; i < 40; i += 2) {
    EXPECT_EQ(fate("/app", std::to_string(1 + i) + ".9.0.1"), "drop");
    EXPECT_EQ(fate("/app", "20" + std::to_string(10 + i) + "::1"), "drop");
  }
}

TEST_F(Covers, FewRulesThatHoldMuchDoNotMakeItLarger) {
  add(cgroup("/app"), "drop 0.0.0.0/1");
  const std::uint32_t first = cover();
  add(cgroup("/app"), "drop 200.0.0.1");
  EXPECT_EQ(cover(), first);
}

TEST_F(Covers, ARemovedRuleLeavesNoBit) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  add(cgroup("/app"), "drop 172.0.0.0/8");
  ASSERT_TRUE(engine.remove({{id}, {}, {}, false}).ok());
  EXPECT_EQ(bits_set(), 1u);
  ASSERT_TRUE(engine.remove({{}, {}, {}, true}).ok());
  EXPECT_EQ(bits_set(), 0u);
  EXPECT_EQ(cover(), 0u);
}

TEST_F(Covers, WhatNobodyOwnsAndIsNotClearIsNotGivenAway) {
  for (__u64& word : tables.covers()) word = 1;
  tables.covers()[77] = 0;
  add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(EGRESS_COVER_FIRST(cover()), 77u);
  add(unit("x.service"), "drop 10.0.0.1");
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/app", "10.0.0.2"), "pass");
}

TEST_F(Covers, WhereRoomIsShortAListHasASmallerOne) {
  for (__u64& word : tables.covers()) word = 1;
  for (std::uint32_t i = 64; i < 72; ++i) tables.covers()[i] = 0;  // 512 bits of the 2,048 that it wants
  Addition list{cgroup("/app"), {}, {}, false};
  for (int i = 0; i < 60; ++i) list.rules.push_back(rule("drop " + std::to_string(1 + i) + ".9.0.1"));
  ASSERT_TRUE(engine.add(list).ok());
  EXPECT_EQ(EGRESS_COVER_FIRST(cover()), 64u);
  EXPECT_EQ(bits_of(cover()), 512u);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(fate("/app", std::to_string(1 + i) + ".9.0.1"), "drop");
  EXPECT_EQ(fate("/app", "200.9.0.1"), "pass");
}

TEST_F(Covers, WithoutRoomForALargerOneTheFormerStays) {
  add_some(0, 2);
  const std::uint32_t first = cover();
  for (std::uint32_t i = 0; i < EGRESS_COVER_UNITS; ++i) {
    if (i != EGRESS_COVER_FIRST(first)) tables.covers()[i] = 1;
  }
  add_some(2, 40);
  EXPECT_EQ(cover(), first);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(fate("/app", address(i)), "drop");
}

TEST_F(Covers, ANameThatSomebodyWroteIsNotFollowed) {
  add(cgroup("/app"), "drop 10.0.0.1");
  for (egress_set& set : tables.sets()) {
    if (set.flags != 0) set.flags |= 0xFFFFu << EGRESS_SET_COVER_SHIFT;
  }
  EXPECT_EQ(cover(), 0u);
  add(cgroup("/app"), "drop 10.0.0.2");
}

}  // namespace
}  // namespace egress
