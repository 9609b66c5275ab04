// SPDX-License-Identifier: GPL-2.0
// Policy files: what apply makes of them, in one moment.
#include <csignal>

#include "support/flood.hpp"
#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class PolicyFile : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().make_cgroup("/a");
    lab().make_cgroup("/b");
    for (const std::uint16_t port : {7000, 7001}) lab().peer().take_datagrams(port);
    (void)done("load");
  }
  [[nodiscard]] static std::string forbidding(const std::string& destination) {
    return "policy: either\nttl: 1h\nsubjects: [{cgroup: /a}]\nrules:\n  - {action: drop, to: \"" + destination +
           "\"}\n";
  }
  /// What is in force, without ids, counts and times.
  [[nodiscard]] std::vector<std::string> in_force() const {
    std::vector<std::string> rules;
    for (const auto& rule : lab().list()) {
      rules.push_back(rule["subject"].dump() + rule["action"].dump() + rule["destination"].dump() +
                      rule["policy"].dump() + rule["reason"].dump());
    }
    std::sort(rules.begin(), rules.end());
    return rules;
  }
};

const char* const contain = R"(policy: contain
ttl: 2h
reason: IR-4211
subjects:
  - cgroup: /a
  - unit: payroll.service
rules:
  - {action: drop,  to: ["203.0.113.0/24", "2001:db8:bad::/48"]}
  - {action: allow, to: ["203.0.113.7:7000/udp"]}
  - {action: audit, to: ["any:53/udp"], ttl: 1d}
)";

TEST_F(PolicyFile, IsAppliedToEverySubject) {
  (void)done("apply -f -", contain);
  EXPECT_EQ(lab().list().size(), 8U);
  const Actor actor = lab().actor("/a");
  const Actor unit = lab().actor("/slice/payroll.service");
  for (const Actor* each : {&actor, &unit}) {
    EXPECT_EQ(each->try_udp({"203.0.113.7", 7000}), 0);
    EXPECT_EQ(each->try_udp({"203.0.113.7", 7001}), EPERM);
    EXPECT_EQ(each->try_udp({"203.0.113.8", 7000}), EPERM);
  }
  EXPECT_EQ(lab().actor("/b").try_udp({"203.0.113.8", 7000}), 0);
}

TEST_F(PolicyFile, AppliedAgainKeepsIdsAndCounts) {
  (void)done("apply -f -", contain);
  EXPECT_EQ(lab().actor("/a").try_udp({"203.0.113.8", 7000}), EPERM);
  const auto before = lab().list();
  (void)done("apply -f -", contain);
  const auto after = lab().list();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i]["id"], before[i]["id"]);
    EXPECT_EQ(after[i]["packets"], before[i]["packets"]);
  }
}

TEST_F(PolicyFile, ExportedAppliesBackToTheSameRules) {
  (void)done("apply -f -", contain);
  (void)added("reject cgroup /b to 198.51.100.9:443 for 1h --name other --reason x");
  (void)done("apply -f -",
             "policy: shut\nsubjects: [{cgroup: /b, only: true}]\ndefault: deny\nrules:\n"
             "  - {action: allow, to: \"203.0.113.7\"}\n");
  const auto before = in_force();
  for (const char* name : {"contain", "other", "shut"}) {
    const Outcome exported = done(std::string("export --name ") + name);
    (void)done(std::string("rm --name ") + name);
    (void)done("apply -f -", exported.out);
  }
  EXPECT_EQ(in_force(), before);
}

TEST_F(PolicyFile, IsCheckedAndComparedWithoutAChange) {
  (void)done("check -f -", contain);
  EXPECT_EQ(lab().list().size(), 0U);
  const Outcome diff = done("diff -f -", contain);
  EXPECT_NE(diff.out.find("+ drop cgroup /a to 203.0.113.0/24"), std::string::npos) << diff.out;
  EXPECT_EQ(lab().list().size(), 0U);
}

TEST_F(PolicyFile, WithErrorsNamesEachPlaceAndChangesNothing) {
  (void)done("apply -f -", contain);
  const auto before = in_force();
  const std::string file =
      lab().write_file("bad.yaml",
                       "policy: contain\nsubjects: [{cgroup: /a}]\ncolour: red\nrules:\n"
                       "  - {action: drop, to: \"203.0.113.300\"}\n  - {action: dorp, to: \"203.0.113.7\"}\n");
  const Outcome outcome = lab().egress("apply -f " + file);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("bad.yaml:3:1"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("bad.yaml:5:"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("bad.yaml:6:"), std::string::npos) << outcome.err;
  EXPECT_EQ(in_force(), before);
}

TEST_F(PolicyFile, ListsAreReadBesideTheFile) {
  (void)lab().write_file("c2.txt", "# feed\n203.0.113.8\n198.51.100.0/24 # comment\n\n2001:db8:bad::/48\n");
  const std::string file = lab().write_file(
      "list.yaml", "policy: feed\nsubjects: [{cgroup: /a}]\nlists:\n  - {action: drop, file: c2.txt}\n");
  (void)done("apply -f " + file);
  const Actor actor = lab().actor("/a");
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 7000}), EPERM);
  EXPECT_EQ(actor.try_udp({"198.51.100.9", 7000}), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), 0);
}

// H6: exactly one of two destinations is forbidden at any time; no send may find neither or both.
TEST_F(PolicyFile, H6ReplacedUnderFloodForbidsExactlyOneAtAnyTime) {
  const Endpoint first{"203.0.113.7", 7000};
  const Endpoint second{"203.0.113.8", 7001};
  (void)done("apply -f -", forbidding(first.text()));
  FloodPlan plan{{first, second}};
  plan.which_is_forbidden = true;
  Flood flood = Flood::start({lab().cgroup_directory("/a"), lab().network().client()}, plan);
  flood.wait_for_rounds(100);
  const std::uint64_t times = scaled(100);
  struct Apply {
    std::uint64_t before, after;
  };
  std::vector<Apply> applies;
  for (std::uint64_t i = 0; i < times; ++i) {
    const std::uint64_t before = boot_now();
    (void)done("apply -f -", forbidding(i % 2 == 0 ? second.text() : first.text()));
    applies.push_back({before, boot_now()});
    flood.wait_for_rounds(5);
  }
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  // One story of "which is forbidden": each apply turns it over once, within the time of that apply.
  const auto story = flood.story();
  ASSERT_EQ(story.size(), times + 1);
  for (std::size_t i = 0; i < applies.size(); ++i) {
    EXPECT_GE(story[i + 1].first_end, applies[i].before) << "apply " << i;
    EXPECT_LE(story[i].last_start, applies[i].after) << "apply " << i;
  }
}

TEST_F(PolicyFile, OnTrialIsTakenBackByItselfAlsoWhenTheCallerIsDead) {
  const Actor actor = lab().actor("/a");
  (void)done("apply -f -", forbidding("203.0.113.7"));
  Running apply(lab().invocation(
      words_of("apply -f " + lab().write_file("new.yaml", forbidding("203.0.113.8")) + " --confirm 700ms")));
  ASSERT_TRUE(eventually(5s, [&] { return actor.try_udp({"203.0.113.8", 7000}) == EPERM; }));
  apply.signal(SIGKILL);
  (void)apply.finish();
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), 0) << "the former rule is out of force";
  EXPECT_TRUE(eventually(1500ms, [&] { return actor.try_udp({"203.0.113.7", 7000}) == EPERM; })) << "it is back";
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 7000}), 0);
  ASSERT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(lab().list()[0]["destination"], "203.0.113.7");
}

TEST_F(PolicyFile, ConfirmedStays) {
  const Actor actor = lab().actor("/a");
  (void)done("apply -f -", forbidding("203.0.113.7"));
  (void)done("apply --confirm 600ms -f -", forbidding("203.0.113.8"));
  (void)done("confirm");
  std::this_thread::sleep_for(700ms);  // beyond the end of the trial
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 7000}), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), 0);
  EXPECT_EQ(lab().egress("confirm").status, 3) << "nothing waits any more";
}

}  // namespace
}  // namespace egress::test
