// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include "engine/reasons.hpp"
#include "support/engine_lab.hpp"
#include "support/model_sweep.hpp"

namespace egress {
namespace {

using namespace test;

RuleSpec with_reason(std::string_view text, std::string reason, Lifetime lifetime = default_lifetime) {
  RuleSpec spec = rule(text, lifetime);
  spec.reason = std::move(reason);
  return spec;
}

struct EngineReasons : ::testing::Test, EngineLab {
  EngineReasons() { world.mkdir_unbound("/app"); }

  std::size_t texts() { return tables.reasons().size(); }
  std::string reason_of(RuleId id) { return find(id) ? find(id)->reason : "no rule"; }
};

TEST_F(EngineReasons, OfManyRulesAreStoredOnce) {
  Addition addition{.subject = cgroup("/app"), .rules = {}, .policy = {}};
  for (const char* to : {"10.0.0.1", "10.0.0.2", "2001:db8::1"}) addition.list.push_back(test::to(to));
  addition.of_list.reason = "feed";
  const auto list = engine.add(addition);
  ASSERT_TRUE(list.ok());
  const RuleId one = add(cgroup("/other"), with_reason("drop 10.0.0.1", "feed"), "p");
  const RuleId other = add(cgroup("/app"), with_reason("drop 10.0.0.9", "ticket"));
  const RuleId none = add(cgroup("/app"), "drop 10.0.0.8");
  EXPECT_EQ(texts(), 2u);
  for (const RuleId id : *list) EXPECT_EQ(reason_of(id), "feed");
  EXPECT_EQ(reason_of(one), "feed");
  EXPECT_EQ(reason_of(other), "ticket");
  EXPECT_EQ(reason_of(none), "");
}

TEST_F(EngineReasons, GoWithTheLastRuleThatNamesThem) {
  const RuleId first = add(cgroup("/app"), with_reason("drop 10.0.0.1", "why"));
  const RuleId second = add(cgroup("/app"), with_reason("drop 10.0.0.2", "why"));
  ASSERT_TRUE(engine.remove({{first}, {}, {}, false}).ok());
  EXPECT_EQ(reason_of(second), "why");
  ASSERT_TRUE(engine.remove({{second}, {}, {}, false}).ok());
  EXPECT_EQ(texts(), 0u);
}

TEST_F(EngineReasons, GoWithWholeSets) {
  add(cgroup("/app"), with_reason("drop 10.0.0.1", "why"));
  const RuleId stays = add(cgroup("/other"), with_reason("drop 10.0.0.1", "because"));
  ASSERT_TRUE(engine.remove({{}, cgroup("/app"), {}, false}).ok());
  EXPECT_EQ(texts(), 1u);
  EXPECT_EQ(reason_of(stays), "because");
  ASSERT_TRUE(engine.remove({{}, {}, {}, true}).ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineReasons, StayWhenARuleIsExtended) {
  const RuleId id = add(cgroup("/app"), with_reason("drop 10.0.0.1", "why", 5s));
  ASSERT_TRUE(engine.extend(id, 50s).ok());
  world.advance(6s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(reason_of(id), "why");
}

TEST_F(EngineReasons, AreThoseOfTheNewRuleWhenOneIsReplaced) {
  add(cgroup("/app"), with_reason("drop 10.0.0.1", "why"));
  const auto ids = engine.add({cgroup("/app"), {with_reason("reject 10.0.0.1", "because")}, std::nullopt, true});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(reason_of(ids->front()), "because");
  EXPECT_EQ(texts(), 1u);
}

TEST_F(EngineReasons, OfAPolicyChangeForTheRulesThatStay) {
  const auto apply = [this](const std::string& first, const std::string& second) {
    auto diff = engine.apply(policy({with_reason("drop 10.0.0.1", first), with_reason("drop 10.0.0.2", second)}), {});
    EXPECT_TRUE(diff.ok());
  };
  apply("why", "why");
  EXPECT_EQ(texts(), 1u);
  apply("why", "because");
  EXPECT_EQ(reason_of(RuleId{1}), "why");
  EXPECT_EQ(reason_of(RuleId{2}), "because");
  EXPECT_EQ(fate("/app", "10.0.0.2"), "drop") << "the word of the reason is that of the set, too";
  apply("", "because");
  EXPECT_EQ(reason_of(RuleId{1}), "");
  EXPECT_EQ(reason_of(RuleId{2}), "because");
  EXPECT_EQ(texts(), 1u);
}

TEST_F(EngineReasons, ComeBackWithATrialThatNobodyConfirms) {
  ASSERT_TRUE(engine.apply(policy({with_reason("drop 10.0.0.1", "old")}), {}).ok());
  ApplyOptions trial;
  trial.confirm_within = 30s;
  ASSERT_TRUE(engine.apply(policy({with_reason("drop 10.0.0.1", "new")}), trial).ok());
  ASSERT_EQ(rules().size(), 1u);
  EXPECT_EQ(rules().front().reason, "new");
  world.advance(31s);
  ASSERT_TRUE(engine.maintain().ok());
  ASSERT_EQ(rules().size(), 1u);
  EXPECT_EQ(rules().front().reason, "old");
  EXPECT_EQ(texts(), 1u);
}

TEST_F(EngineReasons, LeftByTheKernelsSweepGoWithTheNextCommand) {
  add(cgroup("/app"), with_reason("drop 10.0.0.1", "why", 5s));
  const RuleId stays = add(cgroup("/app"), with_reason("drop 10.0.0.2", "because"));
  world.advance(6s);
  sweep_as_the_kernel(tables, world);
  EXPECT_EQ(texts(), 2u);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(texts(), 1u);
  EXPECT_EQ(reason_of(stays), "because");
}

TEST_F(EngineReasons, ThatWouldHaveTheSameNumberHaveDifferentOnes) {
  Reasons reasons(tables);
  const std::uint16_t number = *reasons.number_of("why");
  ASSERT_TRUE(tables.reasons().erase(number).ok());
  ASSERT_TRUE(tables.reasons().put(number, egress_text{"another"}).ok());
  const std::uint16_t next = *Reasons(tables).number_of("why");
  EXPECT_EQ(next, number % EGRESS_REASON_TEXTS_MAX + 1);
  EXPECT_EQ(*Reasons(tables).number_of("why"), next) << "it is found again";
  EXPECT_EQ(texts(), 2u);
}

}  // namespace
}  // namespace egress
