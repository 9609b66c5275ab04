// SPDX-License-Identifier: GPL-2.0
// Which sockets a change of rules cuts, in which moment, and what it says that it did.
#include <gtest/gtest.h>

#include <cerrno>

#include "support/engine_lab.hpp"

namespace egress::test {
namespace {

class EngineCut : public ::testing::Test {
 protected:
  EngineCut() {
    app_ = lab_.world.mkdir("/app");
    lab_.world.mkdir("/app/worker");
    lab_.world.mkdir("/other");
  }

  Socket& connect(const std::string& path, const std::string& address, std::uint8_t protocol = protocol::tcp) {
    Socket socket;
    socket.state = Socket::State::Connected;
    socket.protocol = protocol;
    socket.remote = *parse_address(address);
    socket.remote_port = 0x1234;
    socket.cgroup = *lab_.world.cgroup_at(path);
    socket.key.netns = ++sockets_;
    socket.inode = sockets_;
    lab_.world.existing.push_back(socket);
    return lab_.world.existing.back();
  }
  /// The ends of the sockets that are left.
  [[nodiscard]] std::string left() const {
    std::string text;
    for (const Socket& socket : lab_.world.existing) text += format(socket.remote) + " ";
    return text;
  }
  CutReport add(const std::vector<std::string>& rules, Established established, Subject subject = cgroup("/app")) {
    Addition addition{std::move(subject), {}, {}, true, established};
    for (const std::string& text : rules) addition.rules.push_back(rule(text));
    const auto ids = lab_.engine.add(addition);
    EXPECT_TRUE(ids.ok()) << (ids ? "" : ids.error().message());
    return lab_.engine.cut();
  }
  [[nodiscard]] Reach reach(const std::string& text, Subject subject = cgroup("/app"),
                            std::span<const Socket> supposed = {}, const std::function<bool()>& wants_stopped = {}) {
    const auto found = lab_.engine.reach({std::move(subject), {rule(text)}, {}, false, {}}, supposed, wants_stopped);
    EXPECT_TRUE(found.ok());
    return found ? *found : Reach{};
  }

  EngineLab lab_;
  CgroupId app_{};
  std::uint64_t sockets_ = 0;
};

TEST_F(EngineCut, FollowsTheActionOfTheRuleThatDecides) {
  for (const auto& [established, survivors] : {std::pair{Established::Keep, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 "},
                                               {Established::ByAction, "10.0.0.2 10.0.0.3 10.0.0.4 "},
                                               {Established::Cut, "10.0.0.3 10.0.0.4 "}}) {
    lab_.world.existing.clear();
    for (const char* address : {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}) connect("/app", address);
    (void)add({"reject 10.0.0.1", "drop 10.0.0.2", "audit 10.0.0.3"}, established);
    EXPECT_EQ(left(), survivors);
  }
}

TEST_F(EngineCut, StrikesBeforeTheRuleIsSeenAndAgainBehindIt) {
  connect("/app", "10.0.0.1");
  std::vector<std::size_t> rules;
  lab_.world.when_destroyed = [&] {
    rules.push_back(lab_.rules().size());
    if (rules.size() == 1) connect("/app", "10.0.0.1");
  };
  const CutReport report = add({"reject 10.0.0.1"}, Established::Cut);
  EXPECT_EQ(rules, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(report.destroyed, 2U);
  EXPECT_EQ(report.late, 1U);
  EXPECT_EQ(left(), "");
}

TEST_F(EngineCut, SparesOtherCgroupsExceptionsAndListeners) {
  connect("/app", "10.0.0.1");
  connect("/app/worker", "10.0.0.2", protocol::udp);
  connect("/other", "10.0.0.3");
  connect("/app", "10.0.0.4");
  connect("/app", "10.0.0.5").state = Socket::State::Listening;
  connect("/app", "11.0.0.6");
  lab_.add(cgroup("/app"), "allow 10.0.0.4:4660/tcp");
  EXPECT_EQ(add({"drop 10.0.0.0/8"}, Established::Cut).destroyed, 2U);
  EXPECT_EQ(left(), "10.0.0.3 10.0.0.4 10.0.0.5 11.0.0.6 ");
}

TEST_F(EngineCut, AnAllowOfAnotherPolicySavesNothing) {
  connect("/app", "10.0.0.1");
  lab_.add(cgroup("/app"), rule("allow 10.0.0.1"), "mild");
  EXPECT_EQ(add({"drop 10.0.0.0/8"}, Established::Cut).destroyed, 1U);
}

TEST_F(EngineCut, WhatOnlyOlderRulesStopIsNotItsBusiness) {
  connect("/app", "10.0.0.1");
  lab_.add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(add({"reject 10.0.0.0/8"}, Established::Cut).destroyed, 0U) << "the older rule is the more specific";
  EXPECT_EQ(add({"reject 10.0.0.1"}, Established::Cut).destroyed, 1U) << "replaced";
}

TEST_F(EngineCut, SaysWhatItCouldNotDo) {
  connect("/app", "10.0.0.1");
  lab_.world.destroy_error = EOPNOTSUPP;
  const CutReport report = add({"reject 10.0.0.1"}, Established::Cut);
  EXPECT_EQ(report.destroyed, 0U);
  EXPECT_EQ(report.kept, 1U);
  EXPECT_NE(report.problem.find("CONFIG_INET_DIAG_DESTROY"), std::string::npos) << report.problem;
  EXPECT_EQ(lab_.fate("/app", "10.0.0.1"), "reject") << "the rule is made all the same";
}

TEST_F(EngineCut, SaysThatSocketsMayHaveBeenMissed) {
  lab_.world.listing_problem = "no such luck";
  EXPECT_EQ(add({"reject 10.0.0.1"}, Established::Cut).problem, "no such luck");
}

TEST_F(EngineCut, LooksForNothingWhereNothingIsToBeCut) {
  (void)add({"reject 10.0.0.1"}, Established::Keep);
  (void)add({"drop 10.0.0.1", "allow 10.0.0.2"}, Established::ByAction);
  (void)add({"reject 10.0.0.1"}, Established::Cut, cgroup("/later"));
  EXPECT_EQ(lab_.world.listings, 0);
}

TEST_F(EngineCut, AFailureCutsNothing) {
  connect("/app", "10.0.0.1");
  lab_.add(cgroup("/app"), "drop 10.0.0.9");
  EXPECT_FALSE(lab_.engine.add(
      {cgroup("/app"), {rule("reject 10.0.0.1"), rule("reject 10.0.0.9")}, {}, false, Established::Cut}));
  EXPECT_EQ(left(), "10.0.0.1 ");
}

TEST_F(EngineCut, APolicyIsJudgedAsAWhole) {
  connect("/app", "10.0.0.1");
  connect("/app", "10.0.0.2");
  connect("/other", "10.0.0.3");
  Policy policy;
  policy.name = "p";
  policy.subjects = {cgroup("/app"), cgroup("/other")};
  policy.rules = {rule("allow 10.0.0.1")};
  policy.default_deny = true;
  ASSERT_TRUE(lab_.engine.apply(policy, {{}, Established::Cut}).ok());
  EXPECT_EQ(left(), "10.0.0.1 ");
  connect("/app", "10.0.0.2");
  ASSERT_TRUE(lab_.engine.apply(policy, {{}, Established::Cut}).ok());
  EXPECT_EQ(left(), "10.0.0.1 ") << "a rule that stays counts";
}

TEST_F(EngineCut, ReachNamesForeignSocketsThatTheRuleWouldMatterTo) {
  lab_.world.held["/app/worker"] = {{1, 4711}, {1, 4712}, {2, 4711}, {3, 4711}, {4, 4711}, {5, 4711}, {99, 1}};
  connect("/other", "10.0.0.1");
  connect("/other", "10.0.0.2");
  connect("/other", "10.0.0.2", protocol::udp);
  connect("/other", "10.0.0.2").state = Socket::State::Listening;
  connect("/app", "10.0.0.2");
  connect("/other", "10.0.0.1");
  const Reach found = reach("drop 10.0.0.1");
  ASSERT_EQ(found.foreign.size(), 3U) << "to it, or who knows where to";
  EXPECT_EQ(found.foreign[0].holders, (std::vector{4711, 4712}));
  EXPECT_EQ(found.foreign[1].protocol, protocol::udp);
  EXPECT_EQ(found.foreign[2].state, Socket::State::Listening);
  EXPECT_TRUE(reach("audit 10.0.0.1").foreign.empty());
  EXPECT_TRUE(reach("allow 10.0.0.1").foreign.empty());
  EXPECT_EQ(reach("drop 10.0.0.1/tcp").foreign.size(), 2U);
  EXPECT_TRUE(reach("drop 10.0.0.1", only(cgroup("/app"))).foreign.empty()) << "the holder is below";
}

TEST_F(EngineCut, ForeignSocketsAreListedOnlyWhereAProcessHoldsAny) {
  const Socket elsewhere = connect("/other", "10.0.0.1");
  connect("/app", "10.0.0.1");
  const auto no = [] { return false; };
  EXPECT_TRUE(reach("drop 10.0.0.1", cgroup("/app"), {}, no).stopped.empty());
  EXPECT_EQ(lab_.world.listings, 0);
  EXPECT_EQ(reach("drop 10.0.0.1", cgroup("/app"), {}, [] { return true; }).stopped.size(), 1U);
  lab_.world.held["/app"] = {{elsewhere.inode, 7}};
  EXPECT_EQ(reach("drop 10.0.0.1", cgroup("/app"), {}, no).foreign.size(), 1U);
}

TEST_F(EngineCut, ASocketOfACgroupThatIsGoneIsForeignToAllButTheRoot) {
  connect("/other", "10.0.0.1");
  lab_.world.rmdir("/other");
  lab_.world.held["/app"] = {{1, 4711}};
  EXPECT_EQ(reach("drop 10.0.0.1").foreign.size(), 1U);
  EXPECT_TRUE(reach("drop 10.0.0.1", cgroup("/")).foreign.empty());
}

TEST_F(EngineCut, ReachJudgesSupposedSocketsUnlessTheyExist) {
  Socket session = connect("/other", "10.0.0.1");
  session.cgroup = app_;
  EXPECT_TRUE(reach("drop 10.0.0.1", cgroup("/app"), {&session, 1}).stopped.empty());
  lab_.world.existing.clear();
  EXPECT_EQ(reach("drop 10.0.0.1", cgroup("/app"), {&session, 1}).stopped.size(), 1U);
}

}  // namespace
}  // namespace egress::test
