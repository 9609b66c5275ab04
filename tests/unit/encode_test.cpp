// SPDX-License-Identifier: GPL-2.0
#include "core/encode.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "support/text.hpp"

namespace egress {
namespace {

using test::destination;

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

std::string bytes_of(const std::uint32_t (&address)[4]) {
  std::string out(16, '\0');
  std::memcpy(out.data(), address, 16);
  return out;
}

std::string network_bytes(std::initializer_list<int> bytes) {
  std::string out(16, '\0');
  std::transform(bytes.begin(), bytes.end(), out.begin(), [](int b) { return static_cast<char>(b); });
  return out;
}

// ---- families, chains, lists ----

constexpr std::uint32_t record_set = 0x1234;

/// The record of a rule for this destination.
egress_rule record(const std::string& to) {
  RuleSpec spec;
  spec.destination = destination(to);
  return encode_rule(spec, {.id = RuleId{1}, .set = record_set, .comes = 0, .created_at = {}});
}

TEST(Families, OfAnyAreBoth) {
  EXPECT_EQ(families(destination("any:53/udp")), (std::vector{Family::V4, Family::V6}));
  EXPECT_EQ(families(destination("0.0.0.0/0")), (std::vector{Family::V4}));
  EXPECT_EQ(families(destination("::/0")), (std::vector{Family::V6}));
}

TEST(List, DependsOnFamilyAndMark) {
  EXPECT_EQ(list_of(Family::V4, false), EGRESS_LIST_V4);
  EXPECT_EQ(list_of(Family::V4, true), EGRESS_LIST_V4_MARK);
  EXPECT_EQ(list_of(Family::V6, false), EGRESS_LIST_V6);
  EXPECT_EQ(list_of(Family::V6, true), EGRESS_LIST_V6_MARK);
}

TEST(Chains, AreTwoForDestinationsThatNameAPortOrAProtocol) {
  for (const char* text : {"any", "10.0.0.0/8"}) {
    EXPECT_EQ(chains_of(record(text)).size(), 1u) << text;
    EXPECT_EQ(chains_of(record(text))[0], EGRESS_CHAIN_PLAIN) << text;
  }
  for (const char* text : {"any:53", "any:1-2", "any/icmp", "any/0"}) {
    ASSERT_EQ(chains_of(record(text)).size(), 2u) << text;
    EXPECT_EQ(chains_of(record(text))[0], EGRESS_CHAIN_PLAIN) << text;
    EXPECT_EQ(chains_of(record(text))[1], EGRESS_CHAIN_MARK) << text;
  }
}

// ---- keys ----

struct KeyCase {
  std::string text;
  Family family;
  unsigned kind;
  std::uint16_t port;
  std::uint8_t plen;
  std::uint8_t proto;
};

std::ostream& operator<<(std::ostream& out, const KeyCase& c) { return out << c.text; }

class IndexKey : public testing::TestWithParam<KeyCase> {};

TEST_P(IndexKey, SaysWhatTheDestinationNames) {
  const KeyCase& want = GetParam();
  const egress_index_key key = index_key(record(want.text), EGRESS_CHAIN_PLAIN);
  EXPECT_EQ(key.set, record_set);
  EXPECT_EQ(key.port, want.port);
  EXPECT_EQ(key.plen, want.plen);
  EXPECT_EQ(key.proto, want.proto);
}

TEST_P(IndexKey, OfTheMarkKeepsOnlyThePrefix) {
  const KeyCase& want = GetParam();
  const egress_index_key plain = index_key(record(want.text), EGRESS_CHAIN_PLAIN);
  const egress_index_key mark = index_key(record(want.text), EGRESS_CHAIN_MARK);
  EXPECT_EQ(mark.set, record_set);
  EXPECT_EQ(mark.port, 0);
  EXPECT_EQ(mark.proto, 0);
  EXPECT_EQ(mark.plen, want.plen);
  EXPECT_EQ(bytes_of(mark.addr), bytes_of(plain.addr));
}

TEST_P(IndexKey, LeadsToTheShapeOfItsKindAndPrefixLength) {
  const KeyCase& want = GetParam();
  const egress_shape shape = shape_of(record(want.text), want.family, EGRESS_CHAIN_PLAIN);
  EXPECT_EQ(shape.kind, want.kind);
  EXPECT_EQ(shape.plen, want.plen);
  EXPECT_EQ(shape.zero, 0);
  EXPECT_EQ(shape.rule, 0u);
  EXPECT_EQ(shape_of(record(want.text), want.family, EGRESS_CHAIN_MARK).kind,
            EGRESS_KIND_MARK | (want.kind & EGRESS_KIND_V6));
}

constexpr unsigned v6 = EGRESS_KIND_V6, proto = EGRESS_KIND_PROTO, range = EGRESS_KIND_RANGE, exact = EGRESS_KIND_EXACT;

INSTANTIATE_TEST_SUITE_P(V4, IndexKey,
                         testing::Values(KeyCase{"8.8.8.8", Family::V4, 0, 0, 32, 0},
                                         KeyCase{"8.8.8.8:4660", Family::V4, exact, 0x1234, 32, 0},
                                         KeyCase{"8.8.8.8:4660/udp", Family::V4, exact | proto, 0x1234, 32, 17},
                                         KeyCase{"8.8.8.0/23:4660-4661/tcp", Family::V4, range | proto, 0, 23, 6},
                                         KeyCase{"8.8.8.0/23:1-65535", Family::V4, range, 0, 23, 0},
                                         KeyCase{"8.8.8.8:7-7", Family::V4, exact, 7, 32, 0},
                                         KeyCase{"10.0.0.0/8/icmp", Family::V4, proto, 0, 8, 1},
                                         KeyCase{"10.0.0.0/8/58", Family::V4, proto, 0, 8, 1},
                                         KeyCase{"10.0.0.0/8/0", Family::V4, proto, 0, 8, 0},
                                         KeyCase{"0.0.0.0/0", Family::V4, 0, 0, 0, 0}));

INSTANTIATE_TEST_SUITE_P(V6, IndexKey,
                         testing::Values(KeyCase{"2001:db8::/33", Family::V6, v6, 0, 33, 0},
                                         KeyCase{"[2001:db8::1]:443", Family::V6, v6 | exact, 443, 128, 0},
                                         KeyCase{"[2001:db8::/32]:443-444/sctp", Family::V6, v6 | range | proto, 0, 32,
                                                 132},
                                         KeyCase{"2001:db8::/32/icmp", Family::V6, v6 | proto, 0, 32, 1},
                                         KeyCase{"2001:db8::/32/58", Family::V6, v6 | proto, 0, 32, 1},
                                         KeyCase{"::/0", Family::V6, v6, 0, 0, 0}));

INSTANTIATE_TEST_SUITE_P(Any, IndexKey,
                         testing::Values(KeyCase{"any", Family::V4, 0, 0, 0, 0},
                                         KeyCase{"any", Family::V6, v6, 0, 0, 0},
                                         KeyCase{"any:25/tcp", Family::V4, exact | proto, 25, 0, 6},
                                         KeyCase{"any:25/tcp", Family::V6, v6 | exact | proto, 25, 0, 6},
                                         KeyCase{"any/icmp", Family::V4, proto, 0, 0, 1},
                                         KeyCase{"any/icmp", Family::V6, v6 | proto, 0, 0, 1},
                                         KeyCase{"any/58", Family::V4, proto, 0, 0, 1},
                                         KeyCase{"any/58", Family::V6, v6 | proto, 0, 0, 1}));

TEST(IndexKey, HoldsTheAddressInNetworkOrder) {
  const egress_index_key key = index_key(record("203.0.113.7:53"), EGRESS_CHAIN_PLAIN);
  EXPECT_EQ(key.addr[0], htonl(0xCB007107));
  EXPECT_EQ(bytes_of(key.addr), network_bytes({203, 0, 113, 7}));
  const egress_index_key key6 = index_key(record("2001:db8:1:2:3:4:5:6"), EGRESS_CHAIN_PLAIN);
  EXPECT_EQ(bytes_of(key6.addr), network_bytes({0x20, 1, 0x0d, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}));
}

TEST(IndexKey, HoldsTheMaskedAddress) {
  EXPECT_EQ(bytes_of(index_key(record("203.0.113.255/25"), EGRESS_CHAIN_PLAIN).addr),
            network_bytes({203, 0, 113, 128}));
}

TEST(IndexKey, OfAnyHasNoAddress) {
  EXPECT_EQ(bytes_of(index_key(record("any:9"), EGRESS_CHAIN_PLAIN).addr), network_bytes({}));
}

TEST(IndexKey, OfRangesIsTheSameWhateverThePorts) {
  const egress_index_key a = index_key(record("1.2.3.4:10-20/tcp"), EGRESS_CHAIN_PLAIN);
  const egress_index_key b = index_key(record("1.2.3.4:11-3000/tcp"), EGRESS_CHAIN_PLAIN);
  EXPECT_EQ(std::memcmp(&a, &b, sizeof(a)), 0);
}

TEST(IndexPlace, IsInThePartOfItsChain) {
  constexpr std::uint32_t mask = 63;
  for (std::uint64_t hash = 0; hash < 1000; ++hash) {
    EXPECT_LE(egress_index_place(hash * 0x9E3779B97F4A7C15u, EGRESS_CHAIN_PLAIN, mask), mask);
    const std::uint32_t mark = egress_index_place(hash * 0x9E3779B97F4A7C15u, EGRESS_CHAIN_MARK, mask);
    EXPECT_GT(mark, mask);
    EXPECT_LE(mark, mask + 16);
  }
}

// ---- ranks ----

TEST(Shapes, AreOrderedByLengthThenMarkThenPortThenProtocol) {
  const std::vector<egress_shape> want{{EGRESS_KIND_MARK, 32, 0, 0},
                                       {exact | proto, 32, 0, 0},
                                       {exact, 32, 0, 0},
                                       {range | proto, 32, 0, 0},
                                       {range, 32, 0, 0},
                                       {proto, 32, 0, 0},
                                       {0, 32, 0, 0},
                                       {EGRESS_KIND_MARK, 31, 0, 0},
                                       {exact | proto, 31, 0, 0},
                                       {0, 9, 0, 0},
                                       {exact, 0, 0, 0},
                                       {0, 0, 0, 0}};
  for (std::size_t i = 0; i < want.size(); ++i) {
    for (std::size_t j = 0; j < want.size(); ++j) EXPECT_EQ(comes_before(want[i], want[j]), i < j) << i << " " << j;
  }
}

TEST(Shapes, OfIpv6AreOrderedAlike) {
  EXPECT_TRUE(comes_before(egress_shape{v6 | range, 128, 0, 0}, egress_shape{v6 | proto, 128, 0, 0}));
  EXPECT_TRUE(comes_before(egress_shape{v6, 128, 0, 0}, egress_shape{v6 | exact | proto, 127, 0, 0}));
}

egress_rule record_of(std::string_view text, std::uint32_t id) {
  RuleSpec spec;
  spec.destination = destination(text);
  return encode_rule(spec, {.id = RuleId{id}, .set = 1, .comes = 1, .created_at = {}});
}

TEST(Rules, AreOrderedByTheRankOfTheContract) {
  const std::vector<egress_rule> want{
      record_of("1.2.3.4:80/tcp", 9),     record_of("1.2.3.4:80", 8),         record_of("1.2.3.4:80-81/tcp", 7),
      record_of("1.2.3.4:80-90/tcp", 6),  record_of("1.2.3.4:80-81", 5),      record_of("1.2.3.4:70-90", 4),
      record_of("1.2.3.4:1-65535", 3),    record_of("1.2.3.4/tcp", 2),        record_of("1.2.3.4", 1),
      record_of("1.2.3.0/24:80/tcp", 10), record_of("1.2.3.0/24:80/tcp", 11), record_of("any", 1)};
  for (std::size_t i = 0; i < want.size(); ++i) {
    for (std::size_t j = 0; j < want.size(); ++j) EXPECT_EQ(comes_before(want[i], want[j]), i < j) << i << " " << j;
  }
}

TEST(Rules, OfOneDestinationAreOrderedById) {
  EXPECT_TRUE(comes_before(record_of("any", 1), record_of("any", 0xFFFFFFFF)));
  EXPECT_FALSE(comes_before(record_of("any", 0xFFFFFFFF), record_of("any", 1)));
}

// ---- expiry ----

TEST(Expiry, IsCreationPlusLifetime) {
  EXPECT_EQ(encode_expiry(BootTime{5s}, 90s), 95'000'000'000u);
  EXPECT_EQ(encode_expiry(BootTime{5s}, std::nullopt), EGRESS_FOREVER);
  EXPECT_EQ(encode_expiry(std::optional{BootTime{5s}}), 5'000'000'000u);
  EXPECT_EQ(encode_expiry(std::optional<BootTime>{}), EGRESS_FOREVER);
}

TEST(Expiry, BeyondTheClockIsItsEndAndNotTheBeginning) {
  const std::uint64_t sum = encode_expiry(BootTime{nanoseconds::max()}, nanoseconds::max());
  EXPECT_NE(sum, EGRESS_FOREVER);
  EXPECT_EQ(decode_expiry(sum), (BootTime{nanoseconds::max()}));
}

TEST(Expiry, OfANegativeTimeIsZero) {
  EXPECT_EQ(encode_expiry(std::optional{BootTime{-5s}}), 0u);
  EXPECT_EQ(encode_expiry(BootTime{5s}, -90s), 5'000'000'000u);
}

TEST(Expiry, SurvivesEncodeAndDecode) {
  EXPECT_EQ(decode_expiry(EGRESS_FOREVER), std::nullopt);
  EXPECT_EQ(decode_expiry(encode_expiry(std::optional{BootTime{1234567ns}})), (BootTime{1234567ns}));
  EXPECT_EQ(decode_expiry(0), BootTime{});
}

// ---- rule records ----

RuleSpec full_spec() {
  return {.action = Action::Audit,
          .destination = destination("203.0.113.0/25:4660-22136/udp"),
          .lifetime = 90s,
          .reason = {},
          .include_nd = true,
          .is_default = false,
          .is_loopback = false};
}

const RulePlace place{.id = RuleId{0x01020304}, .set = 0x0A0B, .comes = 77, .created_at = {1000s}, .reason = 0x0C0D};

TEST(RuleRecord, HoldsEveryField) {
  const egress_rule record = encode_rule(full_spec(), place);
  EXPECT_EQ(record.id, 0x01020304u);
  EXPECT_EQ(record.set, 0x0A0Bu);
  EXPECT_EQ(record.reason, 0x0C0Du);
  EXPECT_EQ(record.action, EGRESS_ACTION_AUDIT);
  EXPECT_EQ(record.flags, EGRESS_RULE_V4 | EGRESS_RULE_PROTO | EGRESS_RULE_INCLUDE_ND);
  EXPECT_EQ(record.proto, 17);
  EXPECT_EQ(record.plen, 25);
  EXPECT_EQ(record.port_first, 0x1234);
  EXPECT_EQ(record.port_last, 0x5678);
  EXPECT_EQ(record.turn, 77u);
  EXPECT_EQ(record.created, 1'000'000'000'000u >> 27);
  EXPECT_EQ(record.expires_at, 1'090'000'000'000u);
  EXPECT_EQ(bytes_of(record.addr), network_bytes({203, 0, 113}));
}

TEST(RuleRecord, StandsInNoChainAndIsNotDead) {
  const egress_rule record = encode_rule(full_spec(), place);
  for (const std::uint32_t next : record.next) EXPECT_EQ(next, 0u);
  EXPECT_EQ(record.turn & EGRESS_TURN_GOES, 0u);
}

TEST(RuleRecord, HasTheActionsOfTheContract) {
  for (const Action action : {Action::Drop, Action::Reject, Action::Audit, Action::Allow}) {
    RuleSpec spec = full_spec();
    spec.action = action;
    EXPECT_EQ(encode_rule(spec, place).action, static_cast<int>(action));
  }
  EXPECT_EQ(static_cast<int>(Action::Drop), EGRESS_ACTION_DROP);
  EXPECT_EQ(static_cast<int>(Action::Reject), EGRESS_ACTION_REJECT);
  EXPECT_EQ(static_cast<int>(Action::Audit), EGRESS_ACTION_AUDIT);
  EXPECT_EQ(static_cast<int>(Action::Allow), EGRESS_ACTION_ALLOW);
}

TEST(RuleRecord, OfAnyIcmpHasBothFamiliesAndNumberOne) {
  const egress_rule record = record_of("any/icmp", 1);
  EXPECT_EQ(record.flags, EGRESS_RULE_V4 | EGRESS_RULE_V6 | EGRESS_RULE_PROTO);
  EXPECT_EQ(record.proto, 1);
  EXPECT_EQ(record.plen, 0);
}

TEST(RuleRecord, OfAPrefixHasItsFamily) {
  EXPECT_EQ(record_of("0.0.0.0/0", 1).flags, EGRESS_RULE_V4);
  EXPECT_EQ(record_of("::/0", 1).flags, EGRESS_RULE_V6);
  EXPECT_EQ(record_of("2001:db8::/32/icmp", 1).proto, 1);
}

TEST(RuleRecord, OfAnyPortHasPortsZero) {
  EXPECT_EQ(record_of("1.2.3.4/tcp", 1).port_first, 0);
  EXPECT_EQ(record_of("1.2.3.4/tcp", 1).port_last, 0);
}

TEST(RuleRecord, TellsProtocolZeroFromNone) {
  EXPECT_EQ(record_of("any/0", 1).flags & EGRESS_RULE_PROTO, EGRESS_RULE_PROTO);
  EXPECT_EQ(record_of("any", 1).flags & EGRESS_RULE_PROTO, 0);
}

TEST(RuleRecord, FlagsWhatIsolateAdds) {
  RuleSpec spec;
  EXPECT_EQ(encode_rule(spec, place).flags & 0xF0, 0);
  spec.is_default = true;
  EXPECT_EQ(encode_rule(spec, place).flags & 0xF0, EGRESS_RULE_ISOLATE);
  spec.is_default = false;
  spec.is_loopback = true;
  EXPECT_EQ(encode_rule(spec, place).flags & 0xF0, EGRESS_RULE_ISOLATE);
  spec.is_loopback = false;
  spec.no_packet_sockets = true;
  EXPECT_EQ(encode_rule(spec, place).flags & 0xF0, EGRESS_RULE_NO_PACKET_SOCKETS);
}

TEST(RuleRecord, WithoutAnEndIsForever) {
  RuleSpec spec;
  spec.lifetime = std::nullopt;
  const egress_rule record = encode_rule(spec, place);
  EXPECT_EQ(record.expires_at, EGRESS_FOREVER);
  EXPECT_EQ(decode_rule(record)->expires_at, std::nullopt);
}

TEST(RuleRecord, TellsWhenItWasMade) {
  constexpr auto unit = std::chrono::nanoseconds(EGRESS_CREATED_UNIT);
  RuleSpec spec = full_spec();
  for (const auto created : {0ns, 1ns, unit - 1ns, unit, 999'999'999ns, 86400s + 134'000'001ns}) {
    SCOPED_TRACE(created.count());
    const auto told = [&] {
      return decode_rule(encode_rule(spec, {.id = RuleId{1}, .set = 1, .created_at = BootTime{created}}))->created_at;
    };
    spec.lifetime = 3600s;
    EXPECT_EQ(told(), BootTime{created}) << "known from the end";
    for (const Lifetime& lifetime : {Lifetime(1'500'000'000ns), Lifetime()}) {
      spec.lifetime = lifetime;
      EXPECT_LT(std::chrono::abs(told().since_boot - created), unit);
    }
  }
}

class RecordedDestination : public testing::TestWithParam<std::string> {};

TEST_P(RecordedDestination, SurvivesEncodeAndDecode) {
  for (int flags = 0; flags < 16; ++flags) {
    RuleSpec spec = full_spec();
    spec.destination = destination(GetParam());
    spec.include_nd = (flags & 1) != 0;
    // Of isolate: a closing rule drops, an exception for loopback allows.
    spec.action = (flags & 4) != 0 ? Action::Allow : Action::Drop;
    spec.is_default = (flags & 6) == 2;
    spec.is_loopback = (flags & 6) == 6;
    spec.no_packet_sockets = (flags & 8) != 0;
    const auto rule = decode_rule(encode_rule(spec, place));
    ASSERT_TRUE(rule) << rule.error().message();
    EXPECT_EQ(spec_of(*rule), spec);
    EXPECT_EQ(rule->id, place.id);
    EXPECT_EQ(rule->created_at, place.created_at);
    EXPECT_EQ(rule->expires_at, (BootTime{1090s}));
    EXPECT_EQ(rule->origin, Rule::Origin::Command);
  }
}

INSTANTIATE_TEST_SUITE_P(Texts, RecordedDestination,
                         testing::Values("any", "any:25", "any/icmp", "any/58", "any/0", "any/255", "any:1-65535/dccp",
                                         "0.0.0.0/0", "8.8.8.8", "8.8.8.8:53/udp", "10.128.0.0/9", "::/0", "::1",
                                         "[2001:db8::/33]:443-444/tcp", "2001:db8::1/icmp",
                                         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));

TEST(RuleSpec, OfARuleKeepsItsReasonAndWholeLifetime) {
  Rule rule;
  rule.reason = "IR-4211";
  rule.created_at = {10s};
  rule.expires_at = BootTime{70s};
  EXPECT_EQ(spec_of(rule).reason, "IR-4211");
  EXPECT_EQ(spec_of(rule).lifetime, 60s);
  rule.expires_at = std::nullopt;
  EXPECT_EQ(spec_of(rule).lifetime, std::nullopt);
}

struct DamageCase {
  void (*damage)(egress_rule&);
  std::string message;
};

class DamagedRecord : public testing::TestWithParam<DamageCase> {};

TEST_P(DamagedRecord, IsRefusedWithItsCause) {
  egress_rule record = record_of("203.0.113.0/24:80", 7);
  ASSERT_TRUE(decode_rule(record));
  GetParam().damage(record);
  const auto rule = decode_rule(record);
  ASSERT_FALSE(rule);
  EXPECT_EQ(rule.error().kind, ErrorKind::Failed);
  EXPECT_NE(rule.error().message().find("its record in the kernel is damaged: " + GetParam().message),
            std::string::npos)
      << rule.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    Fields, DamagedRecord,
    testing::Values(DamageCase{[](egress_rule& r) { r = {}; }, "no id"},
                    DamageCase{[](egress_rule& r) { r.id = 0; }, "no id"},
                    DamageCase{[](egress_rule& r) { r.action = 0; }, "action 0"},
                    DamageCase{[](egress_rule& r) { r.action = 5; }, "action 5"},
                    DamageCase{[](egress_rule& r) { r.flags = EGRESS_RULE_PROTO; }, "no address family"},
                    DamageCase{[](egress_rule& r) { r.plen = 33; }, "prefix length 33"},
                    DamageCase{[](egress_rule& r) { r.flags = EGRESS_RULE_V6, r.plen = 129; }, "prefix length 129"},
                    DamageCase{[](egress_rule& r) { r.flags = 3, r.plen = 1; }, "prefix length 1"},
                    DamageCase{[](egress_rule& r) { r.port_last = 79; }, "ports 80-79"},
                    DamageCase{[](egress_rule& r) { r.port_first = 0; }, "ports 0-80"}));

}  // namespace
}  // namespace egress
