// SPDX-License-Identifier: GPL-2.0
// Rules that refuse packet sockets: the datapath finds them by the heads of their sets.
#include <gtest/gtest.h>

#include <set>

#include "engine/index.hpp"
#include "support/engine_lab.hpp"

namespace egress {
namespace {

using namespace test;

struct EngineRefusing : ::testing::Test, EngineLab {
  EngineRefusing() : EngineLab(256) { world.mkdir_unbound("/app"); }

  static RuleSpec refusing(std::string_view text) {
    RuleSpec spec = rule(text);
    spec.no_packet_sockets = true;
    return spec;
  }
  /// The rules that the heads of all sets lead to.
  [[nodiscard]] std::set<std::uint32_t> named() {
    std::set<std::uint32_t> ids;
    for (const egress_set& set : tables.sets()) {
      for (const egress_shape& place : read_list(tables, set.refusing)) ids.insert(place.rule);
    }
    return ids;
  }
};

TEST_F(EngineRefusing, AreNamedByTheirSetAndOthersAreNot) {
  add(cgroup("/app"), "drop 10.0.0.1");
  const RuleId first = add(cgroup("/app"), refusing("drop 10.0.0.2"));
  const RuleId second = add(cgroup("/app"), refusing("reject 10.0.0.3"));
  const RuleId third = add(only(unit("x.service")), refusing("drop any"), "policy");
  EXPECT_EQ(named(), (std::set{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(second),
                               static_cast<std::uint32_t>(third)}));
}

TEST_F(EngineRefusing, GoWithTheirRulesAndLeaveNothing) {
  const RuleId first = add(cgroup("/app"), refusing("drop 10.0.0.2"));
  const RuleId second = add(cgroup("/app"), refusing("drop 10.0.0.3"));
  ASSERT_TRUE(engine.remove({{first}, {}, {}, false}).ok());
  EXPECT_EQ(named(), std::set{static_cast<std::uint32_t>(second)});
  ASSERT_TRUE(engine.remove({{second}, {}, {}, false}).ok());
  EXPECT_EQ(named(), std::set<std::uint32_t>{});
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineRefusing, AreNamedAsLongAsAnybodyMayAskForThem) {
  RuleSpec spec = refusing("drop 10.0.0.2");
  const RuleId former = add(cgroup("/app"), spec);
  spec.action = Action::Reject;
  auto ids = engine.add({cgroup("/app"), {spec}, std::nullopt, /*replace=*/true});
  ASSERT_TRUE(ids.ok());
  EXPECT_NE(ids->front(), former);
  EXPECT_EQ(named(), std::set{static_cast<std::uint32_t>(ids->front())});
}

TEST_F(EngineRefusing, AreSixtyFourInOneSetAtMost) {
  std::vector<RuleSpec> rules;
  for (int i = 1; i <= EGRESS_REFUSING_MAX + 1; ++i) rules.push_back(refusing("drop 10.0.0." + std::to_string(i)));
  auto refused = engine.add({cgroup("/app"), rules, std::nullopt, false});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("65 rules that refuse packet sockets"), std::string::npos);
  EXPECT_EQ(named().size(), 0u);
  rules.pop_back();
  EXPECT_TRUE(engine.add({cgroup("/app"), rules, std::nullopt, false}).ok());
  EXPECT_EQ(named().size(), 64u);
}

TEST_F(EngineRefusing, AreNotSaidOfRulesThatLetPass) {
  for (const char* text : {"allow 10.0.0.1", "audit 10.0.0.1"}) {
    auto refused = engine.add({cgroup("/app"), {refusing(text)}, std::nullopt, false});
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().kind, ErrorKind::Usage);
  }
}

TEST_F(EngineRefusing, ComeBackWithAPolicyThatIsApplied) {
  Policy policy;
  policy.name = "p";
  policy.subjects = {cgroup("/app")};
  policy.default_deny = policy.no_packet_sockets = true;
  ASSERT_TRUE(engine.apply(policy, {}).ok());
  ASSERT_EQ(named().size(), 1u);
  auto told = engine.policies();
  ASSERT_TRUE(told.ok());
  ASSERT_EQ(told->size(), 1u);
  EXPECT_TRUE(told->front().no_packet_sockets);
  EXPECT_TRUE(told->front().default_deny);
  EXPECT_TRUE(told->front().rules.empty());
  auto same = engine.diff(policy);
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(same->added.empty() && same->removed.empty());
  Policy without = policy;
  without.no_packet_sockets = false;
  auto other = engine.diff(without);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->added.size(), 1u);
}

}  // namespace
}  // namespace egress
