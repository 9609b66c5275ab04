// SPDX-License-Identifier: GPL-2.0
// Tables that are full and memory that is short: nothing is lost, and the error says what to do.
#include <algorithm>
#include <array>

#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

constexpr int size = 64;

class Limits : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().make_cgroup("/a");
    (void)done("load --max-rules 64");
  }
  static std::string address(int number) { return "203.0.113." + std::to_string(number); }
  static std::string addresses(int first, int count) {
    std::string list = address(first);
    for (int i = 1; i < count; ++i) list += "," + address(first + i);
    return list;
  }
  /// The command in so much address space.
  [[nodiscard]] Outcome within(int kilobytes, const std::string& line) const {
    Invocation call = lab().invocation(words_of(line));
    const std::string limited = "ulimit -v " + std::to_string(kilobytes) + " && exec \"$@\"";
    call.words.insert(call.words.begin(), {"/bin/sh", "-c", limited, "sh"});
    return run(call);
  }
  static void expect_error(const Outcome& outcome, const std::string& part) {
    EXPECT_EQ(outcome.status, 1) << outcome.text();
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.err.rfind("egress: ", 0), 0U) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
};

// H1, H3
TEST_F(Limits, H1AFullRuleTableRefusesMoreAndLosesNothing) {
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /a to " + addresses(1, size - 4));
  const Outcome many = lab().egress("drop cgroup /a to " + addresses(101, 5));
  expect_error(many, "rule table full (60/64)");
  EXPECT_NE(many.err.find("--max-rules"), std::string::npos) << many.err;
  EXPECT_EQ(lab().list().size(), 60U) << "all or none";
  (void)done("drop cgroup /a to " + addresses(61, 4));
  expect_error(lab().egress("drop cgroup /a to 203.0.113.200"), "rule table full (64/64)");
  expect_error(lab().egress("drop cgroup /a to 203.0.113.1 --replace"), "rule table full (64/64)");
  expect_error(lab().egress("apply -f -",
                            "policy: p\nsubjects: [{cgroup: /a}]\nrules:\n"
                            "  - {action: drop, to: [\"203.0.113.201\"]}\n"),
               "rule table full (64/64)");
  const auto rules = lab().list();
  ASSERT_EQ(rules.size(), 64U);
  for (int i = 1; i <= size; ++i) ASSERT_EQ(actor.try_udp({address(i), port}), EPERM) << "H3: rule " << i << " lost";
  EXPECT_EQ(actor.try_udp({"203.0.113.200", port}), 0);
  const std::string first = std::to_string(rules[0]["id"].get<std::uint32_t>());
  (void)done("extend " + first + " for 2h");
  const nlohmann::json status = done("status -o json").json();
  EXPECT_EQ(status["findings"].at(0).value("code", ""), "rules-90") << status.dump();
  (void)done("rm " + first);
  (void)done("drop cgroup /a to 203.0.113.200");
  EXPECT_EQ(actor.try_udp({"203.0.113.200", port}), EPERM);
  EXPECT_EQ(lab().list().size(), 64U);
}

// H1: a rule without a counter drops all the same; what is not counted is told.
TEST_F(Limits, H1WithoutRoomForCountersRulesAreEnforcedAndUncountedOnesAreTold) {
  constexpr std::uint64_t of_nobody = std::uint64_t{2} << 32;
  const Actor actor = lab().actor("/a");
  (void)done("unload");
  (void)done("load --max-rules 64 --max-map-rules 64");
  const auto counted = added("drop cgroup /a to 203.0.113.7");
  ASSERT_EQ(actor.try_udp({"203.0.113.7", port}), EPERM);
  const PinnedMap counters(lab().pin_dir() + "/counters");
  const std::array<egress_counter, 1024> zeroes{};
  std::uint64_t fill = 0;
  while (fill < counters.max_entries() && counters.update(of_nobody | fill, zeroes)) ++fill;
  ASSERT_EQ(fill + 1, counters.max_entries());
  EXPECT_EQ(lab().egress("doctor -o json").out.find("uncounted"), std::string::npos);
  const auto uncounted = added("drop cgroup /a to 203.0.113.8");
  EXPECT_EQ(actor.try_udp({"203.0.113.8", port}), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", port}), EPERM);
  EXPECT_EQ(read_reason(lab().pin_dir(), EGRESS_REASON_UNCOUNTED), 1U);
  EXPECT_EQ(read_stats(lab().pin_dir()).packets_dropped, 3U);
  const nlohmann::json rules = lab().list();
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0]["packets"], 2);
  EXPECT_EQ(rules[1]["packets"], 0);
  EXPECT_NE(lab().egress("doctor -o json").out.find("uncounted"), std::string::npos);
  ASSERT_TRUE(counters.erase(of_nobody | 1));
  EXPECT_EQ(actor.try_udp({"203.0.113.8", port}), EPERM);
  EXPECT_EQ(lab().list()[1]["packets"], 1) << "counted from where there is room on";
  ASSERT_EQ(counted.size() + uncounted.size(), 2U);
}

// H1: the tables of names, sets and bindings have limits of their own.
TEST_F(Limits, H1FullTablesOfNamesRefuseMoreAndLoseNothing) {
  std::size_t made = 0;
  Outcome last;
  for (; made < 80; ++made) {
    const std::string number = std::to_string(made);
    last = lab().egress("drop cgroup /n" + number + "/a/b/c/d/e/f/g to 203.0.113.7");
    if (last.status != 0) break;
  }
  EXPECT_GE(made, 20U);
  expect_error(last, "--max-rules");
  EXPECT_EQ(lab().list().size(), made);
  EXPECT_EQ(lab().actor("/n0/a/b/c/d/e/f/g").try_udp({"203.0.113.7", port}), EPERM);
  (void)done("rm cgroup /n1/a/b/c/d/e/f/g");
  (void)done("drop cgroup /n99/a/b/c/d/e/f/g to 203.0.113.7");
  EXPECT_EQ(lab().actor("/n99/a/b/c/d/e/f/g").try_udp({"203.0.113.7", port}), EPERM);
  (void)done("rm --all");
  EXPECT_EQ(PinnedMap(lab().pin_dir() + "/names").size(), 0U) << "what failed left names behind";
  EXPECT_EQ(count_chains(lab().pin_dir()), 0U);
}

TEST_F(Limits, H1ReasonsAndPoliciesOfAFullTableAreKept) {
  for (int i = 0; i < size; ++i) {
    ASSERT_EQ(lab()
                  .egress("drop cgroup /c" + std::to_string(i) + " to " + address(i) + " --reason r" +
                          std::to_string(i) + " --name p" + std::to_string(i))
                  .status,
              0)
        << i;
  }
  std::size_t right = 0;
  for (const auto& rule : lab().list()) {
    const std::string number = rule["destination"].get<std::string>().substr(10);
    right += rule["reason"] == "r" + number && rule["policy"] == "p" + number;
  }
  EXPECT_EQ(right, 64U);
}

#ifndef EGRESS_SANITIZED  // which takes terabytes of address space
// H9: with too little memory the command fails and changes nothing.
TEST_F(Limits, H9ACommandWithTooLittleMemoryChangesAllOrNothing) {
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /a to 203.0.113.1");
  std::size_t succeeded = 0, failed = 0;
  for (int kilobytes = 6'000; kilobytes < 200'000 && succeeded < 3; kilobytes += kilobytes < 30'000 ? 400 : 4'000) {
    const Outcome outcome = within(kilobytes, "drop cgroup /a to 203.0.113.7,203.0.113.8");
    SCOPED_TRACE(std::to_string(kilobytes) + " KiB: " + outcome.text());
    const bool one = actor.try_udp({"203.0.113.7", port}) == EPERM;
    const bool two = actor.try_udp({"203.0.113.8", port}) == EPERM;
    ASSERT_EQ(one, two);
    ASSERT_EQ(one, outcome.status == 0);
    ASSERT_EQ(lab().list().size(), one ? 3U : 1U);
    one ? ++succeeded : ++failed;
    // Until there is room to start at all, it is the dynamic loader and the C++ library that fail.
    if (!one && within(kilobytes, "version").status == 0) expect_error(outcome, "emory");
    if (one)
      (void)done("rm " + std::to_string(lab().list()[1]["id"].get<std::uint32_t>()) + " " +
                 std::to_string(lab().list()[2]["id"].get<std::uint32_t>()));
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, 0U);
  EXPECT_GT(succeeded, 0U);
}
#endif

}  // namespace
}  // namespace egress::test
