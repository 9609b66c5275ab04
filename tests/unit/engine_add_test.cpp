// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <random>

#include "core/encode.hpp"
#include "engine/snapshot.hpp"
#include "support/engine_lab.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

using namespace test;

struct EngineAdd : ::testing::Test, EngineLab {
  EngineAdd() { world.mkdir_unbound("/app"); }
};

TEST_F(EngineAdd, DropsWhatTheRuleNamesAndNothingBesideIt) {
  add(cgroup("/app"), "drop 203.0.113.7:4660/tcp");
  EXPECT_EQ(fate("/app", "203.0.113.7", 4660), "drop");
  EXPECT_EQ(fate("/app", "203.0.113.7", 4661), "pass");
  EXPECT_EQ(fate("/app", "203.0.113.6", 4660), "pass");
  EXPECT_EQ(fate("/", "203.0.113.7", 4660), "pass");
}

TEST_F(EngineAdd, GivesIdsInTheOrderOfTheRules) {
  auto ids = engine.add({cgroup("/app"), {rule("drop 10.0.0.2"), rule("drop 10.0.0.1")}, {}, false});
  ASSERT_TRUE(ids.ok());
  ASSERT_EQ(ids->size(), 2u);
  EXPECT_EQ(find((*ids)[0])->destination, to("10.0.0.2"));
  EXPECT_EQ(find((*ids)[1])->destination, to("10.0.0.1"));
}

TEST_F(EngineAdd, NeverGivesAnIdTwice) {
  const RuleId first = add(cgroup("/app"), "drop 10.0.0.1");
  ASSERT_TRUE(engine.remove({{first}, {}, {}, false}).ok());
  EXPECT_NE(add(cgroup("/app"), "drop 10.0.0.1"), first);
}

TEST_F(EngineAdd, NeverGivesTheIdOfAnotherToolsRule) {
  write_door(1, world.mkdir("/other"), "10.0.0.1", 0, DROP_CONFIG_NO_END);
  EXPECT_EQ(add(cgroup("/app"), "drop 10.0.0.1"), RuleId{2});
}

TEST_F(EngineAdd, SkipsIdsWhosePlaceIsTaken) {
  const RuleId stays = add(cgroup("/app"), "drop 10.0.0.1");
  for (int i = 0; i < 63; ++i) {
    const RuleId goes = add(cgroup("/app"), "drop 10.0.0.2");
    ASSERT_TRUE(engine.remove({{goes}, {}, {}, false}).ok());
  }
  const RuleId next = add(cgroup("/app"), "drop 10.0.0.3");
  EXPECT_EQ(next, RuleId{66}) << "65 stands where 1 stands in a table of 64";
  EXPECT_TRUE(find(stays).has_value());
}

TEST_F(EngineAdd, ListsWhatWasAsked) {
  RuleSpec spec = rule("reject [2001:db8::1]:443/tcp", 90s);
  spec.reason = "IR-4711";
  spec.include_nd = true;
  const RuleId id = add(cgroup("/app"), spec, "contain");
  const auto found = find(id);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->action, Action::Reject);
  EXPECT_EQ(found->subject, cgroup("/app"));
  EXPECT_EQ(found->policy, "contain");
  EXPECT_EQ(found->reason, "IR-4711");
  EXPECT_TRUE(found->include_nd);
  EXPECT_EQ(found->origin, Rule::Origin::Command);
  EXPECT_EQ(found->created_at, *world.now());
  EXPECT_EQ(found->expires_at, BootTime{world.now()->since_boot + 90s});
  EXPECT_EQ(found->cgroups, std::vector{*world.cgroup_at("/app")});
}

TEST_F(EngineAdd, RefusesTheSameDestinationTwice) {
  const RuleId id = add(cgroup("/app"), rule("drop 10.0.0.0/8", 20min));
  auto again = engine.add({cgroup("/app"), {rule("allow 10.0.0.0/8")}, {}, false});
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().kind, ErrorKind::Failed);
  EXPECT_NE(again.error().cause.find("rule exists: id 1, ends in 20m"), std::string::npos) << again.error().message();
  EXPECT_NE(again.error().remedy.find("--replace"), std::string::npos);
  EXPECT_EQ(rules().size(), 1u);
  EXPECT_TRUE(find(id).has_value());
}

TEST_F(EngineAdd, SaysThatTheExistingRuleNeverEnds) {
  add(cgroup("/app"), rule("drop 10.0.0.0/8", std::nullopt));
  auto again = engine.add({cgroup("/app"), {rule("drop 10.0.0.0/8")}, {}, false});
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().cause.find("never ends"), std::string::npos);
}

TEST_F(EngineAdd, TakesTheSameDestinationInAnotherPolicySubjectOrScope) {
  add(cgroup("/app"), "drop 10.0.0.0/8");
  add(cgroup("/app"), rule("drop 10.0.0.0/8"), "other");
  add(only(cgroup("/app")), "drop 10.0.0.0/8");
  add(cgroup("/"), "drop 10.0.0.0/8");
  EXPECT_EQ(rules().size(), 4u);
}

TEST_F(EngineAdd, TakesADestinationThatAnotherToolAlreadyDrops) {
  const CgroupId id = *world.cgroup_at("/app");
  write_door(9, id, "10.0.0.1", 0, DROP_CONFIG_NO_END);
  add(cgroup_id(id), "drop 10.0.0.1");
  EXPECT_EQ(rules().size(), 2u);
}

TEST_F(EngineAdd, TakesADestinationAgainWhenItsRuleIsOver) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 1s));
  world.advance(1s);
  add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(rules().size(), 1u);
}

TEST_F(EngineAdd, ReplacesARuleInOneMoment) {
  const RuleId old = add(cgroup("/app"), "drop 10.0.0.1");
  std::vector<std::string> seen;
  world.while_readers_finish = [&] { seen.push_back(fate("/app", "10.0.0.1")); };
  auto ids = engine.add({cgroup("/app"), {rule("reject 10.0.0.1")}, {}, true});
  ASSERT_TRUE(ids.ok());
  EXPECT_FALSE(find(old).has_value());
  EXPECT_EQ(fate("/app", "10.0.0.1"), "reject");
  ASSERT_FALSE(seen.empty());
  for (const std::string& verdict : seen) EXPECT_EQ(verdict, "reject");
}

TEST_F(EngineAdd, AddsAllOrNothing) {
  add(cgroup("/app"), "drop 10.0.0.2");
  auto ids = engine.add({cgroup("/app"), {rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}, {}, false});
  EXPECT_FALSE(ids.ok());
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
  EXPECT_EQ(rules().size(), 1u);
}

TEST_F(EngineAdd, RefusesADestinationNamedTwiceInOneRequest) {
  auto ids = engine.add({cgroup("/app"), {rule("drop 10.0.0.1"), rule("allow 10.0.0.1")}, {}, true});
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().kind, ErrorKind::Usage);
}

TEST_F(EngineAdd, RefusesLifetimesOutOfBounds) {
  for (const Lifetime lifetime : {Lifetime(0s), Lifetime(-1s), Lifetime(longest_lifetime + 1ns)}) {
    auto ids = engine.add({cgroup("/app"), {rule("drop 10.0.0.1", lifetime)}, {}, false});
    ASSERT_FALSE(ids.ok());
    EXPECT_EQ(ids.error().kind, ErrorKind::Usage);
  }
  EXPECT_TRUE(engine.add({cgroup("/app"), {rule("drop 10.0.0.1", longest_lifetime)}, {}, false}).ok());
}

TEST_F(EngineAdd, RefusesTextsThatDoNotFit) {
  RuleSpec spec = rule("drop 10.0.0.1");
  spec.reason = std::string(256, 'x');
  EXPECT_FALSE(engine.add({cgroup("/app"), {spec}, {}, false}).ok());
  EXPECT_FALSE(engine.add({cgroup("/app"), {rule("drop 10.0.0.1")}, std::string(256, 'x'), false}).ok());
  EXPECT_FALSE(engine.add({cgroup("/app"), {rule("drop 10.0.0.1")}, "", false}).ok());
  spec.reason.pop_back();
  EXPECT_TRUE(engine.add({cgroup("/app"), {spec}, std::string(255, 'x'), false}).ok());
  EXPECT_EQ(rules().front().reason, spec.reason);
  EXPECT_EQ(rules().front().policy, std::string(255, 'x'));
}

TEST_F(EngineAdd, RefusesAnIdThatNoCgroupHas) {
  auto ids = engine.add({cgroup_id(CgroupId{4711}), {rule("drop 10.0.0.1")}, {}, false});
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().kind, ErrorKind::NotFound);
  EXPECT_EQ(ids.error().message(),
            "add rule: id 4711: no such cgroup (rules for future cgroups are made by name: cgroup PATH, unit NAME)");
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineAdd, RefusesAPathDeeperThanTheDatapathLooks) {
  std::string path;
  for (int i = 0; i < 32; ++i) path += "/d";
  EXPECT_FALSE(engine.add({cgroup(path), {rule("drop 10.0.0.1")}, {}, false}).ok());
  EXPECT_TRUE(engine.add({cgroup(path.substr(2)), {rule("drop 10.0.0.1")}, {}, false}).ok());
}

TEST_F(EngineAdd, TellsHowFullTheTableIs) {
  Addition addition{cgroup("/app"), {}, {}, false};
  for (int i = 0; i < 64; ++i) addition.rules.push_back(rule("drop 10.0.0." + std::to_string(i)));
  ASSERT_TRUE(engine.add(addition).ok());
  auto more = engine.add({cgroup("/app"), {rule("drop 10.0.1.0")}, {}, false});
  ASSERT_FALSE(more.ok());
  EXPECT_NE(more.error().cause.find("rule table full (64/64)"), std::string::npos) << more.error().message();
  EXPECT_NE(more.error().remedy.find("--max-rules"), std::string::npos);
  EXPECT_EQ(rules().size(), 64u);
}

TEST_F(EngineAdd, RefusesMoreShapesThanAPacketMayTry) {
  EngineLab lab(256);
  Addition addition{cgroup("/app"), {}, {}, false};
  for (int length = 1; length <= 128; ++length) addition.rules.push_back(rule("drop 8000::/" + std::to_string(length)));
  auto ids = lab.engine.add(addition);
  ASSERT_FALSE(ids.ok());
  EXPECT_NE(ids.error().cause.find("96"), std::string::npos) << ids.error().message();
  addition.rules.resize(96);
  EXPECT_TRUE(lab.engine.add(addition).ok());
}

TEST_F(EngineAdd, RefusesMoreRangesThanAPacketMayTry) {
  EngineLab lab(1024);
  Addition addition{cgroup("/app"), {}, {}, false};
  for (int i = 1; i <= 256; ++i) {
    addition.rules.push_back(rule("drop 10.0.0.1:" + std::to_string(i) + "-" + std::to_string(i + 1000)));
  }
  auto ids = lab.engine.add(addition);
  ASSERT_FALSE(ids.ok());
  EXPECT_NE(ids.error().cause.find("256"), std::string::npos) << ids.error().message();
  addition.rules.resize(250);
  EXPECT_TRUE(lab.engine.add(addition).ok());
}

Addition list_of(std::initializer_list<const char*> destinations, Action action = Action::Drop) {
  Addition addition{.subject = cgroup("/app"), .rules = {}, .policy = {}};
  for (const char* destination : destinations) addition.list.push_back(to(destination));
  addition.of_list.action = action;
  return addition;
}

TEST_F(EngineAdd, MakesARuleOfEachDestinationOfAList) {
  Addition addition = list_of({"10.0.0.1", "10.0.0.0/8", "10.0.0.2", "2001:db8::1"}, Action::Reject);
  addition.rules = {rule("allow 10.0.0.2:53")};
  addition.of_list.reason = "feed";
  addition.of_list.lifetime = 5s;
  const auto ids = engine.add(addition);
  ASSERT_TRUE(ids.ok()) << ids.error().message();
  EXPECT_EQ(listing(),
            "1 allow 10.0.0.2:53 cgroup /app; 2 reject 10.0.0.1 cgroup /app; 3 reject 10.0.0.0/8 cgroup /app; "
            "4 reject 10.0.0.2 cgroup /app; 5 reject 2001:db8::1 cgroup /app; ");
  EXPECT_EQ(ids->back(), RuleId{5});
  EXPECT_EQ(find(RuleId{4})->reason, "feed");
  EXPECT_EQ(fate("/app", "10.0.0.2", 53), "pass");
  EXPECT_EQ(fate("/app", "10.0.0.2", 54), "reject");
  EXPECT_EQ(fate("/app", "10.7.7.7"), "reject");
  EXPECT_EQ(fate("/app", "11.0.0.0"), "pass");
  EXPECT_EQ(tables.control().next_deadline, find(RuleId{5})->expires_at->since_boot.count());
  EXPECT_EQ(tables.counters.size(), 5u);
  world.advance(5s);
  EXPECT_EQ(fate("/app", "10.7.7.7"), "pass");
}

TEST_F(EngineAdd, TakesAListOfWhateverDestinationsThereAre) {
  const auto ids = engine.add(list_of({"10.0.0.1:53/udp", "any:25", "10.0.0.0/8"}));
  ASSERT_TRUE(ids.ok()) << ids.error().message();
  EXPECT_EQ(fate("/app", "192.0.2.1", 25), "drop");
  EXPECT_EQ(fate("/app", "192.0.2.1", 26), "pass");
}

TEST_F(EngineAdd, RefusesAListThatNamesADestinationTwice) {
  Addition addition = list_of({"10.0.0.1", "10.0.0.2", "10.0.0.1"});
  auto ids = engine.add(addition);
  ASSERT_FALSE(ids.ok());
  EXPECT_TRUE(has(ids.error().message(), "10.0.0.1: named twice")) << ids.error().message();
  EXPECT_EQ(ids.error().kind, ErrorKind::Usage);
  EXPECT_EQ(tables.leftovers(), "");
  addition.list.pop_back();
  addition.rules = {rule("allow 10.0.0.2")};
  ids = engine.add(addition);
  ASSERT_FALSE(ids.ok());
  EXPECT_TRUE(has(ids.error().message(), "10.0.0.2: named twice")) << ids.error().message();
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineAdd, RefusesAListWithADestinationThatHasARuleUnlessItReplacesIt) {
  add(cgroup("/app"), "allow 10.0.0.2");
  add(cgroup("/app"), "allow 10.0.0.3");
  Addition addition = list_of({"10.0.0.1", "10.0.0.2"});
  const auto refused = engine.add(addition);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(has(refused.error().message(), "10.0.0.2: rule exists: id 1")) << refused.error().message();
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
  addition.replace = true;
  ASSERT_TRUE(engine.add(addition).ok());
  EXPECT_EQ(fate("/app", "10.0.0.2"), "drop");
  EXPECT_FALSE(find(RuleId{1}).has_value());
  EXPECT_TRUE(find(RuleId{2}).has_value());
  addition.list.push_back(to("10.0.0.2"));
  EXPECT_TRUE(has(engine.add(addition).error().message(), "named twice")) << "also when it replaces";
}

TEST_F(EngineAdd, CountsAListAgainstTheRoomThatThereIs) {
  Addition addition = list_of({});
  for (int i = 0; i < 64; ++i) addition.list.push_back(to("10.0.0." + std::to_string(i)));
  addition.rules = {rule("drop 10.0.1.0")};
  const auto ids = engine.add(addition);
  ASSERT_FALSE(ids.ok());
  EXPECT_TRUE(has(ids.error().message(), "65 rules: rule table full (0/64)")) << ids.error().message();
  addition.rules.clear();
  EXPECT_TRUE(engine.add(addition).ok());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(fate("/app", "10.0.0." + std::to_string(i)), "drop");
}

TEST_F(EngineAdd, CountsTheLengthsOfAListAsShapes) {
  EngineLab lab(256);
  Addition addition = list_of({});
  for (int length = 1; length <= 128; ++length) addition.list.push_back(to("8000::/" + std::to_string(length)));
  const auto ids = lab.engine.add(addition);
  ASSERT_FALSE(ids.ok());
  EXPECT_TRUE(has(ids.error().message(), "96")) << ids.error().message();
}

TEST_F(EngineAdd, RefusesMorePoliciesThanCanJudgeOnePacket) {
  EngineLab lab;
  for (int i = 0; i < 12; ++i) {
    lab.add(cgroup("/"), rule("drop 10.0.0.1"), "root-" + std::to_string(i));
    lab.add(cgroup("/a/b"), rule("drop 10.0.0.1"), "leaf-" + std::to_string(i));
  }
  EXPECT_FALSE(lab.engine.add({cgroup("/a"), {rule("drop 10.0.0.1")}, {}, false}).ok());
  EXPECT_TRUE(lab.engine.add({cgroup("/c"), {rule("drop 10.0.0.1")}, {}, false}).ok());
}

TEST_F(EngineAdd, KeepsCountersAndReasonsOfEachRule) {
  const RuleId id = add(cgroup("/app"), "drop 10.0.0.1");
  ASSERT_TRUE(tables.counters.contains(EGRESS_COUNTER_RULE | static_cast<std::uint32_t>(id)));
  tables.counters[EGRESS_COUNTER_RULE | static_cast<std::uint32_t>(id)] = {3, 4000, 5};
  EXPECT_EQ(find(id)->counts, (Counts{3, 4000, 5}));
}

TEST_F(EngineAdd, LowersTheNextDeadline) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 20s));
  EXPECT_EQ(tables.control().next_deadline, static_cast<std::uint64_t>((world.now()->since_boot + 20s).count()));
  add(cgroup("/app"), rule("drop 10.0.0.2", 30s));
  EXPECT_EQ(tables.control().next_deadline, static_cast<std::uint64_t>((world.now()->since_boot + 20s).count()));
}

TEST_F(EngineAdd, LeavesNoMarkOfTheChangeBehind) {
  add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(tables.control().pending, 0u);
  EXPECT_EQ(tables.control().maintenance, std::uint32_t{EGRESS_MAINTENANCE_FREE});
  EXPECT_EQ(tables.rules()[1].turn, 0u);
}

TEST_F(EngineAdd, TakesTheMaintenanceOfADeadLibrary) {
  tables.control().maintenance = EGRESS_MAINTENANCE_LIBRARY;
  add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(tables.control().maintenance, std::uint32_t{EGRESS_MAINTENANCE_FREE});
}

TEST_F(EngineAdd, LeavesTheMaintenanceToASweepThatDoesNotEnd) {
  tables.control().maintenance = EGRESS_MAINTENANCE_SWEEP;
  auto ids = engine.add({cgroup("/app"), {rule("drop 10.0.0.1")}, {}, false});
  EXPECT_FALSE(ids.ok());
  EXPECT_EQ(tables.control().maintenance, std::uint32_t{EGRESS_MAINTENANCE_SWEEP});
  EXPECT_EQ(rules().size(), 0u);
}

TEST_F(EngineAdd, PassesTheEndOfEpochsAndOfTheirLowerBits) {
  for (const std::uint32_t epoch : {0x7FFFFFFDu, 0x7FFFFFFEu, 0x7FFFFFFFu, 0xFFFFFFFDu, 0xFFFFFFFEu, 0xFFFFFFFFu}) {
    SCOPED_TRACE(epoch);
    ASSERT_TRUE(engine.remove({{}, {}, {}, true}).ok());
    tables.control().epoch = epoch;
    const RuleId first = add(cgroup("/app"), "drop 10.0.0.1");
    EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
    add(cgroup("/app"), "drop 10.0.0.2");
    ASSERT_TRUE(engine.remove({{first}, {}, {}, false}).ok());
    EXPECT_NE(tables.control().epoch % EGRESS_TURN_GOES, 0u);
    EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
    EXPECT_EQ(fate("/app", "10.0.0.2"), "drop");
  }
}

TEST_F(EngineAdd, SplitsAuditFromDecision) {
  const RuleId audit = add(cgroup("/app"), "audit 10.0.0.1:4660");
  add(cgroup("/app"), "drop 10.0.0.0/24");
  const Judgement judgement = judge_by_maps(tables, world, "/app", tcp_to("10.0.0.1", 4660));
  EXPECT_EQ(judgement.verdict, Judgement::Verdict::Drop);
  EXPECT_EQ(judgement.audits, std::vector{audit});
}

TEST_F(EngineAdd, DropsUnreadablePacketsOnlyWhereARuleDecides) {
  Flow malformed = tcp_to("10.0.0.9", 1);
  malformed.malformed = true;
  EXPECT_EQ(fate("/app", malformed), "pass");
  add(cgroup("/app"), "audit any");
  EXPECT_EQ(fate("/app", malformed), "pass");
  add(cgroup("/app"), rule("drop 192.0.2.1", 5s));
  EXPECT_EQ(fate("/app", malformed), "drop");
  EXPECT_EQ(fate("/", malformed), "pass");
  world.advance(5s);
  EXPECT_EQ(fate("/app", malformed), "pass");
}

// ---- the index against the definition ----

/// A random rule set over few prefixes and ports, so that everything overlaps.
class Gambler {
 public:
  explicit Gambler(unsigned seed) : random_(seed) {}

  unsigned below(unsigned bound) { return std::uniform_int_distribution<unsigned>(0, bound - 1)(random_); }
  template <typename T>
  const T& one_of(const std::vector<T>& choices) {
    return choices[below(static_cast<unsigned>(choices.size()))];
  }

  RuleSpec spec() {
    static const std::vector<std::string> prefixes{"any",           "10.0.0.0/8",  "10.1.0.0/16", "10.1.2.3",
                                                   "2001:db8::/32", "2001:db8::7", "0.0.0.0/0",   "::/0"};
    static const std::vector<std::string> ports{"", "", ":53", ":50-60", ":53-54", ":1-65535"};
    static const std::vector<std::string> protocols{"", "", "/tcp", "/udp"};
    static const std::vector<std::string> actions{"drop", "reject", "allow", "audit"};
    std::string prefix = one_of(prefixes);
    const std::string port = one_of(ports);
    if (!port.empty() && prefix.find("::") != std::string::npos) prefix = "[" + prefix + "]";
    std::string protocol = one_of(protocols);
    if (port.empty() && below(4) == 0) protocol = "/icmp";
    RuleSpec made = rule(one_of(actions) + " " + prefix + port + protocol, std::chrono::seconds(1 + below(5)));
    made.include_nd = below(3) == 0;
    return made;
  }

  Flow flow() {
    static const std::vector<std::string> addresses{"10.1.2.3",    "10.1.2.4",    "10.9.9.9", "192.0.2.1",
                                                    "2001:db8::7", "2001:db8::8", "fe80::1"};
    Flow made;
    made.destination = *parse_address(one_of(addresses));
    const bool ipv6 = made.destination.family == Family::V6;
    made.protocol = one_of(std::vector<std::uint8_t>{protocol::tcp, protocol::udp, protocol::sctp,
                                                     ipv6 ? protocol::icmpv6 : protocol::icmp, 47});
    if (protocol::has_ports(made.protocol)) {
      made.ports_known = below(4) != 0;
      if (made.ports_known) made.port = one_of(std::vector<std::uint16_t>{53, 54, 55, 60, 61, 80});
    }
    made.neighbour_discovery = made.protocol == protocol::icmpv6 && below(2) == 0;
    if (ipv6 && below(8) == 0) {
      made.protocol_known = made.ports_known = false;
      made.protocol = 0;
      made.port.reset();
      made.neighbour_discovery = false;
    }
    made.malformed = below(20) == 0;
    made.source_routed = below(20) == 0;
    return made;
  }

 private:
  std::mt19937 random_;
};

/// The sets of a cgroup by names, for evaluate().
std::vector<JudgedSet> sets_by_name(EngineLab& lab, const std::string& leaf) {
  const Snapshot snapshot = *read_snapshot(lab.tables, lab.world, Detail::Verdict);
  std::vector<JudgedSet> sets;
  for (std::string path = leaf;; path = parent_path(path)) {
    for (const Subject& subject :
         {cgroup(path), unit(path == "/" ? "/" : components(path).back()), cgroup_id(*lab.world.cgroup_at(path))}) {
      for (const OwnSet& own : snapshot.sets) {
        const Subject& name = own.name.subject;
        if (name.kind == subject.kind && name.name == subject.name &&
            (path == leaf || name.scope == Subject::Scope::Subtree)) {
          sets.push_back({own.rules});
        }
      }
    }
    if (path == "/") break;
  }
  for (std::string path = leaf;; path = parent_path(path)) {
    for (const DoorEntry& door : snapshot.doors) {
      if (door.cgroup == *lab.world.cgroup_at(path)) sets.push_back({{door.rule}});
    }
    if (path == "/") return sets;
  }
}

void compare(EngineLab& lab, Gambler& gambler, unsigned seed) {
  for (const char* path : {"/", "/a", "/a/b", "/a/b/c"}) {
    const auto sets = sets_by_name(lab, path);
    for (int i = 0; i < 40; ++i) {
      const Flow flow = gambler.flow();
      Judgement expected = evaluate(sets, flow, *lab.world.now());
      expected.set.reset();
      const Judgement seen = judge_by_maps(lab.tables, lab.world, path, flow);
      ASSERT_EQ(seen, expected) << "seed " << seed << " " << path << " " << format(flow.destination) << " proto "
                                << int(flow.protocol) << " port " << flow.port.value_or(0) << "\nrules "
                                << lab.listing() << "\nseen rule "
                                << static_cast<std::uint32_t>(seen.rule.value_or(RuleId{})) << " expected "
                                << static_cast<std::uint32_t>(expected.rule.value_or(RuleId{}));
    }
  }
}

class EngineIndex : public ::testing::TestWithParam<unsigned> {};

TEST_P(EngineIndex, JudgesRandomRulesAsTheDefinitionDoes) {
  EngineLab lab(256);
  Gambler gambler(GetParam());
  lab.world.mkdir("/a");
  const CgroupId b = lab.world.mkdir("/a/b");
  const std::vector<Subject> subjects{cgroup("/"), cgroup("/a"),    only(cgroup("/a")), cgroup("/a/b"),  unit("c"),
                                      unit("b"),   only(unit("b")), cgroup_id(b),       cgroup("/a/b/c")};
  lab.write_door(900, b, "10.1.2.3", 53, 3);
  for (int step = 0; step < 60; ++step) {
    std::optional<std::string> policy;
    if (gambler.below(3) == 0) policy = "p";
    const bool replace = gambler.below(2) == 0;
    static_cast<void>(lab.engine.add({gambler.one_of(subjects), {gambler.spec()}, policy, replace}));
    if (step == 20) lab.world.mkdir("/a/b/c");
    if (gambler.below(3) == 0) {
      Addition addition{.subject = gambler.one_of(subjects), .rules = {}, .policy = policy, .replace = replace};
      addition.of_list = gambler.spec();
      for (int i = 0; i < 6; ++i) addition.list.push_back(gambler.spec().destination);
      static_cast<void>(lab.engine.add(addition));
    }
    if (gambler.below(8) == 0) {
      static_cast<void>(lab.engine.remove({{}, gambler.one_of(subjects), policy, false}, gambler.below(3)));
    }
    if (gambler.below(4) == 0 && !lab.rules().empty()) {
      const auto rules = lab.rules();
      const RuleId id = rules[gambler.below(static_cast<unsigned>(rules.size()))].id;
      ASSERT_TRUE(lab.engine.remove({{id}, {}, {}, false}).ok());
    }
    if (gambler.below(6) == 0) lab.world.advance(700ms);
    if (step >= 20 && step % 5 == 0) compare(lab, gambler, GetParam());
    if (HasFatalFailure()) return;
  }
  lab.world.advance(10s);
  ASSERT_TRUE(lab.engine.maintain().ok());
  EXPECT_EQ(lab.tables.leftovers(), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineIndex, ::testing::Range(1u, 41u));

// The fake has ten places for chains: what a packet could not walk is refused.
TEST(EngineChains, AChainThatIsTooLongIsRefusedAndNothingChanges) {
  test::FakeTables tables(8192);
  test::FakeWorld world(tables);
  Engine engine(tables, world);
  world.mkdir("/app");
  Addition addition{.subject = cgroup("/app"), .rules = {}, .policy = {}};
  for (int i = 0; i < 5000; ++i) {
    addition.rules.push_back(rule("drop 10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)));
  }
  const auto refused = engine.add(addition);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(test::has(refused.error().message(), "fall into one place")) << refused.error().message();
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.leftovers(), "");
  for (const RuleSpec& spec : addition.rules) addition.list.push_back(spec.destination);
  addition.rules.clear();
  const auto list = engine.add(addition);
  ASSERT_FALSE(list.ok());
  EXPECT_TRUE(test::has(list.error().message(), "fall into one place")) << list.error().message();
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.leftovers(), "");
  addition.list.resize(2000);
  EXPECT_TRUE(engine.add(addition).ok());
}

}  // namespace
}  // namespace egress
