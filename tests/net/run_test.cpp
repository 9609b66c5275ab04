// SPDX-License-Identifier: GPL-2.0
// `egress run`: a command in a cgroup of its own, under rules from its first act on.
#include <csignal>
#include <filesystem>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class RunCommand : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().peer().take_datagrams(7000);
    (void)done("load");
  }

  /// `egress run` in the client's network.
  [[nodiscard]] Invocation running(const std::string& options, const std::string& shell) const {
    Words words = words_of("run " + options + " --");
    words.insert(words.end(), {"bash", "-c", shell});
    Invocation invocation = lab().invocation(words);
    invocation.place.netns = lab().network().client();
    return invocation;
  }
  [[nodiscard]] Outcome ran(const std::string& options, const std::string& shell) const {
    return run(running(options, shell));
  }
  /// Cgroups below the enforced root.
  [[nodiscard]] std::size_t cgroups() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(lab().cgroup_root())) count += entry.is_directory();
    return count;
  }
  void expect_nothing_left() const {
    EXPECT_EQ(lab().list().size(), 0U);
    EXPECT_EQ(cgroups(), 0U);
  }
};

TEST_F(RunCommand, DropsFromTheFirstActOn) {
  const Outcome outcome = ran("--drop 203.0.113.7:7000/udp", "echo x > /dev/udp/203.0.113.7/7000");
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.err.find("not permitted"), std::string::npos) << outcome.text();
  lab().settle();
  EXPECT_EQ(lab().peer().datagrams({"203.0.113.7", 7000}).packets, 0U);
  expect_nothing_left();
}

TEST_F(RunCommand, DefaultDenyLeavesOnlyWhatIsAllowed) {
  const Outcome outcome = ran("--default-deny --allow 203.0.113.8:7000/udp",
                              "echo x > /dev/udp/203.0.113.8/7000 || exit 1; echo x > /dev/udp/203.0.113.7/7000 "
                              "&& exit 2; exit 0");
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  lab().settle();
  EXPECT_EQ(lab().peer().datagrams({"203.0.113.8", 7000}).packets, 1U);
  EXPECT_EQ(lab().peer().datagrams({"203.0.113.7", 7000}).packets, 0U);
  expect_nothing_left();
}

TEST_F(RunCommand, PassesTheExitStatusOn) {
  EXPECT_EQ(ran("--drop 203.0.113.7", "exit 42").status, 42);
  EXPECT_EQ(ran("--drop 203.0.113.7", "kill -TERM $$").status, 128 + SIGTERM);
  EXPECT_EQ(lab().egress("run --drop 203.0.113.7 -- /no/such/command").status, 127);
  expect_nothing_left();
}

TEST_F(RunCommand, HandsSignalsOnAndCleansUp) {
  Running command(running("--drop 203.0.113.7", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"));
  ASSERT_TRUE(eventually(5s, [&] { return cgroups() == 1 && lab().list().size() == 1; }));
  std::this_thread::sleep_for(300ms);  // bash sets its trap
  command.signal(SIGTERM);
  EXPECT_EQ(command.finish().status, 5);
  expect_nothing_left();
}

TEST_F(RunCommand, EndsWhatTheCommandLeftBehind) {
  EXPECT_EQ(ran("--drop 203.0.113.7", "sleep 1000 > /dev/null 2>&1 & exit 0").status, 0);
  expect_nothing_left();
}

TEST_F(RunCommand, RefusesAWrongRuleBeforeItStartsAnything) {
  const Outcome outcome = lab().egress("run --drop 203.0.113.7:99999 -- touch " + lab().directory() + "/started");
  EXPECT_EQ(outcome.status, 2) << outcome.text();
  EXPECT_FALSE(std::filesystem::exists(lab().directory() + "/started"));
  expect_nothing_left();
}

}  // namespace
}  // namespace egress::test
