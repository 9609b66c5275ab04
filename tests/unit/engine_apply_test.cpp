// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include "support/engine_lab.hpp"

namespace egress {
namespace {

using namespace test;

struct EngineApply : ::testing::Test, EngineLab {
  EngineApply() { world.mkdir_unbound("/app"); }

  PolicyDiff apply(const Policy& wanted, ApplyOptions options = {}) {
    auto diff = engine.apply(wanted, options);
    EXPECT_TRUE(diff.ok()) << (diff ? "" : diff.error().message());
    return diff ? *diff : PolicyDiff{};
  }
  std::string fate1() { return fate("/app", "10.0.0.1"); }
  std::string fate2() { return fate("/app", "10.0.0.2"); }
};

TEST_F(EngineApply, GivesEverySubjectEveryRule) {
  const auto diff = apply(policy({rule("drop 10.0.0.1"), rule("reject 10.0.0.2")}, {cgroup("/app"), unit("x")}));
  EXPECT_EQ(diff.added.size(), 4u);
  world.mkdir("/slice/x");
  EXPECT_EQ(fate1(), "drop");
  EXPECT_EQ(fate("/slice/x", "10.0.0.2"), "reject");
  for (const auto& entry : diff.added) EXPECT_TRUE(find(*entry.id).has_value());
}

TEST_F(EngineApply, RemovesWhatThePolicyNoLongerSays) {
  apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}));
  const auto diff = apply(policy({rule("drop 10.0.0.2")}));
  EXPECT_EQ(diff.removed.size(), 1u);
  EXPECT_EQ(diff.removed[0].rule.destination, to("10.0.0.1"));
  EXPECT_EQ(diff.kept.size(), 1u);
  EXPECT_EQ(fate1(), "pass");
  EXPECT_EQ(fate2(), "drop");
}

TEST_F(EngineApply, RemovesSubjectsThatAreNoLongerNamed) {
  apply(policy({rule("drop 10.0.0.1")}, {cgroup("/app"), cgroup("/b")}));
  apply(policy({rule("drop 10.0.0.1")}, {cgroup("/b")}));
  EXPECT_EQ(fate1(), "pass");
  EXPECT_EQ(rules().size(), 1u);
}

TEST_F(EngineApply, KeepsIdAndCountsOfARuleThatStays) {
  const RuleId id = *apply(policy({rule("drop 10.0.0.1")})).added[0].id;
  tables.counters[EGRESS_COUNTER_RULE | static_cast<std::uint32_t>(id)] = {7, 8, 9};
  const auto diff = apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}));
  ASSERT_EQ(diff.kept.size(), 1u);
  EXPECT_EQ(diff.kept[0].id, id);
  EXPECT_EQ(find(id)->counts, (Counts{7, 8, 9}));
}

TEST_F(EngineApply, StartsTheLifetimeOfARuleThatStaysAnew) {
  const RuleId id = *apply(policy({rule("drop 10.0.0.1", 10s)})).added[0].id;
  world.advance(8s);
  apply(policy({rule("drop 10.0.0.1", 10s)}));
  EXPECT_EQ(find(id)->expires_at, BootTime{world.now()->since_boot + 10s});
  apply(policy({rule("drop 10.0.0.1", 3s)}));
  EXPECT_EQ(find(id)->expires_at, BootTime{world.now()->since_boot + 3s});
  EXPECT_LE(tables.control().next_deadline, static_cast<std::uint64_t>((world.now()->since_boot + 3s).count()));
}

TEST_F(EngineApply, ReplacesARuleWhoseActionOrFlagsChange) {
  const RuleId id = *apply(policy({rule("drop 10.0.0.1")})).added[0].id;
  auto diff = apply(policy({rule("reject 10.0.0.1")}));
  EXPECT_EQ(diff.added.size(), 1u);
  EXPECT_EQ(diff.removed.size(), 1u);
  EXPECT_FALSE(find(id).has_value());
  EXPECT_EQ(fate1(), "reject");
  RuleSpec with_nd = rule("reject 10.0.0.1");
  with_nd.include_nd = true;
  EXPECT_EQ(apply(policy({with_nd})).added.size(), 1u);
}

TEST_F(EngineApply, WritesTheNewReasonOfARuleThatStays) {
  RuleSpec spec = rule("drop 10.0.0.1");
  spec.reason = "old";
  const RuleId id = *apply(policy({spec})).added[0].id;
  spec.reason = "new";
  apply(policy({spec}));
  EXPECT_EQ(find(id)->reason, "new");
  spec.reason.clear();
  apply(policy({spec}));
  EXPECT_EQ(find(id)->reason, "");
  EXPECT_EQ(tables.reasons().size(), 0u);
}

TEST_F(EngineApply, LeavesOtherPoliciesAlone) {
  add(cgroup("/app"), rule("drop 10.0.0.1"), "q");
  add(cgroup("/app"), "drop 10.0.0.2");
  apply(policy({rule("drop 10.0.0.3")}));
  apply(policy({}));
  EXPECT_EQ(rules().size(), 2u);
}

TEST_F(EngineApply, ShowsOldOrNewAndNeverAMixture) {
  apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}));
  world.while_readers_finish = [&] { EXPECT_EQ(fate1() + fate2() + fate("/app", "10.0.0.3"), "passrejectdrop"); };
  apply(policy({rule("reject 10.0.0.2"), rule("drop 10.0.0.3")}));
  EXPECT_EQ(fate1() + fate2() + fate("/app", "10.0.0.3"), "passrejectdrop");
}

TEST_F(EngineApply, DenyByDefaultLeavesLoopbackOpen) {
  Policy deny = policy({rule("allow 10.0.0.1:443/tcp")});
  deny.default_deny = true;
  apply(deny);
  EXPECT_EQ(fate("/app", "10.0.0.1", 443), "pass");
  EXPECT_EQ(fate("/app", "10.0.0.1", 444), "drop");
  EXPECT_EQ(fate("/app", "2001:db8::1", 443), "drop");
  EXPECT_EQ(fate("/app", "127.0.0.1", 444), "pass");
  EXPECT_EQ(fate("/app", "::1", 444), "pass");
  EXPECT_TRUE(apply(deny).added.empty()) << "applied again it stays as it is";
}

TEST_F(EngineApply, RefusesPoliciesThatCannotBe) {
  EXPECT_EQ(engine.apply(policy({rule("drop 10.0.0.1")}, {cgroup("/a")}, ""), {}).error().kind, ErrorKind::Usage);
  EXPECT_EQ(engine.apply(policy({rule("drop 10.0.0.1")}, {}), {}).error().kind, ErrorKind::Usage);
  EXPECT_EQ(engine.apply(policy({rule("drop 10.0.0.1"), rule("allow 10.0.0.1")}), {}).error().kind, ErrorKind::Usage);
  EXPECT_EQ(engine.apply(policy({rule("drop 10.0.0.1")}, {cgroup("/a"), cgroup("/a")}), {}).error().kind,
            ErrorKind::Usage);
  EXPECT_EQ(engine.apply(policy({rule("drop 10.0.0.1")}, {cgroup_id(CgroupId{4711})}), {}).error().kind,
            ErrorKind::NotFound);
  EXPECT_EQ(rules().size(), 0u);
}

TEST_F(EngineApply, DiffTellsWhatApplyWouldDoAndDoesNothing) {
  apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}));
  const std::uint32_t epoch = tables.control().epoch;
  auto diff = engine.diff(policy({rule("drop 10.0.0.2"), rule("drop 10.0.0.3")}));
  ASSERT_TRUE(diff.ok());
  EXPECT_EQ(diff->added.size(), 1u);
  EXPECT_FALSE(diff->added[0].id.has_value());
  EXPECT_EQ(diff->removed.size(), 1u);
  EXPECT_EQ(diff->kept.size(), 1u);
  EXPECT_EQ(tables.control().epoch, epoch);
}

// ---- on trial ----

struct EngineTrial : EngineApply {
  EngineTrial() { apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.3")})); }

  PolicyDiff start(std::chrono::nanoseconds within = 60s) {
    return apply(policy({rule("drop 10.0.0.2"), rule("drop 10.0.0.3", 10h)}), {within});
  }
  std::string fates() { return fate1() + " " + fate2() + " " + fate("/app", "10.0.0.3"); }
};

TEST_F(EngineTrial, IsInForceAtOnce) {
  start();
  EXPECT_EQ(fates(), "pass drop drop");
  EXPECT_EQ(rules().size(), 2u);
}

TEST_F(EngineTrial, TakesItselfBackWithoutAnyProcess) {
  const std::string before = listing();
  start();
  world.advance(60s);
  EXPECT_EQ(fates(), "drop pass drop");
  EXPECT_EQ(listing(), before);
}

TEST_F(EngineTrial, TakesDeadlinesBackToo) {
  const auto before = rules();
  start();
  world.advance(60s);
  ASSERT_EQ(rules().size(), 2u);
  EXPECT_EQ(rules()[1].id, before[1].id);
  EXPECT_EQ(rules()[1].expires_at, before[1].expires_at);
}

TEST_F(EngineTrial, StaysWhenConfirmed) {
  start();
  ASSERT_TRUE(engine.confirm().ok());
  world.advance(61s);
  EXPECT_EQ(fates(), "pass drop drop");
  EXPECT_EQ(rules().size(), 2u);
  for (const egress_rule& record : tables.rules()) {
    EXPECT_EQ(record.id != 0 ? record.flags & (EGRESS_RULE_TRIAL_NEW | EGRESS_RULE_TRIAL_OLD) : 0, 0);
  }
  EXPECT_EQ(tables.control().trial_deadline, EGRESS_FOREVER);
}

TEST_F(EngineTrial, IsSettledByTheNextWriter) {
  start();
  world.advance(60s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(fates(), "drop pass drop");
  EXPECT_EQ(tables.control().trial_deadline, EGRESS_FOREVER);
  world.advance(24h * 365);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineTrial, CannotBeConfirmedTooLateOrTwice) {
  EXPECT_EQ(engine.confirm().error().kind, ErrorKind::NotFound);
  start();
  ASSERT_TRUE(engine.confirm().ok());
  EXPECT_EQ(engine.confirm().error().kind, ErrorKind::NotFound);
  apply(policy({rule("drop 10.0.0.1")}), {60s});
  world.advance(60s);
  EXPECT_EQ(engine.confirm().error().kind, ErrorKind::NotFound);
  EXPECT_EQ(fates(), "pass drop drop");
}

TEST_F(EngineTrial, RefusesASecondTrial) {
  start();
  auto other = engine.apply(policy({rule("drop 10.0.0.9")}, {cgroup("/app")}, "q"), {60s});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().kind, ErrorKind::Refused);
  EXPECT_NE(other.error().remedy.find("egress confirm"), std::string::npos);
  EXPECT_EQ(fate("/app", "10.0.0.9"), "pass");
}

TEST_F(EngineTrial, RefusesChangesOfThePolicyMeanwhile) {
  const auto diff = start();
  const RuleId id = *diff.added[0].id;
  EXPECT_EQ(engine.add({cgroup("/app"), {rule("drop 10.0.0.9")}, "p", false}).error().kind, ErrorKind::Refused);
  EXPECT_EQ(engine.remove({{id}, {}, {}, false}).error().kind, ErrorKind::Refused);
  EXPECT_EQ(engine.extend(id, 5s).error().kind, ErrorKind::Refused);
  EXPECT_EQ(engine.apply(policy({}), {}).error().kind, ErrorKind::Refused);
  EXPECT_EQ(fates(), "pass drop drop");
}

TEST_F(EngineTrial, LetsOtherPoliciesChangeMeanwhile) {
  start();
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.9");
  ASSERT_TRUE(engine.remove({{id}, {}, {}, false}).ok());
  apply(policy({rule("drop 10.0.0.9")}, {cgroup("/app")}, "q"));
  EXPECT_EQ(fates(), "pass drop drop");
  world.advance(60s);
  EXPECT_EQ(fates(), "drop pass drop");
  EXPECT_EQ(fate("/app", "10.0.0.9"), "drop");
}

TEST_F(EngineTrial, TellsTheIdsOfItsRules) {
  const auto diff = start();
  ASSERT_EQ(diff.added.size(), 1u);
  ASSERT_EQ(diff.kept.size(), 1u);
  EXPECT_EQ(find(*diff.added[0].id)->destination, to("10.0.0.2"));
  EXPECT_EQ(find(*diff.kept[0].id)->destination, to("10.0.0.3"));
}

TEST_F(EngineTrial, WakesTheSweepAtItsEnd) {
  start(5s);
  EXPECT_EQ(tables.control().next_deadline, static_cast<std::uint64_t>((world.now()->since_boot + 5s).count()));
}

TEST_F(EngineTrial, LetsRulesOfEitherSideEndMeanwhile) {
  apply(policy({rule("drop 10.0.0.1", 10s)}));
  apply(policy({rule("drop 10.0.0.2", 20s)}), {60s});
  world.advance(20s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(fates(), "pass pass pass");
  EXPECT_EQ(tables.leftovers(), "");
}

// ---- policies ----

struct EnginePolicies : EngineApply {
  EnginePolicies() { world.mkdir_unbound("/b"); }

  std::vector<Policy> policies() {
    auto found = engine.policies();
    EXPECT_TRUE(found.ok());
    return found ? *found : std::vector<Policy>{};
  }
  /// What an empty instance has after they were applied.
  void expect_same_elsewhere() {
    EngineLab other;
    other.world.mkdir_unbound("/app");
    other.world.mkdir_unbound("/b");
    for (const Policy& found : policies()) ASSERT_TRUE(other.engine.apply(found, {}).ok()) << found.name;
    for (const char* path : {"/app", "/b", "/"}) {
      for (const char* address : {"10.0.0.1", "10.0.0.2", "127.0.0.1", "::1", "2001:db8::1"}) {
        EXPECT_EQ(other.fate(path, address), fate(path, address)) << path << " " << address;
      }
    }
    EXPECT_EQ(other.rules().size(), rules().size());
  }
};

TEST_F(EnginePolicies, TellAPolicyAsItWasApplied) {
  Policy wanted = policy({rule("drop 10.0.0.1", 10s), rule("allow 10.0.0.2", 10s)}, {cgroup("/app"), unit("x")});
  wanted.lifetime = 10s;
  apply(wanted);
  ASSERT_EQ(policies().size(), 1u);
  EXPECT_EQ(policies()[0], wanted);
}

TEST_F(EnginePolicies, TellDenyByDefault) {
  Policy wanted = policy({rule("allow 10.0.0.1")});
  wanted.default_deny = true;
  apply(wanted);
  ASSERT_EQ(policies().size(), 1u);
  EXPECT_EQ(policies()[0], wanted);
  expect_same_elsewhere();
  wanted.loopback = false;
  apply(wanted);
  EXPECT_EQ(policies()[0], wanted);
  expect_same_elsewhere();
}

TEST_F(EnginePolicies, TellSubjectsThatDifferAsSeveral) {
  add(cgroup("/app"), rule("drop 10.0.0.1"), "p");
  add(cgroup("/b"), rule("drop 10.0.0.2"), "p");
  add(cgroup("/c"), rule("drop 10.0.0.2"), "p-2");
  std::vector<std::string> names;
  for (const Policy& found : policies()) names.push_back(found.name);
  EXPECT_EQ(names, (std::vector<std::string>{"p", "p-3", "p-2"}));
  expect_same_elsewhere();
}

TEST_F(EnginePolicies, NameTheRulesOfNoPolicy) {
  add(cgroup("/app"), "drop 10.0.0.1");
  add(cgroup("/b"), rule("drop 10.0.0.2"), "unnamed");
  std::vector<std::string> names;
  for (const Policy& found : policies()) names.push_back(found.name);
  EXPECT_EQ(names, (std::vector<std::string>{"unnamed-2", "unnamed"}));
  expect_same_elsewhere();
}

TEST_F(EnginePolicies, TellWhatIsLeftOfALifetime) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 10s));
  world.advance(3500ms);
  EXPECT_EQ(policies()[0].rules[0].lifetime, Lifetime(7s));
  EXPECT_EQ(policies()[0].lifetime, Lifetime(7s));
}

TEST_F(EnginePolicies, LeaveOutRulesOfOtherTools) {
  write_door(5, *world.cgroup_at("/app"), "10.0.0.1", 0, 60);
  EXPECT_TRUE(policies().empty());
}

TEST_F(EnginePolicies, SurviveAChangedDefault) {
  Policy wanted = policy({rule("allow 10.0.0.1")});
  wanted.default_deny = true;
  const auto diff = apply(wanted);
  for (const auto& entry : diff.added) {
    if (!entry.rule.is_loopback) continue;
    ASSERT_TRUE(engine.extend(*entry.id, 5s).ok());
  }
  expect_same_elsewhere();
}

}  // namespace
}  // namespace egress
