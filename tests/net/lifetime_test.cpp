// SPDX-License-Identifier: GPL-2.0
// A rule ends when it says: judged by the kernel's clock, whoever is or is not running.
#include <csignal>
#include <random>

#include "support/flood.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t tick = 10'000'000;  ///< contract: over at most one clock tick (10 ms) after the deadline

class Lifetime : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().make_cgroup("/a");
    (void)done("load");
  }

  [[nodiscard]] std::size_t records() const {
    std::size_t used = 0;
    const PinnedMap rules(lab().pin_dir() + "/rules");
    for (std::uint32_t slot = 0; slot < 4096; ++slot) {
      const auto rule = rules.lookup<egress_rule>(slot);
      const egress_rule zero{};
      used += rule && std::memcmp(&*rule, &zero, sizeof zero) != 0;
    }
    return used;
  }
  [[nodiscard]] std::size_t size_of(const char* map) const { return PinnedMap(lab().pin_dir() + "/" + map).size(); }
};

TEST_F(Lifetime, RandomDeadlinesAreMetToTheTick) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto count = static_cast<std::uint16_t>(scaled(60));
  FloodPlan plan{{}, 1ms};
  std::vector<std::uint64_t> deadlines;
  for (std::uint16_t i = 0; i < count; ++i) {
    const Endpoint to{"203.0.113.7", static_cast<std::uint16_t>(2000 + i)};
    plan.destinations.push_back(to);
    lab().peer().take_datagrams(to.port);
    const auto ids = added("drop cgroup /a to " + to.text() + " for " + std::to_string(600 + random() % 1500) + "ms");
    const auto rule = read_rule(lab().pin_dir(), ids.at(0));
    ASSERT_TRUE(rule);
    deadlines.push_back(rule->expires_at);
  }
  Flood flood = Flood::start({lab().cgroup_directory("/a"), lab().network().client()}, plan);
  const std::uint64_t last = *std::max_element(deadlines.begin(), deadlines.end());
  ASSERT_TRUE(eventually(5s, [&] { return boot_now() > last + 50'000'000; }));
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  for (std::size_t i = 0; i < deadlines.size(); ++i) {
    SCOPED_TRACE("rule " + std::to_string(i));
    const auto story = flood.story(i);
    ASSERT_FALSE(story.empty());
    ASSERT_EQ(story.back().answer, 0U) << "still dropping";
    ASSERT_LE(story.size(), 2U) << "it was lifted and came back";
    EXPECT_GE(story.back().first_end, deadlines[i]) << "passed before the deadline";
    if (story.size() == 2) EXPECT_LE(story.front().last_start, deadlines[i] + tick) << "dropped after the deadline";
  }
}

TEST_F(Lifetime, RulesThatAreOverLeaveEveryMapByThemselves) {
  (void)added("drop cgroup /a to 203.0.113.7,any:25/tcp,2001:db8::/32,10.0.0.0/8:80-90 for 300ms --reason gone");
  const auto stays = added("drop cgroup /a to 203.0.113.8 forever");
  EXPECT_EQ(records(), 5U);
  EXPECT_TRUE(eventually(1500ms, [&] { return records() == 1 && size_of("members") == 1; }));
  EXPECT_EQ(size_of("counters"), 1U);
  EXPECT_EQ(size_of("reasons"), 0U);
  EXPECT_EQ(listed(stays.at(0)).value("destination", ""), "203.0.113.8");
}

TEST_F(Lifetime, RulesOfOtherToolsLeaveByThemselvesToo) {
  const PinnedMap configs(lab().pin_dir() + "/drop_configs");
  const PinnedMap rules(lab().pin_dir() + "/cgroup_rules");
  drop_config config{};
  config.dst_ip = 0x077100CB;  // 203.0.113.7
  config.cgroup_id = lab().cgroup_id("/a");
  config.ttl = 1;
  config.created_at = boot_now();
  ASSERT_TRUE(configs.update(std::uint32_t{9}, config));
  ASSERT_TRUE(rules.update(config.cgroup_id, std::uint32_t{9}));
  EXPECT_TRUE(eventually(2500ms, [&] { return configs.size() == 0 && rules.size() == 0; }));
  EXPECT_GE(boot_now(), config.created_at + 1'000'000'000);
}

TEST_F(Lifetime, AStoppedCommandThatHoldsTheLockDoesNotKeepRulesAlive) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7 for 300ms");
  // Stops somewhere in its work, and is killed only at the end.
  Running command(lab().invocation(words_of("drop cgroup /a to 203.0.113.9 for 300ms")));
  command.signal(SIGSTOP);
  EXPECT_TRUE(eventually(600ms, [&] { return actor.try_udp({"203.0.113.7", 7}) == 0; }));
  command.signal(SIGCONT);
  EXPECT_EQ(command.finish().status, 0);
}

TEST_F(Lifetime, ExtendMovesTheEndAndNothingElse) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7:7/udp for 3s");
  const auto rule = read_rule(lab().pin_dir(), ids.at(0));
  ASSERT_TRUE(rule);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7}), EPERM);
  (void)done("extend " + std::to_string(ids.at(0)) + " for 1h");
  ASSERT_TRUE(eventually(5s, [&] { return boot_now() > rule->expires_at + tick; }));
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7}), EPERM);
  const auto extended = listed(ids.at(0));
  ASSERT_TRUE(extended.is_object());
  EXPECT_EQ(extended.value("packets", 0), 2);
  EXPECT_GT(extended.value("ttl_left_s", 0.0), 3590.0);
}

// I6: the moment in which a rule goes over is where a late sweep could take its successor with it.
TEST_F(Lifetime, I6ARuleReplacedAroundItsEndIsNeverSweptAway) {
  const Actor actor = lab().actor("/a");
  for (int round = 0; round < 40; ++round) {
    (void)added("drop cgroup /a to 203.0.113.7 for 240ms --replace");
    std::this_thread::sleep_for(std::chrono::milliseconds(225 + round % 20));
    (void)added("drop cgroup /a to 203.0.113.7 for 1h --replace");
    ASSERT_EQ(actor.try_udp({"203.0.113.7", 7}), EPERM) << "round " << round;
  }
  std::this_thread::sleep_for(600ms);  // two sweeps
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7}), EPERM);
  EXPECT_EQ(lab().list().size(), 1U);
}

}  // namespace
}  // namespace egress::test
