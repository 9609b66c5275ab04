// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include "support/engine_lab.hpp"

namespace egress {
namespace {

using namespace test;

struct Explain : ::testing::Test, EngineLab {
  Explain() { app = world.mkdir_unbound("/s/app"); }

  CgroupId app;

  Explanation explain(const Subject& subject, std::string_view destination) {
    auto found = engine.explain(subject, to(destination));
    EXPECT_TRUE(found.ok()) << (found ? "" : found.error().message());
    return found ? *found : Explanation{};
  }
};

TEST_F(Explain, TellsThatNoRuleMatches) {
  const auto found = explain(cgroup("/s/app"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Pass);
  EXPECT_FALSE(found.rule.has_value());
  ASSERT_EQ(found.path.size(), 3u);
  EXPECT_EQ(found.path[0].cgroup, "/s/app");
  EXPECT_EQ(found.path[1].cgroup, "/s");
  EXPECT_EQ(found.path[2].cgroup, "/");
}

TEST_F(Explain, NamesTheRuleThatDecidesAndWhere) {
  add(cgroup("/s/app"), "allow 10.0.0.1");
  const RuleId id = add(cgroup("/s"), "reject 10.0.0.0/8");
  add(cgroup("/"), "drop any");
  const auto found = explain(cgroup("/s/app"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Reject);
  ASSERT_TRUE(found.rule.has_value());
  EXPECT_EQ(found.rule->id, id);
  EXPECT_EQ(found.rule->subject, cgroup("/s"));
  EXPECT_EQ(found.path[0].rules_seen, 1u);
  EXPECT_EQ(found.path[0].verdict, Explanation::Verdict::Pass);
  EXPECT_EQ(found.path[1].verdict, Explanation::Verdict::Reject);
  EXPECT_EQ(found.path[2].verdict, Explanation::Verdict::Drop);
}

TEST_F(Explain, CountsAuditRules) {
  const RuleId id = add(cgroup("/s/app"), "audit any:53/udp");
  const auto found = explain(cgroup("/s/app"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Pass);
  EXPECT_EQ(found.audit, std::vector{id});
}

TEST_F(Explain, JudgesACgroupThatDoesNotExistYet) {
  add(cgroup("/later"), "drop 10.0.0.1");
  EXPECT_EQ(explain(cgroup("/later/child"), "10.0.0.1:53/udp").verdict, Explanation::Verdict::Drop);
}

TEST_F(Explain, JudgesAUnitWhereItIs) {
  add(cgroup("/s"), "drop 10.0.0.1");
  const auto found = explain(unit("app"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(found.path[0].cgroup, "/s/app");
}

TEST_F(Explain, JudgesAUnitThatDoesNotExistAsOneBelowTheRoot) {
  add(unit("x.service"), "drop 10.0.0.1");
  const auto found = explain(unit("x.service"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(found.path[0].cgroup, "/x.service");
}

TEST_F(Explain, JudgesById) {
  add(cgroup_id(app), "drop 10.0.0.1");
  EXPECT_EQ(explain(cgroup_id(app), "10.0.0.1:53/udp").verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(explain(cgroup("/s/app"), "10.0.0.1:53/udp").verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(engine.explain(cgroup_id(CgroupId{4711}), to("10.0.0.1")).error().kind, ErrorKind::NotFound);
}

TEST_F(Explain, LeavesOnlyRulesToTheirCgroup) {
  add(only(cgroup("/s")), "drop 10.0.0.1");
  EXPECT_EQ(explain(cgroup("/s"), "10.0.0.1:53/udp").verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(explain(cgroup("/s/app"), "10.0.0.1:53/udp").verdict, Explanation::Verdict::Pass);
}

TEST_F(Explain, KnowsRulesOfOtherTools) {
  write_door(77, app, "10.0.0.1", 53, 60);
  const auto found = explain(cgroup("/s/app"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Drop);
  ASSERT_TRUE(found.rule.has_value());
  EXPECT_EQ(found.rule->origin, Rule::Origin::Map);
  EXPECT_EQ(found.rule->id, RuleId{77});
  EXPECT_EQ(found.path[0].rules_seen, 1u);
}

TEST_F(Explain, JudgesAllOwnRulesBeforeThoseOfOtherTools) {
  write_door(77, app, "10.0.0.1", 0, 60);
  const RuleId id = add(cgroup("/"), "reject 10.0.0.1");
  const auto found = explain(cgroup("/s/app"), "10.0.0.1:53/udp");
  EXPECT_EQ(found.verdict, Explanation::Verdict::Reject);
  EXPECT_EQ(found.rule->id, id);
}

TEST_F(Explain, RefusesADestinationThatIsNotOneAddress) {
  EXPECT_EQ(engine.explain(cgroup("/s"), to("10.0.0.0/8")).error().kind, ErrorKind::Usage);
  EXPECT_EQ(engine.explain(cgroup("/s"), to("any:53")).error().kind, ErrorKind::Usage);
}

TEST_F(Explain, ReadsIcmpByFamily) {
  add(cgroup("/s"), "drop any/icmp");
  EXPECT_EQ(explain(cgroup("/s"), "10.0.0.1/icmp").verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(explain(cgroup("/s"), "2001:db8::1/icmp").verdict, Explanation::Verdict::Drop);
  EXPECT_EQ(explain(cgroup("/s"), "2001:db8::1/tcp").verdict, Explanation::Verdict::Pass);
}

TEST_F(Explain, ForgetsRulesThatAreOver) {
  add(cgroup("/s"), test::rule("drop 10.0.0.1", 5s));
  world.advance(5s);
  EXPECT_EQ(explain(cgroup("/s"), "10.0.0.1:53/udp").verdict, Explanation::Verdict::Pass);
}

}  // namespace
}  // namespace egress
