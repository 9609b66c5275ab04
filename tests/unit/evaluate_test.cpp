// SPDX-License-Identifier: GPL-2.0
#include "core/evaluate.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/packet_builder.hpp"

namespace egress {
namespace {

using test::Ipv4;
using test::Ipv6;
using test::Packet;
using Verdict = Judgement::Verdict;

constexpr BootTime now{std::chrono::seconds(1000)};

Rule rule(std::uint32_t id, Action action, const char* destination) {
  Result<Destination> parsed = parse_destination(destination);
  EXPECT_TRUE(parsed.ok()) << destination;
  Rule made;
  made.id = RuleId{id};
  made.action = action;
  if (parsed) made.destination = *parsed;
  return made;
}

Rule drop(std::uint32_t id, const char* destination) { return rule(id, Action::Drop, destination); }
Rule reject(std::uint32_t id, const char* destination) { return rule(id, Action::Reject, destination); }
Rule audit(std::uint32_t id, const char* destination) { return rule(id, Action::Audit, destination); }
Rule allow(std::uint32_t id, const char* destination) { return rule(id, Action::Allow, destination); }

Rule until(Rule made, std::chrono::nanoseconds moment) {
  made.expires_at = BootTime{moment};
  return made;
}

Rule with_nd(Rule made) {
  made.include_nd = true;
  return made;
}

using Sets = std::vector<JudgedSet>;

Judgement judge(const Sets& sets, const Packet& packet) { return evaluate(sets, parse_packet(packet.bytes()), now); }
/// By one set.
Judgement judge(std::vector<Rule> rules, const Packet& packet) { return judge(Sets{{std::move(rules)}}, packet); }

bool drops(const char* destination, const Packet& packet) {
  return judge({drop(7, destination)}, packet).verdict == Verdict::Drop;
}

/// Which of the rules decides, whatever the order they are given in; 0 = none or not always the same.
std::uint32_t decider(std::vector<Rule> rules, const Packet& packet) {
  const auto of = [&packet](const std::vector<Rule>& given) {
    return static_cast<std::uint32_t>(judge(given, packet).rule.value_or(RuleId{0}));
  };
  const std::uint32_t first = of(rules);
  std::ranges::reverse(rules);
  return of(rules) == first ? first : 0;
}

std::vector<std::uint32_t> audits(const Judgement& judgement) {
  std::vector<std::uint32_t> ids;
  for (const RuleId id : judgement.audits) ids.push_back(static_cast<std::uint32_t>(id));
  return ids;
}
using Ids = std::vector<std::uint32_t>;

Packet udp(std::uint16_t port = 0x1234) { return Ipv4({.dst = "192.0.2.7"}).udp(port); }
Packet tcp(std::uint16_t port = 0x1234) { return Ipv4({.dst = "192.0.2.7"}).tcp(port); }
Packet later_fragment(std::uint8_t protocol = 17) {
  return Ipv4({.dst = "192.0.2.7"}).fragment(5).raw(protocol, test::byte_list({1, 2, 3, 4, 5, 6, 7, 8}));
}
Packet long_chain() {
  Ipv6 packet({.dst = "2001:db8::7"});
  for (int i = 0; i < 9; ++i) packet = packet.destination_options();
  return packet.udp(0x1234);
}
Packet broken() { return Ipv4({.dst = "192.0.2.7", .ihl = 4}).udp(1); }
Packet source_routed() { return Ipv4({.dst = "192.0.2.7"}).option(131, {4, 1, 2, 3, 4}).udp(0x1234); }

// ---- What a destination matches ----

TEST(Evaluate, PassesAPacketWithoutAnySet) { EXPECT_EQ(judge(Sets{}, udp()), Judgement{}); }

TEST(Evaluate, PassesAPacketThatMatchesNoRule) { EXPECT_EQ(judge({drop(7, "192.0.2.8")}, udp()), Judgement{}); }

TEST(Evaluate, NamesTheRuleAndTheSetThatDrop) {
  const Judgement judgement = judge(Sets{{}, {{drop(7, "192.0.2.7")}}}, udp());
  EXPECT_EQ(judgement.verdict, Verdict::Drop);
  EXPECT_EQ(judgement.rule, RuleId{7});
  EXPECT_EQ(judgement.set, 1u);
}

TEST(Evaluate, SaysRejectForARejectRule) {
  const Judgement judgement = judge({reject(7, "192.0.2.7")}, udp());
  EXPECT_EQ(judgement.verdict, Verdict::Reject);
  EXPECT_EQ(judgement.set, 0u);
}

TEST(Evaluate, TellsTheOriginOfTheRuleThatDecides) {
  Rule door = drop(7, "192.0.2.7");
  door.origin = Rule::Origin::Map;
  EXPECT_EQ(judge({door}, udp()).origin, Rule::Origin::Map);
  EXPECT_EQ(judge({drop(7, "192.0.2.7")}, udp()).origin, Rule::Origin::Command);
}

TEST(Evaluate, MatchesAPrefixToItsEdges) {
  EXPECT_FALSE(drops("192.0.2.64/26", Ipv4({.dst = "192.0.2.63"}).udp(1)));
  EXPECT_TRUE(drops("192.0.2.64/26", Ipv4({.dst = "192.0.2.64"}).udp(1)));
  EXPECT_TRUE(drops("192.0.2.64/26", Ipv4({.dst = "192.0.2.127"}).udp(1)));
  EXPECT_FALSE(drops("192.0.2.64/26", Ipv4({.dst = "192.0.2.128"}).udp(1)));
}

TEST(Evaluate, MatchesAnIpv6PrefixToItsEdges) {
  EXPECT_FALSE(drops("2001:db8:4000::/34", Ipv6({.dst = "2001:db8:3fff:ffff::1"}).udp(1)));
  EXPECT_TRUE(drops("2001:db8:4000::/34", Ipv6({.dst = "2001:db8:4000::"}).udp(1)));
  EXPECT_TRUE(drops("2001:db8:4000::/34", Ipv6({.dst = "2001:db8:7fff:ffff::1"}).udp(1)));
  EXPECT_FALSE(drops("2001:db8:4000::/34", Ipv6({.dst = "2001:db8:8000::"}).udp(1)));
}

TEST(Evaluate, MatchesAnyInBothFamilies) {
  EXPECT_TRUE(drops("any", Ipv4().udp(1)));
  EXPECT_TRUE(drops("any", Ipv6().udp(1)));
}

TEST(Evaluate, MatchesAllOfIpv4InIpv4Only) {
  EXPECT_TRUE(drops("0.0.0.0/0", Ipv4().udp(1)));
  EXPECT_FALSE(drops("0.0.0.0/0", Ipv6().udp(1)));
  EXPECT_FALSE(drops("0.0.0.0/0", Ipv6({.dst = "::"}).udp(1)));
}

TEST(Evaluate, MatchesAllOfIpv6InIpv6Only) {
  EXPECT_TRUE(drops("::/0", Ipv6().udp(1)));
  EXPECT_FALSE(drops("::/0", Ipv4().udp(1)));
}

TEST(Evaluate, DoesNotMatchAnIpv4RuleWithAMappedAddressOnTheWire) {
  EXPECT_FALSE(drops("192.0.2.7", Ipv6({.dst = "::ffff:192.0.2.7"}).udp(1)));
}

TEST(Evaluate, MatchesAnAddressWithoutPortInEveryProtocol) {
  EXPECT_TRUE(drops("192.0.2.7", udp()));
  EXPECT_TRUE(drops("192.0.2.7", tcp()));
  EXPECT_TRUE(drops("192.0.2.7", Ipv4({.dst = "192.0.2.7"}).icmp(8)));
  EXPECT_TRUE(drops("192.0.2.7", Ipv4({.dst = "192.0.2.7"}).raw(47, {})));
}

TEST(Evaluate, MatchesAPortWithoutProtocolInTheFiveProtocolsWithPorts) {
  EXPECT_TRUE(drops("192.0.2.7:4660", Ipv4().tcp(0x1234)));
  EXPECT_TRUE(drops("192.0.2.7:4660", Ipv4().udp(0x1234)));
  EXPECT_TRUE(drops("192.0.2.7:4660", Ipv4().udplite(0x1234)));
  EXPECT_TRUE(drops("192.0.2.7:4660", Ipv4().sctp(0x1234)));
  EXPECT_TRUE(drops("192.0.2.7:4660", Ipv4().dccp(0x1234)));
}

TEST(Evaluate, DoesNotMatchAPortInOtherProtocols) {
  EXPECT_FALSE(drops("192.0.2.7:1-65535", Ipv4().icmp(8)));
  EXPECT_FALSE(drops("192.0.2.7:1-65535", Ipv4().raw(47, test::byte_list({0x12, 0x34, 0x12, 0x34}))));
}

TEST(Evaluate, MatchesAPortRangeToItsEdges) {
  EXPECT_FALSE(drops("192.0.2.7:4660-4664", udp(4659)));
  EXPECT_TRUE(drops("192.0.2.7:4660-4664", udp(4660)));
  EXPECT_TRUE(drops("192.0.2.7:4660-4664", udp(4664)));
  EXPECT_FALSE(drops("192.0.2.7:4660-4664", udp(4665)));
}

TEST(Evaluate, DoesNotMatchPortZeroWithTheFullRange) { EXPECT_FALSE(drops("192.0.2.7:1-65535", udp(0))); }

TEST(Evaluate, DoesNotSwapTheBytesOfAPort) { EXPECT_FALSE(drops("192.0.2.7:13330", udp(0x1234))); }

TEST(Evaluate, MatchesAProtocolAndNoOther) {
  EXPECT_TRUE(drops("192.0.2.7/udp", udp()));
  EXPECT_FALSE(drops("192.0.2.7/udp", tcp()));
  EXPECT_FALSE(drops("192.0.2.7/udp", Ipv4().udplite(1)));
}

TEST(Evaluate, MatchesAPortOfOneProtocolOnly) {
  EXPECT_TRUE(drops("192.0.2.7:4660/tcp", tcp()));
  EXPECT_FALSE(drops("192.0.2.7:4660/tcp", udp()));
  EXPECT_FALSE(drops("192.0.2.7:4660/tcp", tcp(0x1235)));
}

TEST(Evaluate, MatchesIcmpInBothFamilies) {
  EXPECT_TRUE(drops("any/icmp", Ipv4().icmp(8)));
  EXPECT_TRUE(drops("any/icmp", Ipv6().icmpv6(128)));
  EXPECT_FALSE(drops("any/icmp", Ipv4().raw(58, {})));
  EXPECT_FALSE(drops("any/icmp", Ipv6().raw(1, {})));
}

TEST(Evaluate, TakesANumberAsItStandsInEitherFamily) {
  Rule icmpv6 = drop(7, "any");
  icmpv6.destination.protocol = protocol::icmpv6;
  EXPECT_EQ(judge({icmpv6}, Ipv6().icmpv6(128)).verdict, Verdict::Drop);
  EXPECT_EQ(judge({icmpv6}, Ipv4().raw(58, {})).verdict, Verdict::Drop);
  EXPECT_EQ(judge({icmpv6}, Ipv4().icmp(8)).verdict, Verdict::Pass);
}

// ---- Which rule decides ----

TEST(Evaluate, LetsTheLongerPrefixDecide) {
  EXPECT_EQ(decider({drop(1, "192.0.2.0/24"), allow(2, "192.0.2.7"), drop(3, "192.0.0.0/16")}, udp()), 2u);
}

TEST(Evaluate, LetsALongerPrefixDecideOverAnExactPort) {
  EXPECT_EQ(decider({drop(1, "192.0.2.0/24:4660/udp"), allow(2, "192.0.2.0/25")}, udp()), 2u);
}

TEST(Evaluate, LetsAnExactPortDecideOverARange) {
  EXPECT_EQ(decider({drop(1, "192.0.2.7:4660-4661"), allow(2, "192.0.2.7:4660")}, udp()), 2u);
}

TEST(Evaluate, LetsARangeDecideOverAnyPort) {
  EXPECT_EQ(decider({drop(1, "192.0.2.7"), allow(2, "192.0.2.7:1-65535")}, udp()), 2u);
}

TEST(Evaluate, LetsAnExactPortDecideOverANamedProtocol) {
  EXPECT_EQ(decider({drop(1, "192.0.2.7:4660-4661/udp"), allow(2, "192.0.2.7:4660")}, udp()), 2u);
}

TEST(Evaluate, LetsANamedProtocolDecideOverNone) {
  EXPECT_EQ(decider({drop(1, "192.0.2.7"), allow(2, "192.0.2.7/udp")}, udp()), 2u);
  EXPECT_EQ(decider({drop(1, "192.0.2.7:4660"), allow(2, "192.0.2.7:4660/udp")}, udp()), 2u);
}

TEST(Evaluate, LetsANamedProtocolDecideOverANarrowerRange) {
  EXPECT_EQ(decider({drop(1, "192.0.2.7:4660-4661"), allow(2, "192.0.2.7:4000-5000/udp")}, udp()), 2u);
}

TEST(Evaluate, LetsTheNarrowerRangeDecide) {
  EXPECT_EQ(decider({drop(1, "192.0.2.7:4000-5000"), allow(2, "192.0.2.7:4660-4760")}, udp()), 2u);
}

TEST(Evaluate, LetsTheLowerIdDecideBetweenRangesOfOneWidth) {
  EXPECT_EQ(decider({drop(5, "192.0.2.7:4660-4670"), allow(9, "192.0.2.7:4659-4669")}, udp()), 5u);
}

TEST(Evaluate, RanksAnyAsAllOfIpv4) {
  EXPECT_EQ(decider({drop(5, "any"), allow(9, "0.0.0.0/0")}, udp()), 5u);
  EXPECT_EQ(decider({drop(9, "any"), allow(5, "0.0.0.0/0")}, udp()), 5u);
  EXPECT_EQ(decider({drop(5, "0.0.0.0/0"), allow(9, "any:4660")}, udp()), 9u);
  EXPECT_EQ(decider({drop(5, "0.0.0.0/0:4660"), allow(9, "any:4660/udp")}, udp()), 9u);
}

TEST(Evaluate, LetsAWiderRuleDecideWhereTheNarrowerDoesNotMatch) {
  EXPECT_EQ(decider({drop(1, "192.0.2.0/24"), allow(2, "192.0.2.7:53/udp")}, udp()), 1u);
}

TEST(Evaluate, PassesByAnAllowRuleAndNamesIt) {
  const Judgement judgement = judge({drop(1, "any"), allow(2, "192.0.2.7")}, udp());
  EXPECT_EQ(judgement.verdict, Verdict::Pass);
  EXPECT_EQ(judgement.rule, RuleId{2});
  EXPECT_FALSE(judgement.set);
}

// ---- Several sets ----

TEST(Evaluate, LetsNoAllowOverrideTheDropOfAnotherSet) {
  const Judgement before = judge(Sets{{{allow(1, "192.0.2.7")}}, {{drop(2, "any")}}}, udp());
  EXPECT_EQ(before.verdict, Verdict::Drop);
  EXPECT_EQ(before.rule, RuleId{2});
  EXPECT_EQ(before.set, 1u);
  const Judgement behind = judge(Sets{{{drop(2, "any")}}, {{allow(1, "192.0.2.7")}}}, udp());
  EXPECT_EQ(behind.rule, RuleId{2});
  EXPECT_EQ(behind.set, 0u);
}

TEST(Evaluate, EndsAtTheFirstSetThatDropsOrRejects) {
  const Judgement judgement = judge(Sets{{{reject(1, "any")}}, {{drop(2, "192.0.2.7")}}}, udp());
  EXPECT_EQ(judgement.verdict, Verdict::Reject);
  EXPECT_EQ(judgement.rule, RuleId{1});
}

TEST(Evaluate, TellsTheFirstOfSeveralSetsThatAllow) {
  const Judgement judgement = judge(Sets{{{allow(1, "any")}}, {{allow(2, "192.0.2.7")}}}, udp());
  EXPECT_EQ(judgement.rule, RuleId{1});
  EXPECT_FALSE(judgement.set);
}

// ---- Audit ----

TEST(Evaluate, NeverDecidesByAnAuditRule) {
  const Judgement judgement = judge({audit(1, "192.0.2.7"), drop(2, "any")}, udp());
  EXPECT_EQ(judgement.rule, RuleId{2});
  EXPECT_EQ(audits(judgement), Ids{1});
}

TEST(Evaluate, PassesWhatOnlyAuditRulesMatch) {
  const Judgement judgement = judge({audit(1, "any")}, udp());
  EXPECT_EQ(judgement.verdict, Verdict::Pass);
  EXPECT_FALSE(judgement.rule);
  EXPECT_EQ(audits(judgement), Ids{1});
}

TEST(Evaluate, CollectsEveryMatchingAuditRuleMostSpecificFirst) {
  const std::vector<Rule> rules{audit(1, "any"), audit(2, "192.0.2.7:4660"), audit(3, "192.0.2.0/24"),
                                audit(4, "192.0.2.9"), drop(5, "192.0.2.7:4660/udp")};
  EXPECT_EQ(audits(judge(rules, udp())), (Ids{2, 3, 1}));
}

TEST(Evaluate, CollectsAuditsOfTheDroppingSetAndOfThoseBeforeIt) {
  const Sets sets{{{audit(1, "any")}}, {{drop(2, "192.0.2.7"), audit(3, "any")}}, {{audit(4, "any")}}};
  EXPECT_EQ(audits(judge(sets, udp())), (Ids{1, 3}));
}

TEST(Evaluate, CollectsAuditsOfSetsBehindAnAllow) {
  EXPECT_EQ(audits(judge(Sets{{{allow(1, "any")}}, {{audit(2, "any")}}}, udp())), Ids{2});
}

// ---- Lifetime ----

TEST(Evaluate, KeepsARuleInForceUntilItsDeadlineAndNotAt) {
  using std::chrono::nanoseconds;
  EXPECT_EQ(judge({until(drop(1, "any"), now.since_boot + nanoseconds(1))}, udp()).verdict, Verdict::Drop);
  EXPECT_EQ(judge({until(drop(1, "any"), now.since_boot)}, udp()).verdict, Verdict::Pass);
  EXPECT_EQ(judge({until(drop(1, "any"), now.since_boot - nanoseconds(1))}, udp()).verdict, Verdict::Pass);
}

TEST(Evaluate, LetsTheNextRuleDecideWhenTheMostSpecificIsOver) {
  EXPECT_EQ(decider({drop(1, "any"), until(allow(2, "192.0.2.7"), now.since_boot)}, udp()), 1u);
}

TEST(Evaluate, CountsNoAuditRuleThatIsOver) {
  EXPECT_TRUE(judge({until(audit(1, "any"), now.since_boot)}, udp()).audits.empty());
}

// ---- Ports and protocols that cannot be read (C2, C3) ----

TEST(Evaluate, C3DropsALaterFragmentByARuleThatNamesAPort) {
  EXPECT_TRUE(drops("192.0.2.7:4660", later_fragment()));
  EXPECT_TRUE(drops("192.0.2.7:4660-4662/udp", later_fragment()));
}

TEST(Evaluate, DropsNoLaterFragmentOfAnotherProtocolOrAddress) {
  EXPECT_FALSE(drops("192.0.2.7:4660/tcp", later_fragment()));
  EXPECT_FALSE(drops("192.0.2.8:4660", later_fragment()));
}

TEST(Evaluate, DropsNoLaterFragmentOfAProtocolWithoutPortsByAPort) {
  EXPECT_FALSE(drops("192.0.2.7:1-65535", later_fragment(47)));
}

TEST(Evaluate, AllowsNoLaterFragmentByARuleThatNamesAPort) {
  EXPECT_EQ(decider({drop(1, "any"), allow(2, "192.0.2.7:4660")}, later_fragment()), 1u);
}

TEST(Evaluate, AllowsALaterFragmentByARuleThatNamesItsProtocolOnly) {
  EXPECT_EQ(decider({drop(1, "any"), allow(2, "192.0.2.7/udp")}, later_fragment()), 2u);
}

TEST(Evaluate, RanksARuleForALaterFragmentByItsOwnPort) {
  EXPECT_EQ(decider({allow(1, "192.0.2.7"), drop(2, "192.0.2.7:53")}, later_fragment()), 2u);
  EXPECT_EQ(decider({allow(1, "192.0.2.7"), drop(2, "192.0.2.0/24:53")}, later_fragment()), 1u);
}

TEST(Evaluate, AuditsALaterFragmentByARuleThatNamesAPort) {
  EXPECT_EQ(audits(judge({audit(1, "192.0.2.7:53")}, later_fragment())), Ids{1});
}

TEST(Evaluate, RejectsATruncatedTransportByARuleThatNamesAPort) {
  const Packet packet = Ipv4({.dst = "192.0.2.7"}).raw(6, test::byte_list({1, 2, 0x12}));
  EXPECT_EQ(judge({reject(1, "192.0.2.7:53/tcp")}, packet).verdict, Verdict::Reject);
}

TEST(Evaluate, C2DropsAPacketOfUnknownProtocolByWhateverNamesOne) {
  EXPECT_TRUE(drops("2001:db8::7/tcp", long_chain()));
  EXPECT_TRUE(drops("2001:db8::7/icmp", long_chain()));
  EXPECT_TRUE(drops("[2001:db8::7]:53", long_chain()));
  EXPECT_TRUE(drops("[2001:db8::7]:53/tcp", long_chain()));
  EXPECT_FALSE(drops("2001:db8::8/tcp", long_chain()));
}

TEST(Evaluate, AllowsAPacketOfUnknownProtocolByItsAddressAlone) {
  EXPECT_EQ(decider({drop(1, "any"), allow(2, "2001:db8::7/udp")}, long_chain()), 1u);
  EXPECT_EQ(decider({drop(1, "any"), allow(2, "[2001:db8::7]:4660")}, long_chain()), 1u);
  EXPECT_EQ(decider({drop(1, "any"), allow(2, "2001:db8::7")}, long_chain()), 2u);
}

// ---- Malformed and source-routed packets (C1) ----

TEST(Evaluate, C1DropsAMalformedPacketWhereAnyRuleDecides) {
  for (const Action action : {Action::Drop, Action::Reject, Action::Allow}) {
    const Judgement judgement = judge(Sets{{}, {{rule(1, action, "203.0.113.9")}}}, broken());
    EXPECT_EQ(judgement.verdict, Verdict::Drop);
    EXPECT_FALSE(judgement.rule);
    EXPECT_FALSE(judgement.set);
  }
}

TEST(Evaluate, PassesAMalformedPacketWhereNoRuleDecides) {
  EXPECT_EQ(judge(Sets{}, broken()), Judgement{});
  EXPECT_EQ(judge({until(drop(1, "any"), now.since_boot)}, broken()), Judgement{});
}

TEST(Evaluate, CountsNoAuditForAMalformedPacket) {
  EXPECT_EQ(judge({audit(1, "any")}, broken()), Judgement{});
  EXPECT_TRUE(judge({audit(1, "any"), drop(2, "any")}, broken()).audits.empty());
}

TEST(Evaluate, DropsASourceRoutedPacketWhereAnyRuleDecides) {
  const Judgement judgement = judge({allow(1, "192.0.2.7"), audit(2, "any")}, source_routed());
  EXPECT_EQ(judgement.verdict, Verdict::Drop);
  EXPECT_FALSE(judgement.rule);
  EXPECT_FALSE(judgement.set);
  EXPECT_TRUE(judgement.audits.empty());
}

TEST(Evaluate, DropsAnIpv6PacketWithARoutingHeaderWhereAnyRuleDecides) {
  EXPECT_EQ(judge({drop(1, "203.0.113.9")}, Ipv6().routing().udp(1)).verdict, Verdict::Drop);
}

TEST(Evaluate, AuditsASourceRoutedPacketLikeAnyOtherWhereOnlyAuditRulesAre) {
  const Judgement judgement = judge({audit(1, "192.0.2.7"), audit(2, "192.0.2.8")}, source_routed());
  EXPECT_EQ(judgement.verdict, Verdict::Pass);
  EXPECT_EQ(audits(judgement), Ids{1});
}

// ---- Neighbour discovery and MLD (A10) ----

TEST(Evaluate, A10PassesNeighbourDiscoveryWhateverTheRules) {
  EXPECT_EQ(judge({drop(1, "any"), drop(2, "any/icmp"), audit(3, "any")}, Ipv6().neighbour_solicitation()),
            Judgement{});
  EXPECT_EQ(judge({drop(1, "::/0")}, Ipv6().hop_by_hop().mld_report()), Judgement{});
}

TEST(Evaluate, DropsNeighbourDiscoveryByARuleThatIncludesIt) {
  EXPECT_EQ(decider({with_nd(drop(1, "any")), drop(2, "2001:db8::7")}, Ipv6().neighbour_solicitation()), 1u);
}

TEST(Evaluate, DropsAnEchoRequestByARuleWithoutNeighbourDiscovery) {
  EXPECT_EQ(decider({drop(1, "any")}, Ipv6().icmpv6(128)), 1u);
}

TEST(Evaluate, AllowsNeighbourDiscoveryByARuleThatIncludesItOnly) {
  EXPECT_EQ(decider({with_nd(drop(1, "any")), allow(2, "2001:db8::7")}, Ipv6().neighbour_solicitation()), 1u);
  EXPECT_EQ(decider({with_nd(drop(1, "any")), with_nd(allow(2, "2001:db8::7"))}, Ipv6().neighbour_solicitation()), 2u);
}

}  // namespace
}  // namespace egress
