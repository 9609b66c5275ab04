// SPDX-License-Identifier: GPL-2.0
// Policies: applied as a whole, exported, taken back; and what packets see while they change.
#include <algorithm>
#include <csignal>
#include <set>

#include "support/flood.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

const char* const contain = R"(policy: contain-payroll
ttl: 2h
reason: IR-4211
subjects:
  - unit: payroll.service
  - cgroup: /batch
rules:
  - {action: drop,  to: ["203.0.113.0/24", "2001:db8:bad::/48"]}
  - {action: allow, to: ["203.0.113.7:443/tcp"]}
  - {action: audit, to: ["any:53/udp"], ttl: 1d}
)";

std::string forbid(const std::string& destination) {
  return "{policy: flip, ttl: 1h, subjects: [{cgroup: /a}], rules: [{action: drop, to: [\"" + destination + "\"]}]}";
}

class Policies : public NetTest {
 protected:
  /// What rules say, without ids, times and counts.
  [[nodiscard]] std::multiset<std::string> meaning() const {
    std::multiset<std::string> result;
    for (const nlohmann::json& rule : lab().list()) {
      const double left = rule["ttl_left_s"].is_null() ? -1 : rule["ttl_left_s"].get<double>();
      result.insert(rule["action"].dump() + rule["subject"]["kind"].dump() + rule["subject"]["name"].dump() +
                    rule["subject"]["scope"].dump() + rule["destination"].dump() + rule["policy"].dump() +
                    rule["reason"].dump() +
                    (left < 0        ? "forever"
                     : left > 80'000 ? "1d"
                     : left > 6000   ? "2h"
                                     : "less"));
    }
    return result;
  }
  [[nodiscard]] nlohmann::json difference(const std::string& policy) const {
    return lab().egress("diff -f - -o json", policy).json();
  }
};

TEST_F(Policies, ApplyMakesTheRulesEqualToTheFile) {
  (void)done("apply -f -", contain);
  const auto first = meaning();
  EXPECT_EQ(first.size(), 8U);  // two subjects, four destinations
  const Actor batch = lab().actor("/batch/job");
  const Actor unit = lab().actor("/system.slice/payroll.service");
  lab().peer().accept_connections(443);
  for (const Actor* actor : {&batch, &unit}) {
    EXPECT_EQ(actor->try_udp({"203.0.113.8", 1}), EPERM);
    EXPECT_EQ(actor->try_tcp({"203.0.113.7", 443}), 0);
    EXPECT_EQ(actor->try_udp({"203.0.113.7", 443}), EPERM);
    EXPECT_EQ(actor->try_udp({"198.51.100.9", 53}), 0);
  }
  const std::string path = lab().write_file("p.yaml", contain);
  (void)done("apply -f " + path);
  EXPECT_EQ(meaning(), first) << "applied twice is applied once";
  (void)added("drop cgroup /batch to 198.51.100.9");
  std::string smaller = contain;
  smaller.erase(smaller.find("  - {action: audit"));
  (void)done("apply -f -", smaller);
  EXPECT_EQ(lab().list().size(), 7U) << "rules of others stay";
  (void)done("rm --name contain-payroll");
  EXPECT_EQ(lab().list().size(), 1U);
}

TEST_F(Policies, DiffTellsWhatApplyWouldDoAndDoesNothing) {
  (void)done("apply -f -", forbid("203.0.113.7"));
  const nlohmann::json same = difference(forbid("203.0.113.7"));
  EXPECT_EQ(same["added"].size() + same["removed"].size(), 0U);
  EXPECT_EQ(same["kept"].size(), 1U);
  const nlohmann::json other = difference(forbid("203.0.113.8"));
  EXPECT_EQ(other["added"].size(), 1U);
  EXPECT_EQ(other["removed"].size(), 1U);
  EXPECT_EQ(other["added"][0]["destination"], "203.0.113.8");
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(lab().list()[0]["destination"], "203.0.113.7");
}

TEST_F(Policies, ErrorsNameFileLineAndColumnAndApplyNothing) {
  (void)done("apply -f -", forbid("203.0.113.7"));
  const std::string path = lab().write_file("bad.yaml",
                                            "policy: flip\n"
                                            "subjects:\n"
                                            "  - cgroup: /a\n"
                                            "rules:\n"
                                            "  - {action: drop, to: [\"203.0.113.8\"]}\n"
                                            "  - {action: drop, too: [\"203.0.113.9\"]}\n");
  for (const std::string verb : {"check", "diff", "apply"}) {
    const Outcome outcome = lab().egress(verb + " -f " + path);
    EXPECT_EQ(outcome.status, 2) << verb;
    EXPECT_NE(outcome.err.find("bad.yaml:6:"), std::string::npos) << outcome.text();
  }
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(lab().list()[0]["destination"], "203.0.113.7");
  EXPECT_EQ(lab().egress("check -f " + lab().write_file("good.yaml", contain)).status, 0);
}

TEST_F(Policies, ListsAreReadFromFilesBesideThePolicy) {
  (void)lab().write_file("c2.txt", "# command and control\n203.0.113.7\n2001:db8:bad::1 # v6\n\n");
  const std::string path =
      lab().write_file("p.yaml", "{policy: feed, subjects: [{cgroup: /a}], lists: [{action: reject, file: c2.txt}]}");
  (void)done("apply -f " + path);
  const Actor actor = lab().actor("/a");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 1}), EPERM);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::1", 1}), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 1}), 0);
}

TEST_F(Policies, WhatIsExportedAppliesBackToTheSameRules) {
  (void)done("apply -f -", contain);
  const auto before = meaning();
  const std::string exported = done("export --name contain-payroll").out;
  (void)done("rm --all");
  (void)done("apply -f -", exported);
  EXPECT_EQ(meaning(), before) << exported;
}

TEST_F(Policies, AnExportedIsolationAppliesBackToTheSameRules) {
  (void)done("isolate cgroup /a allow 203.0.113.7:53/udp for 2h --name cage");
  const auto before = meaning();
  const std::string exported = done("export --name cage").out;
  (void)done("rm --all");
  (void)done("apply -f -", exported);
  EXPECT_EQ(meaning(), before) << exported;
  const Actor actor = lab().actor("/a");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), 0);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 54}), EPERM);
  EXPECT_EQ(actor.try_udp({"127.0.0.1", 54}), 0);
}

/// Two contents of one policy replace each other while a sender floods both destinations, exactly one of which
/// is forbidden at any time. Each single send tells which: the story of answers must therefore
/// change once for each apply, within it. Were there a moment of neither or both, two sends in a row would
/// contradict each other and the story would change more often.
TEST_F(Policies, H6AFlipUnderFloodIsTheOldOrTheNewForEveryPacket) {
  const std::string destinations[] = {"203.0.113.7", "203.0.113.8"};
  const std::string files[] = {lab().write_file("0.yaml", forbid(destinations[0])),
                               lab().write_file("1.yaml", forbid(destinations[1]))};
  (void)done("apply -f " + files[0]);
  Flood flood = Flood::start({lab().make_cgroup("/a"), lab().network().client()},
                             {{{destinations[0], 53}, {destinations[1], 53}}, 5us, true});
  struct Apply {
    std::uint64_t begin, end;
  };
  std::vector<Apply> applies;
  const std::size_t flips = scaled(100);
  for (std::size_t i = 1; i <= flips; ++i) {
    flood.wait_for_rounds(200);
    const std::uint64_t begin = boot_now();
    ASSERT_EQ(lab().egress("apply -f " + files[i % 2]).status, 0);
    applies.push_back({begin, boot_now()});
  }
  flood.wait_for_rounds(200);
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  const std::vector<Stretch> story = flood.story();
  ASSERT_EQ(story.size(), flips + 1) << "neither, both or a mixture was seen";
  for (std::size_t i = 0; i < story.size(); ++i) {
    EXPECT_EQ(story[i].answer, i % 2) << "after apply " << i;
    if (i == 0) continue;
    EXPECT_GE(story[i].first_end, applies[i - 1].begin) << "apply " << i << " was seen before it began";
    EXPECT_LE(story[i - 1].last_start, applies[i - 1].end) << "apply " << i << " returned before it was in force";
  }
}

TEST_F(Policies, M1AnUnconfirmedApplyIsTakenBackThoughTheCallerDied) {
  (void)done("apply -f -", forbid("203.0.113.7"));
  Flood flood = Flood::start({lab().make_cgroup("/a"), lab().network().client()},
                             {{{"203.0.113.7", 53}, {"203.0.113.8", 53}}, 0ns, true});
  flood.wait_for_rounds(100);
  Invocation call = lab().invocation(words_of("apply -f - --confirm 400ms"));
  call.input = forbid("203.0.113.8");
  Running apply(call);
  const std::uint64_t begin = boot_now();
  ASSERT_TRUE(eventually(2s, [&] { return flood.story().size() > 1; })) << "the new rules are in force at once";
  apply.signal(SIGKILL);  // if it still runs
  ASSERT_TRUE(eventually(2s, [&] { return flood.story().size() > 2; })) << "the old rules came back";
  flood.wait_for_rounds(1000);
  flood.stop();
  const std::vector<Stretch> story = flood.story();
  ASSERT_EQ(story.size(), 3U);
  EXPECT_EQ(story[2].answer, 0U);
  EXPECT_GE(story[2].first_end, begin + 400'000'000) << "taken back too early";
  EXPECT_LE(story[2].first_start - story[1].first_start, 400'000'000U + 60'000'000U) << "taken back too late";
  ASSERT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(lab().list()[0]["destination"], "203.0.113.7");
  EXPECT_EQ(lab().egress("confirm").status, 3) << "nothing waits any more";
}

TEST_F(Policies, AConfirmedApplyStays) {
  (void)done("apply -f -", forbid("203.0.113.7"));
  Flood flood = Flood::start({lab().make_cgroup("/a"), lab().network().client()},
                             {{{"203.0.113.7", 53}, {"203.0.113.8", 53}}, 100us, true});
  (void)done("apply -f - --confirm 2s", forbid("203.0.113.8"));
  (void)done("confirm");
  std::this_thread::sleep_for(2200ms);  // beyond the trial
  flood.stop();
  EXPECT_EQ(flood.story().size(), 2U);
  ASSERT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(lab().list()[0]["destination"], "203.0.113.8");
}

TEST_F(Policies, ARuleThatIsAddedDuringATrialSurvivesItsEnd) {
  (void)done("apply -f -", forbid("203.0.113.7"));
  (void)done("apply -f - --confirm 300ms", forbid("203.0.113.8"));
  const auto ids = added("drop cgroup /a to 203.0.113.9");
  ASSERT_EQ(ids.size(), 1U);
  const Actor actor = lab().actor("/a");
  EXPECT_TRUE(eventually(2s, [&] { return actor.try_udp({"203.0.113.7", 1}) == EPERM; }));
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 1}), 0);
  EXPECT_EQ(actor.try_udp({"203.0.113.9", 1}), EPERM);
}

}  // namespace
}  // namespace egress::test
