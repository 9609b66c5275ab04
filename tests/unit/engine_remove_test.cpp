// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <bit>

#include "engine/index.hpp"
#include "support/engine_lab.hpp"

namespace egress {
namespace {

using namespace test;

struct EngineRemove : ::testing::Test, EngineLab {
  EngineRemove() { app = world.mkdir_unbound("/app"); }

  CgroupId app;

  std::vector<RuleId> removed(const Selection& selection) {
    auto rules = engine.remove(selection);
    EXPECT_TRUE(rules.ok()) << (rules ? "" : rules.error().message());
    std::vector<RuleId> ids;
    if (!rules) return ids;
    for (const Rule& gone : *rules) ids.push_back(gone.id);
    return ids;
  }
};

TEST_F(EngineRemove, LetsPacketsPassAgain) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(removed({{id}, {}, {}, false}), std::vector{id});
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
}

TEST_F(EngineRemove, LeavesNothingInAnyMap) {
  RuleSpec spec = rule("drop 10.0.0.1:5-9/udp");
  spec.reason = "why";
  const RuleId first = add(cgroup("/app"), spec, "policy");
  const RuleId second = add(unit("x.service"), "audit any:53");
  const RuleId third = add(cgroup_id(app), "allow [2001:db8::1]:443");
  const RuleId fourth = add(cgroup("/"), "drop any");
  removed({{first, second, third, fourth}, {}, {}, false});
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineRemove, TellsWhatItTook) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  tables.counters[EGRESS_COUNTER_RULE | 1] = {7, 8, 9};
  auto rules = engine.remove({{id}, {}, {}, false});
  ASSERT_TRUE(rules.ok());
  EXPECT_EQ(rules->front().counts.packets, 7u);
  EXPECT_EQ(rules->front().destination, to("10.0.0.1"));
}

TEST_F(EngineRemove, ChangesNothingIfOneIdIsUnknown) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  auto rules = engine.remove({{id, RuleId{99}}, {}, {}, false});
  ASSERT_FALSE(rules.ok());
  EXPECT_EQ(rules.error().kind, ErrorKind::NotFound);
  EXPECT_NE(rules.error().message().find("99"), std::string::npos);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
}

TEST_F(EngineRemove, DoesNotKnowRulesThatAreOver) {
  const RuleId id = add(cgroup("/app"), rule("drop 10.0.0.1", 1s));
  world.advance(1s);
  EXPECT_FALSE(engine.remove({{id}, {}, {}, false}).ok());
}

TEST_F(EngineRemove, TakesBothScopesOfASubject) {
  add(cgroup("/app"), "drop 10.0.0.1");
  add(only(cgroup("/app")), "drop 10.0.0.1");
  const RuleId other = add(cgroup("/app/child"), "drop 10.0.0.1");
  EXPECT_EQ(removed({{}, cgroup("/app"), {}, false}).size(), 2u);
  EXPECT_TRUE(find(other).has_value());
}

TEST_F(EngineRemove, TakesTheRulesOfOnePolicy) {
  const RuleId named = add(cgroup("/app"), rule("drop 10.0.0.1"), "p");
  const RuleId unnamed = add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(removed({{}, {}, "p", false}), std::vector{named});
  EXPECT_TRUE(find(unnamed).has_value());
}

TEST_F(EngineRemove, TakesWhatSubjectAndPolicyBothName) {
  const RuleId both = add(cgroup("/app"), rule("drop 10.0.0.1"), "p");
  add(cgroup("/app"), rule("drop 10.0.0.1"), "q");
  add(cgroup("/other"), rule("drop 10.0.0.1"), "p");
  EXPECT_EQ(removed({{}, cgroup("/app"), "p", false}), std::vector{both});
}

TEST_F(EngineRemove, SaysThatNothingIsSelected) {
  add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(engine.remove({{}, cgroup("/none"), {}, false}).error().kind, ErrorKind::NotFound);
  EXPECT_EQ(engine.remove({{}, {}, "none", false}).error().kind, ErrorKind::NotFound);
  EXPECT_EQ(engine.remove({}).error().kind, ErrorKind::NotFound);
  EXPECT_EQ(rules().size(), 1u);
}

TEST_F(EngineRemove, TakesASubjectAndLeavesWhatStandsBesideIt) {
  for (int i = 0; i < 12; ++i) add(cgroup("/app"), rule("drop 10.0.0." + std::to_string(i) + ":53/udp"));
  add(cgroup("/app/child"), "drop 10.0.0.3:53/udp");
  add(unit("app"), "reject 10.0.0.4");
  const RuleId over = add(cgroup("/app/child"), rule("drop 10.0.0.5", 1s));
  tables.counters[EGRESS_COUNTER_RULE | 3].packets = 7;
  tables.counters[EGRESS_COUNTER_RULE | 13].packets = 9;
  world.mkdir_unbound("/app/child");
  world.advance(1s);
  EXPECT_EQ(removed({{}, cgroup("/app"), {}, false}).size(), 12u);
  EXPECT_EQ(fate("/app", "10.0.0.3", 53), "pass");
  EXPECT_EQ(fate("/app/child", "10.0.0.4"), "reject");
  EXPECT_EQ(listing(), "13 drop 10.0.0.3:53/udp cgroup /app/child; 14 reject 10.0.0.4 unit app; ");
  EXPECT_FALSE(tables.counters.contains(EGRESS_COUNTER_RULE | 3));
  EXPECT_FALSE(tables.counters.contains(EGRESS_COUNTER_RULE | static_cast<std::uint32_t>(over)));
  EXPECT_EQ(find(RuleId{13})->counts.packets, 9u);
}

TEST_F(EngineRemove, TakesOnePolicyOfASubjectAndLeavesAnAuditBesideIt) {
  add(cgroup("/app"), rule("drop 10.0.0.1"), "p");
  add(cgroup("/app"), rule("drop 10.0.0.2"), "p");
  const RuleId audit = add(cgroup("/app"), rule("audit 10.0.0.1"), "q");
  EXPECT_EQ(removed({{}, cgroup("/app"), "p", false}).size(), 2u);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
  const auto judged = judge_by_maps(tables, world, "/app", tcp_to("10.0.0.1", 1));
  EXPECT_EQ(judged.audits, std::vector{audit});
  EXPECT_EQ(removed({{}, {}, {}, true}), std::vector{audit});
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineRemove, TakesAFewRulesOfASubjectOutOfMany) {
  const RuleId few = add(cgroup("/b"), "drop 10.0.0.1");
  for (int i = 0; i < 40; ++i) add(cgroup("/app"), rule("drop 10.0.0." + std::to_string(i)));
  EXPECT_EQ(removed({{}, cgroup("/b"), {}, false}), std::vector{few});
  for (int i = 0; i < 40; ++i) EXPECT_EQ(fate("/app", "10.0.0." + std::to_string(i)), "drop");
}

// A walk over a million rules is saved for each of few that go.
TEST(EngineRemoveOfMany, BitsOfFewRulesStayUntilMoreHaveGone) {
  EngineLab lab(4096);  // a thousandth: four
  lab.world.mkdir_unbound("/app");
  const auto bits = [&lab] {
    std::size_t count = 0;
    for (const __u64 word : lab.tables.sieve()) count += static_cast<std::size_t>(std::popcount(word));
    return count;
  };
  const RuleId stays = lab.add(cgroup("/app"), "drop 10.0.0.1");
  const std::size_t of_one = bits();
  for (int i = 1; i <= 5; ++i) {
    const RuleId goes = lab.add(cgroup("/app"), "drop 10.0." + std::to_string(i) + ".2");
    ASSERT_TRUE(lab.engine.remove({{goes}, {}, {}, false}).ok());
    EXPECT_EQ(lab.fate("/app", "10.0." + std::to_string(i) + ".2"), "pass");
    EXPECT_EQ(lab.tables.control().stale, i < 5 ? static_cast<std::uint32_t>(i) : 0u);
    EXPECT_EQ(bits() > of_one, i < 5);
  }
  EXPECT_EQ(lab.fate("/app", "10.0.0.1"), "drop");
  const RuleId other = lab.add(unit("x.service"), "drop 10.0.0.9");
  ASSERT_TRUE(lab.engine.remove({{other}, {}, {}, false}).ok());
  EXPECT_EQ(lab.tables.control().stale, 1u);
  ASSERT_TRUE(lab.engine.remove({{stays}, {}, {}, false}).ok());
  lab.add(cgroup("/app"), "drop 10.0.0.1");
  ASSERT_TRUE(lab.engine.remove({{}, {}, {}, true}).ok());
  EXPECT_EQ(bits(), 0u);
  EXPECT_EQ(lab.tables.control().stale, 0u);
}

// While no rule rejects, calls are left to the packet hook without a look at the rules.
TEST_F(EngineRemove, TheWordThatARuleRejectsGoesWithTheLastOne) {
  const auto rejects = [this] { return tables.control().rejects != 0; };
  add(cgroup("/app"), "drop 10.0.0.1");
  add(cgroup("/app"), "allow 10.0.0.2");
  EXPECT_FALSE(rejects());
  const RuleId one = add(cgroup("/app"), rule("reject 10.0.0.3"));
  const RuleId two = add(unit("x.service"), rule("reject 10.0.0.3"));
  EXPECT_TRUE(rejects());
  for (const RuleId id : {one, two}) {
    EXPECT_TRUE(rejects());
    EXPECT_EQ(removed({{id}, {}, {}, false}), std::vector{id});
  }
  EXPECT_FALSE(rejects());
  add(cgroup("/app"), rule("reject 10.0.0.3"));
  EXPECT_TRUE(rejects());
  (void)removed({{}, {}, {}, true});
  EXPECT_FALSE(rejects());
}

TEST_F(EngineRemove, TellsOnlyTheIdsOfMoreThanAreWanted) {
  add(cgroup("/app"), "drop 10.0.0.1");
  add(cgroup("/app"), "drop 10.0.0.2");
  write_door(500, app, "10.0.0.3", 0, 60);
  const auto taken = engine.remove({{}, {}, {}, true}, 1);
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken->ids, (std::vector{RuleId{1}, RuleId{2}, RuleId{500}}));
  EXPECT_TRUE(taken->rules.empty());
  EXPECT_EQ(tables.leftovers(), "");
  EXPECT_EQ(tables.drop_configs().size(), 0u);
}

TEST_F(EngineRemove, WaitsForReadersOnceWhereARuleThatStaysLongerChangesNothing) {
  const auto waits = [&](std::initializer_list<const char*> texts) {
    for (const char* text : texts) add(cgroup("/app"), text);
    const int before = world.grace_periods;
    EXPECT_EQ(removed({{}, {}, {}, true}).size(), texts.size());
    EXPECT_EQ(tables.leftovers(), "");
    return world.grace_periods - before;
  };
  EXPECT_EQ(waits({"drop 10.0.0.1", "drop 10.0.0.0/8"}), 1);
  EXPECT_EQ(waits({"reject 10.0.0.1", "reject any"}), 1);
  EXPECT_EQ(waits({"allow 10.0.0.1", "drop any"}), 2) << "one without the other";
  EXPECT_EQ(waits({"reject 10.0.0.1", "drop any"}), 2) << "dropped is not rejected";
  EXPECT_EQ(waits({"audit 10.0.0.1"}), 2);
}

/// At each write: a packet that read the epoch before decides as before or as after, until it was waited for.
/// Several exceptions: whichever place of the index their general rule has, some are taken out before it.
TEST_F(EngineRemove, LeavesNoThirdStateToPacketsOfTheFormerEpoch) {
  const auto fates = [](EngineLab& lab) {
    std::vector<std::string> met;
    for (int i = 0; i <= 8; ++i) met.push_back(lab.fate("/app", "10.0.0." + std::to_string(i), 53));
    return met;
  };
  for (const char* exception : {"drop", "allow", "reject"}) {
    for (const bool others : {false, true}) {
      bool reached = true;
      for (std::size_t n = 1; reached; ++n) {
        EngineLab lab;
        lab.world.mkdir_unbound("/app");
        lab.add(cgroup("/app"), "drop 10.0.0.0/8");
        for (int i = 1; i <= 8; ++i) lab.add(cgroup("/app"), rule(exception + (" 10.0.0." + std::to_string(i))));
        if (others) lab.add(cgroup("/b"), "drop 10.0.0.1");
        const std::vector<std::string> old = fates(lab);
        const std::uint32_t former = lab.tables.control().epoch;
        const int waits = lab.world.grace_periods;
        reached = false;
        lab.tables.faults.stop_at(n, [&] {
          reached = true;
          if (lab.world.grace_periods != waits) return;
          const std::uint32_t epoch = std::exchange(lab.tables.control().epoch, former);
          const std::vector<std::string> met = fates(lab);
          lab.tables.control().epoch = epoch;
          for (std::size_t i = 0; i < met.size(); ++i) {
            EXPECT_TRUE(met[i] == old[i] || met[i] == "pass") << exception << ", write " << n << ": " << met[i];
          }
        });
        ASSERT_TRUE(lab.engine.remove({{}, cgroup("/app"), {}, false}, 0).ok());
      }
    }
  }
}

TEST_F(EngineRemove, TellsIdsInTheirOrderWhereverTheyStand) {
  EngineLab lab(8);  // places are given out again from the first on
  lab.world.mkdir("/app");
  for (int i = 0; i < 5; ++i) lab.add(cgroup("/app"), rule("drop 10.0.0." + std::to_string(i)));
  ASSERT_TRUE(lab.engine.remove({{}, {}, {}, true}, 0).ok());
  for (int i = 0; i < 6; ++i) lab.add(cgroup("/app"), rule("drop 10.0.0." + std::to_string(i)));
  const auto taken = lab.engine.remove({{}, {}, {}, true}, 0);
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken->ids, (std::vector{RuleId{6}, RuleId{7}, RuleId{8}, RuleId{9}, RuleId{10}, RuleId{11}}));
}

/// What a trial took comes back unless it is confirmed, whatever is removed meanwhile.
TEST_F(EngineRemove, LeavesWhatATrialMayBringBack) {
  ASSERT_TRUE(engine.apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.3")}), {}).ok());
  ASSERT_TRUE(engine.apply(policy({rule("drop 10.0.0.3")}), {60s}).ok());
  add(cgroup("/app"), "drop 10.0.0.2");
  EXPECT_EQ(engine.remove({{}, {}, {}, true}).error().kind, ErrorKind::Refused);
  EXPECT_EQ(engine.remove({{}, {}, "p", false}, 0).error().kind, ErrorKind::Refused);
  EXPECT_EQ(fate("/app", "10.0.0.3"), "drop");
  world.advance(60s);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  EXPECT_EQ(removed({{}, {}, {}, true}).size(), 3u);
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineRemove, TakesAllRulesOfAllTools) {
  add(cgroup("/app"), "drop 10.0.0.1");
  write_door(500, app, "10.0.0.2", 0, 60);
  EXPECT_EQ(removed({{}, {}, {}, true}).size(), 2u);
  EXPECT_EQ(tables.leftovers(), "");
  EXPECT_EQ(tables.drop_configs().size(), 0u);
  EXPECT_EQ(tables.cgroup_rules().size(), 0u);
}

TEST_F(EngineRemove, IsContentWithAnEmptyTableWhenAllAreMeant) { EXPECT_TRUE(removed({{}, {}, {}, true}).empty()); }

TEST_F(EngineRemove, TakesARuleOfAnotherTool) {
  write_door(500, app, "10.0.0.2", 0x1234, 60);
  tables.counters[EGRESS_COUNTER_DOOR | 500] = {1, 2, 3};
  EXPECT_EQ(fate("/app", "10.0.0.2"), "drop");
  auto rules = engine.remove({{RuleId{500}}, {}, {}, false});
  ASSERT_TRUE(rules.ok());
  EXPECT_EQ(rules->front().origin, Rule::Origin::Map);
  EXPECT_EQ(rules->front().counts, (Counts{1, 2, 3}));
  EXPECT_EQ(fate("/app", "10.0.0.2"), "pass");
  EXPECT_TRUE(tables.counters.empty());
}

TEST_F(EngineRemove, TellsARuleOfAnotherToolFromOurOwnOfTheSameId) {
  const RuleId own = add(cgroup("/app"), "drop 10.0.0.1");
  write_door(1, app, "10.0.0.2", 0, 60);
  const RuleId listed{0x80000001u};
  ASSERT_TRUE(find(listed).has_value());
  EXPECT_EQ(removed({{own}, {}, {}, false}), std::vector{own});
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
  EXPECT_EQ(fate("/app", "10.0.0.2"), "drop");
  EXPECT_EQ(listing().substr(0, 2), "1 ") << "the id is free again: it is told as it is";
}

TEST_F(EngineRemove, RemovesTheAliasOfAnotherToolsRule) {
  add(cgroup("/app"), "drop 10.0.0.1");
  write_door(1, app, "10.0.0.2", 0, 60);
  removed({{RuleId{0x80000001u}}, {}, {}, false});
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/app", "10.0.0.2"), "pass");
}

TEST_F(EngineRemove, ProbesForAnAliasThatNobodyHas) {
  add(cgroup("/app"), "drop 10.0.0.1");
  write_door(0x80000001u, world.mkdir("/b"), "10.0.0.3", 0, 60);
  write_door(1, app, "10.0.0.2", 0, 60);
  EXPECT_TRUE(find(RuleId{0x80000001u}).has_value());
  ASSERT_TRUE(find(RuleId{0x80000002u}).has_value());
  EXPECT_EQ(find(RuleId{0x80000002u})->destination, to("10.0.0.2"));
}

TEST_F(EngineRemove, DoesNotListHalfWrittenOverOrCanaryEntries) {
  write_door(7, app, "10.0.0.2", 0, 60);
  tables.cgroup_rules().set(static_cast<std::uint64_t>(app), 8);
  EXPECT_EQ(listing(), "");
  write_door(7, app, "10.0.0.2", 0, 0);
  EXPECT_EQ(listing(), "");
  write_door(7, app, "0.0.0.0", 0, 60);
  EXPECT_EQ(listing(), "");
  write_door(7, app, "10.0.0.2", 0, 60);
  auto config = **tables.drop_configs().get(7);
  config.flags = DROP_CONFIG_CANARY;
  tables.drop_configs().set(7, config);
  EXPECT_EQ(listing(), "");
  config.flags = 0;
  tables.drop_configs().set(7, config);
  EXPECT_NE(listing(), "");
  world.advance(60s);
  EXPECT_EQ(listing(), "");
}

TEST_F(EngineRemove, PutsAnotherToolsRuleBackIfItsOwnChangeFails) {
  const RuleId own = add(cgroup("/app"), "drop 10.0.0.1");
  write_door(500, app, "10.0.0.2", 0, 60);
  tables.faults.fail_at(2);
  EXPECT_FALSE(engine.remove({{own, RuleId{500}}, {}, {}, false}).ok());
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/app", "10.0.0.2"), "drop");
}

TEST_F(EngineRemove, KeepsARuleOfTheSameIdThatReplacedTheName) {
  write_door(500, app, "10.0.0.2", 0, 60);
  write_door(501, world.mkdir("/b"), "10.0.0.3", 0, 60);
  removed({{RuleId{500}}, {}, {}, false});
  EXPECT_EQ(fate("/b", "10.0.0.3"), "drop");
}

TEST_F(EngineRemove, KeepsRulesOfASharedChain) {
  const RuleId narrow = add(cgroup("/app"), "drop 10.0.0.1:100-110");
  const RuleId wide = add(cgroup("/app"), "reject 10.0.0.1:90-120");
  const RuleId widest = add(cgroup("/app"), "drop 10.0.0.1:1-1000");
  removed({{wide}, {}, {}, false});
  EXPECT_EQ(fate("/app", "10.0.0.1", 105), "drop");
  EXPECT_EQ(fate("/app", "10.0.0.1", 95), "drop");
  removed({{narrow}, {}, {}, false});
  EXPECT_EQ(fate("/app", "10.0.0.1", 105), "drop");
  removed({{widest}, {}, {}, false});
  EXPECT_EQ(fate("/app", "10.0.0.1", 105), "pass");
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineRemove, WaitsForReadersBeforeARecordIsFree) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  // What a packet that came before finds: linked, then only the record, and later nothing.
  std::vector<std::string> seen;
  world.while_readers_finish = [&] {
    const egress_rule& rule = tables.rules()[static_cast<std::uint32_t>(id)];
    if (rule.id != static_cast<std::uint32_t>(id)) return;
    seen.push_back(chain_head(tables, rule, EGRESS_CHAIN_PLAIN) == rule.id ? "linked record" : "unlinked record");
  };
  removed({{id}, {}, {}, false});
  ASSERT_GE(seen.size(), 2u);
  EXPECT_EQ(seen[0], "linked record");
  EXPECT_EQ(seen[1], "unlinked record");
}

TEST_F(EngineRemove, DoesNotWaitForReadersWhenNothingGoes) {
  add(cgroup("/app"), "drop 10.0.0.1");
  add(cgroup("/app"), "drop 10.0.0.2");
  EXPECT_EQ(world.grace_periods, 0);
}

// ---- extend ----

TEST_F(EngineRemove, ExtendMovesTheDeadline) {
  const RuleId id = add(cgroup("/app"), rule("drop 10.0.0.1", 10s));
  world.advance(9s);
  auto extended = engine.extend(id, 20s);
  ASSERT_TRUE(extended.ok());
  EXPECT_EQ(extended->expires_at, BootTime{world.now()->since_boot + 20s});
  world.advance(19s);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  world.advance(1s);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
}

TEST_F(EngineRemove, ExtendMayShortenAndMayBeForever) {
  const RuleId id = add(cgroup("/app"), rule("drop 10.0.0.1", 1h));
  ASSERT_TRUE(engine.extend(id, 5s).ok());
  EXPECT_EQ(tables.control().next_deadline, static_cast<std::uint64_t>((world.now()->since_boot + 5s).count()));
  Flow malformed = tcp_to("10.0.0.1", 1);
  malformed.malformed = true;
  ASSERT_TRUE(engine.extend(id, std::nullopt).ok());
  EXPECT_FALSE(find(id)->expires_at.has_value());
  ASSERT_TRUE(engine.extend(id, 5s).ok());
  world.advance(5s);
  EXPECT_EQ(fate("/app", malformed), "pass");
}

TEST_F(EngineRemove, ExtendKeepsIdAndCounts) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  tables.counters[EGRESS_COUNTER_RULE | 1] = {7, 8, 9};
  ASSERT_TRUE(engine.extend(id, 5s).ok());
  EXPECT_EQ(find(id)->counts, (Counts{7, 8, 9}));
}

TEST_F(EngineRemove, ExtendsARuleOfAnotherTool) {
  write_door(500, app, "10.0.0.2", 0x1234, 10);
  world.advance(9s);
  auto extended = engine.extend(RuleId{500}, 1500ms);
  ASSERT_TRUE(extended.ok());
  const auto config = **tables.drop_configs().get(500);
  EXPECT_EQ(config.ttl, 2u) << "whole seconds, rounded up";
  EXPECT_EQ(config.created_at, static_cast<std::uint64_t>(world.now()->since_boot.count()));
  EXPECT_EQ(config.dst_port, 0x1234);
  ASSERT_TRUE(engine.extend(RuleId{500}, std::nullopt).ok());
  EXPECT_EQ((*tables.drop_configs().get(500))->ttl, DROP_CONFIG_NO_END);
}

TEST_F(EngineRemove, ExtendRefusesUnknownIdsAndBadLifetimes) {
  EXPECT_EQ(engine.extend(RuleId{9}, 5s).error().kind, ErrorKind::NotFound);
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(engine.extend(id, 0s).error().kind, ErrorKind::Usage);
  EXPECT_EQ(engine.extend(id, longest_lifetime + 1s).error().kind, ErrorKind::Usage);
}

}  // namespace
}  // namespace egress
