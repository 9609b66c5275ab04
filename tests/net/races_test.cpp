// SPDX-License-Identifier: GPL-2.0
// The kernel's own work (sweep, names of new cgroups) against commands at the same moment.
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "support/flood.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Races : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    (void)done("load");
  }
  [[nodiscard]] std::size_t size_of(const char* map) const { return PinnedMap(lab().pin_dir() + "/" + map).size(); }
};

// I6: a rule is extended or replaced in the moment in which it goes over.
TEST_F(Races, I6WhatIsExtendedAroundItsEndIsInForceWhenReported) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Actor actor = lab().actor("/a");
  std::uint64_t in_time = 0, late = 0;
  for (std::uint64_t round = 0; round < scaled(24); ++round) {
    const auto ids = added("drop cgroup /a to 203.0.113.7 for 200ms --replace");
    const auto rule = read_rule(lab().pin_dir(), ids.at(0));
    if (!rule) continue;  // the command was slow to end, as in a sanitized build: over and swept
    // The command itself takes some 10 ms until it looks at the rule.
    const std::uint64_t moment = rule->expires_at - 20'000'000 + random() % 22'000'000;
    ASSERT_TRUE(eventually(1s, [&] { return boot_now() >= moment; }));
    const Outcome outcome = lab().egress("extend " + std::to_string(ids.at(0)) + " for 1h");
    const int sent = actor.try_udp(forbidden);
    if (outcome.status == 0) {
      ++in_time;
      ASSERT_EQ(sent, EPERM) << "round " << round;
      ASSERT_TRUE(eventually(1s, [&] { return boot_now() >= rule->expires_at + 10'000'000; }));
      ASSERT_EQ(actor.try_udp(forbidden), EPERM) << "round " << round << ": swept away";
    } else {
      ++late;
      ASSERT_EQ(outcome.status, 3) << outcome.text();
      ASSERT_EQ(sent, 0) << "round " << round << ": reported as over, and in force";
    }
  }
  ASSERT_GT(in_time + late, 0U);
  RecordProperty("in_time", std::to_string(in_time));
  std::this_thread::sleep_for(600ms);  // two sweeps
  (void)done("drop cgroup /a to 203.0.113.7 --replace");
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(count_chains(lab().pin_dir()), 1U) << in_time << " in time, " << late << " late";
  EXPECT_EQ(size_of("counters"), 1U);
}

// I6: the sweep and a writer exclude each other; the race of the test before is too rare to show it.
TEST_F(Races, I6NothingIsSweptWhileAWriterHasTheWord) {
  if (access((lab().pin_dir() + "/egress_arm").c_str(), F_OK) != 0) {
    GTEST_SKIP() << "kernel lacks timers for the sweep (5.15)";
  }
  const PinnedMap map(lab().pin_dir() + "/control");
  const auto control = [&] { return map.lookup<egress_control>(std::uint32_t{0}).value_or(egress_control{}); };
  const auto give_word_to = [&](std::uint32_t holder, std::uint64_t lease_until) {
    egress_control changed = control();
    changed.maintenance = holder;
    changed.lease_until = lease_until;
    return map.update(std::uint32_t{0}, changed);
  };
  const std::uint32_t id = added("drop cgroup /a to 203.0.113.7 for 1s").at(0);
  const auto rule = read_rule(lab().pin_dir(), id);
  ASSERT_TRUE(rule);
  ASSERT_TRUE(give_word_to(EGRESS_MAINTENANCE_LIBRARY, boot_now() + 3'600'000'000'000));
  const std::uint64_t two_sweeps_later = rule->expires_at + 600'000'000;
  ASSERT_TRUE(eventually(10s, [&] { return control().swept_at >= two_sweeps_later; })) << "the timer does not run";
  EXPECT_TRUE(read_rule(lab().pin_dir(), id)) << "swept under the hands of a writer";
  ASSERT_TRUE(give_word_to(EGRESS_MAINTENANCE_FREE, 0));
  EXPECT_TRUE(eventually(2s, [&] { return !read_rule(lab().pin_dir(), id); }));
}

/// Makes and removes cgroups of eight names until it is told to stop; 0 unless it could not.
int churn(const std::string& parent, int number, const std::atomic<bool>& stop) {
  while (!stop) {
    for (int i = 0; i < 8; ++i) {
      const std::string path = parent + "/u" + std::to_string(number) + "-" + std::to_string(i) + ".service";
      if (mkdir(path.c_str(), 0755) != 0) return 1;
      if (rmdir(path.c_str()) != 0) return 2;
    }
  }
  return 0;
}

TEST_F(Races, CgroupsThatComeAndGoWhileTheirNamesDoLeaveNothingBehind) {
  const std::string parent = lab().make_cgroup("/system.slice");
  const std::size_t bindings = size_of("bindings"), names = size_of("names");
  std::atomic<bool> stop = false;
  std::array<int, 2> ended{-1, -1};
  std::vector<std::thread> churners;
  for (int number = 0; number < 2; ++number) {
    churners.emplace_back([&, number] { ended[static_cast<std::size_t>(number)] = churn(parent, number, stop); });
  }
  for (std::uint64_t round = 0; round < scaled(20); ++round) {
    const std::string unit = "u" + std::to_string(round % 2) + "-" + std::to_string(round % 8) + ".service";
    (void)done("drop unit " + unit + " to 203.0.113.7");
    (void)done("drop cgroup /system.slice/" + unit + " to 203.0.113.7");
    (void)done("rm unit " + unit);
    (void)done("rm cgroup /system.slice/" + unit);
  }
  (void)done("drop unit u0-3.service to 203.0.113.7");
  stop = true;
  for (std::thread& churner : churners) churner.join();
  EXPECT_EQ(ended[0], 0);
  EXPECT_EQ(ended[1], 0);
  const Outcome status = lab().egress("status -o json");
  EXPECT_EQ(status.status, 0) << status.text();
  const nlohmann::json said = status.json();
  for (const nlohmann::json& finding : said["findings"]) EXPECT_EQ(finding["severity"], "note") << finding;
  (void)done("rm --all");
  // A removed cgroup is forgotten when its last reference goes, a moment later.
  EXPECT_TRUE(eventually(5s, [&] { return size_of("bindings") == bindings; }))
      << size_of("bindings") << " bindings, " << bindings << " before";
  EXPECT_EQ(size_of("names"), names);
  EXPECT_EQ(count_chains(lab().pin_dir()), 0U);
  EXPECT_EQ(size_of("counters"), 0U);
}

// H7: counters are no part of what a new deadline is written into.
TEST_F(Races, H7ExtendingUnderFloodLosesNoCount) {
  lab().make_cgroup("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7");
  Flood flood = Flood::start({lab().cgroup_directory("/a"), lab().network().client()}, {{forbidden}});
  for (std::uint64_t round = 0; round < scaled(40); ++round) {
    flood.wait_for_rounds(100);
    (void)done("extend " + std::to_string(ids.at(0)) + " for " + std::to_string(60 + round) + "m");
  }
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  EXPECT_EQ(flood.passed(0), 0U);
  const nlohmann::json rule = listed(ids.at(0));
  EXPECT_EQ(rule["packets"], flood.rounds());
  EXPECT_EQ(rule["bytes"], flood.rounds() * (64 + 28));
}

// H8: in a table of eight places every change takes the place of a rule that packets met a moment ago.
TEST_F(Races, H8AReusedPlaceNeverCountsTheWrongRule) {
  (void)done("unload");
  (void)done("load --max-rules 8");
  lab().make_cgroup("/a");
  const Endpoint comes_and_goes{"203.0.113.8", 7};
  const auto kept = added("drop cgroup /a to 203.0.113.7 forever");
  Flood flood = Flood::start({lab().cgroup_directory("/a"), lab().network().client()}, {{forbidden, comes_and_goes}});
  std::set<std::uint32_t> places;
  std::uint64_t counted = 0;
  for (std::uint64_t round = 0; round < scaled(40); ++round) {
    const auto met = added("drop cgroup /a to 203.0.113.8");
    const auto never_met = added("drop cgroup /a to 203.0.113.9,203.0.113.8:8/udp,2001:db8:bad::1");
    ASSERT_EQ(never_met.size(), 3U);
    places.insert({met.at(0) % 8, never_met[0] % 8, never_met[1] % 8, never_met[2] % 8});
    flood.wait_for_rounds(20);
    for (const nlohmann::json& rule : lab().list()) {
      const std::uint32_t id = rule["id"];
      if (id == met[0]) counted += rule["packets"].get<std::uint64_t>();
      if (id != met[0] && id != kept.at(0)) {
        ASSERT_EQ(rule["packets"], 0U) << rule.dump() << " in round " << round;
      }
    }
    std::string all = "rm " + std::to_string(met[0]);
    for (const std::uint32_t id : never_met) all += " " + std::to_string(id);
    (void)done(all);
  }
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  EXPECT_EQ(flood.passed(0), 0U);
  EXPECT_EQ(places.size(), 7U) << "the places did not change hands";
  EXPECT_EQ(listed(kept[0])["packets"], flood.rounds());
  std::uint64_t refused = 0;
  for (const Stretch& stretch : flood.story(1)) refused += stretch.answer == EPERM ? stretch.count : 0;
  EXPECT_GT(counted, 0U);
  EXPECT_LE(counted, refused);
  EXPECT_EQ(read_stats(lab().pin_dir()).packets_dropped, flood.rounds() + refused);
}

// A cgroup that is being made while the rule for its name is added is bound by one or the other.
TEST_F(Races, ACgroupMadeWhileItsRuleIsAddedIsBound) {
  const std::string home = lab().make_cgroup("/home");
  for (std::uint64_t round = 0; round < scaled(12); ++round) {
    const std::string name = "r" + std::to_string(round) + ".service";
    Running add(lab().invocation(words_of("drop unit " + name + " to 203.0.113.7")));
    std::vector<std::string> made;
    // Many of that name, so that some are made at any moment of the command.
    for (int i = 0; i < 60; ++i) made.push_back(lab().make_cgroup("/p" + std::to_string(i) + "/" + name));
    const Outcome outcome = add.finish();
    ASSERT_EQ(outcome.status, 0) << outcome.text();
    const auto rules = lab().list();
    ASSERT_EQ(rules.size(), round + 1);
    EXPECT_EQ(rules.back()["subject"]["cgroup_ids"].size(), made.size()) << "round " << round;
    const Actor actor = lab().actor("/p" + std::to_string(round % 60) + "/" + name);
    EXPECT_EQ(actor.try_udp(forbidden), EPERM) << "round " << round;
  }
}

}  // namespace
}  // namespace egress::test
