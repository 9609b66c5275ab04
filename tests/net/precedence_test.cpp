// SPDX-License-Identifier: GPL-2.0
// Which of several rules decides (contract section 3), told by packets.
#include "support/flood.hpp"
#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Precedence : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    for (const int port : {7999, 8000, 8050, 8099, 8100}) {
      lab().peer().take_datagrams(static_cast<std::uint16_t>(port));
      lab().peer().accept_connections(static_cast<std::uint16_t>(port));
    }
  }
  static constexpr int dropped = EPERM;
  static constexpr int passed = 0;
};

TEST_F(Precedence, TheLongestPrefixDecidesWhateverTheOrder) {
  const Actor actor = lab().actor("/a");
  (void)added("allow cgroup /a to 203.0.113.7");
  (void)added("drop cgroup /a to 203.0.113.7:8050");
  (void)added("drop cgroup /a to 203.0.113.0/24,2001:db8:bad::/48");
  (void)added("allow cgroup /a to 2001:db8:bad::1");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8050}), dropped);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"198.51.100.9", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::1", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::2", 8000}), dropped);
}

TEST_F(Precedence, AnExactPortComesBeforeARangeBeforeAny) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7:8050");
  (void)added("allow cgroup /a to 203.0.113.7:8000-8099");
  (void)added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8099}), passed);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8050}), dropped);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8100}), dropped);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7999}), dropped);
}

TEST_F(Precedence, ANamedProtocolComesBeforeAny) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7:8000");
  (void)added("allow cgroup /a to 203.0.113.7:8000/tcp");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), dropped);
  EXPECT_EQ(actor.try_tcp({"203.0.113.7", 8000}), passed);
}

TEST_F(Precedence, AnyIsTheLeastSpecific) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to any:8000/udp");
  (void)added("allow cgroup /a to 203.0.113.0/24");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"198.51.100.9", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::1", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"198.51.100.9", 8050}), passed);
}

TEST_F(Precedence, AuditNeverDecidesAndAlwaysCounts) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.0/24");
  const auto audits = added("audit cgroup /a to 203.0.113.7,198.51.100.9:8000/udp,any");
  ASSERT_EQ(audits.size(), 3U);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"198.51.100.9", 8000}), passed);
  EXPECT_EQ(listed(audits[0])["packets"], 1);
  EXPECT_EQ(listed(audits[1])["packets"], 1);
  EXPECT_EQ(listed(audits[2])["packets"], 2);
}

TEST_F(Precedence, ADropIsFinalUpTheTree) {
  const Actor actor = lab().actor("/a/b");
  (void)added("drop cgroup /a to 203.0.113.7");
  (void)added("allow cgroup /a/b to 203.0.113.7");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), dropped) << "an allow below does not override";
  (void)added("drop cgroup /a/b to 203.0.113.8");
  (void)added("allow cgroup /a to 203.0.113.8");
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 8000}), dropped) << "an allow above does not override";
  EXPECT_EQ(lab().actor("/a").try_udp({"203.0.113.8", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"198.51.100.9", 8000}), passed);
}

TEST_F(Precedence, PoliciesAndNamesOfOneCgroupAreJudgedOneByOne) {
  const Actor actor = lab().actor("/s/x.service");
  (void)added("drop cgroup /s/x.service to 203.0.113.7 --name one");
  (void)added("allow cgroup /s/x.service to 203.0.113.7 --name two");
  (void)added("allow unit x.service to 203.0.113.7");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), dropped);
  (void)added("drop unit x.service to 203.0.113.8 --name one");
  (void)added("allow cgroup /s/x.service to 203.0.113.8 --name one");
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 8000}), dropped) << "another name is another subject";
  (void)done("rm --name one");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 8000}), passed);
}

TEST_F(Precedence, M3IsolateLeavesItsExceptionsAndLoopback) {
  const Actor actor = lab().actor("/a");
  const Outcome outcome = lab().egress("isolate cgroup /a allow 203.0.113.7:8050/udp,2001:db8:bad::1 -o json");
  ASSERT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8050}), passed);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 8050}), dropped);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::1", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::2", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"127.0.0.1", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"127.1.2.3", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"::1", 8000}), passed);
  EXPECT_EQ(lab().actor("/b").try_udp({"203.0.113.8", 8050}), passed);
}

TEST_F(Precedence, M3IsolateCutsLoopbackWhenAsked) {
  const Actor actor = lab().actor("/a");
  (void)done("isolate cgroup /a allow 203.0.113.7 --no-loopback");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), passed);
  EXPECT_EQ(actor.try_udp({"127.0.0.1", 8000}), dropped);
  EXPECT_EQ(actor.try_udp({"::1", 8000}), dropped);
}

TEST_F(Precedence, IsolateEndsLikeEveryRule) {
  const Actor actor = lab().actor("/a");
  (void)done("isolate cgroup /a allow 203.0.113.7 for 300ms");
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 8000}), dropped);
  EXPECT_TRUE(eventually(1s, [&] { return actor.try_udp({"203.0.113.8", 8000}) == passed; }));
}

TEST_F(Precedence, TheSameDestinationTwiceIsAnErrorUnlessReplaced) {
  const Actor actor = lab().actor("/a");
  const auto first = added("drop cgroup /a to 203.0.113.7:8000/udp for 20m");
  ASSERT_EQ(first.size(), 1U);
  const Outcome again = lab().egress("reject cgroup /a to 203.0.113.7:8000/udp");
  EXPECT_EQ(again.status, 1);
  EXPECT_NE(again.err.find("rule exists: id " + std::to_string(first[0])), std::string::npos) << again.err;
  EXPECT_NE(again.err.find("ends in 19m"), std::string::npos) << again.err;
  EXPECT_EQ(lab().list().size(), 1U);

  const auto second = added("allow cgroup /a to 203.0.113.7:8000/udp --replace");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0], first[0]);
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(listed(second[0])["action"], "allow");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 8000}), passed);
}

TEST_F(Precedence, OneDuplicateOfManyAddsNothing) {
  (void)added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(lab().egress("drop cgroup /a to 203.0.113.8,203.0.113.7,203.0.113.9").status, 1);
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(lab().actor("/a").try_udp({"203.0.113.8", 8000}), passed);
  // Another scope, policy or subject is another place.
  (void)added("drop cgroup /a to 203.0.113.7 only");
  (void)added("drop cgroup /a to 203.0.113.7 --name other");
  (void)added("drop cgroup /b to 203.0.113.7");
  EXPECT_EQ(lab().list().size(), 4U);
}

TEST_F(Precedence, H6AReplacementUnderFloodNeverLetsAPacketThrough) {
  (void)added("drop cgroup /a to 203.0.113.7");
  Flood flood = Flood::start({lab().make_cgroup("/a"), lab().network().client()}, {{{"203.0.113.7", 8000}}});
  for (int i = 0; i < 20; ++i) {
    flood.wait_for_rounds(100);
    (void)added("drop cgroup /a to 203.0.113.7 --replace");
  }
  flood.stop();
  EXPECT_EQ(flood.passed(0), 0U);
  EXPECT_GT(flood.rounds(), 2000U);
  lab().settle();
  EXPECT_EQ(lab().peer().arrived({"203.0.113.7", {}, {}, {}}).packets, 0U);
}

}  // namespace
}  // namespace egress::test
