// SPDX-License-Identifier: GPL-2.0
// The command as scripts meet it: exit statuses, one-line errors, output, and no change by a failure.
#include <algorithm>
#include <filesystem>

#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

class Command : public NetTest {
 protected:
  void expect_one_line_error(const Outcome& outcome) const {
    EXPECT_EQ(outcome.err.rfind("egress: ", 0), 0U) << outcome.text();
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.text();
    EXPECT_EQ(outcome.out, "") << "an error belongs on standard error";
  }
  /// Each of them says why on one line, ends with this status, and changes nothing.
  void expect_failures(int status, const std::vector<const char*>& lines) const {
    const auto ids = added("drop cgroup /a to 203.0.113.7 for 1h");
    ASSERT_EQ(ids, (std::vector<std::uint32_t>{1}));
    const nlohmann::json before = without_time(lab().list());
    for (const char* line : lines) {
      SCOPED_TRACE(std::string("egress ") + line);
      const Outcome outcome = lab().egress(line);
      EXPECT_EQ(outcome.status, status) << outcome.text();
      expect_one_line_error(outcome);
      EXPECT_EQ(without_time(lab().list()), before);
    }
  }
  [[nodiscard]] nlohmann::json without_time(nlohmann::json rules) const {
    for (nlohmann::json& rule : rules) rule.erase("ttl_left_s");
    return rules;
  }
};

TEST_F(Command, MisunderstoodWordsAreStatus2) {
  expect_failures(2, {
                         "frobnicate",
                         "drop",
                         "drop cgroup /a",
                         "drop cgroup /a to",
                         "drop cgroup /a to 203.0.113.7:",
                         "drop cgroup /a to 203.0.113.7:0",
                         "drop cgroup /a to 203.0.113.7:65536",
                         "drop cgroup /a to 203.0.113.7:20-10",
                         "drop cgroup /a to 203.0.113.8,203.0.113",
                         "drop cgroup /a to 203.0.113.8/33",
                         "drop cgroup /a to 203.0.113.8:53/xyz",
                         "drop cgroup /a to 203.0.113.8:53/icmp",
                         "drop cgroup /a to 203.0.113.8 for",
                         "drop cgroup /a to 203.0.113.8 for 0",
                         "drop cgroup /a to 203.0.113.8 for -5",
                         "drop cgroup /a to 203.0.113.8 for 1e9",
                         "drop cgroup /a to 203.0.113.8 for 11000d",
                         "drop cgroup /a to 203.0.113.8 for 18446744074",
                         "drop cgroup /a to 203.0.113.8 until 2001-01-01T00:00:00Z",
                         "drop cgroup /a to 203.0.113.8 for 5m forever",
                         "drop cgroup /a/../b to 203.0.113.8",
                         "drop cgroup /a to 203.0.113.8 --no-such-option",
                         "drop cgroup /a to 203.0.113.8 -o xml",
                         "drop pid x to 203.0.113.8",
                         "rm",
                         "extend 1",
                         "apply -f /dev/null",
                         "explain cgroup /a",
                         "run --drop 203.0.113.7",
                         "drop --cgroup-id 7 --dst-ip 203.0.113.300 --dst-port 5 --ttl 10",
                     });
}

TEST_F(Command, WhatDoesNotExistIsStatus3) {
  expect_failures(3, {
                         "drop id 4294967295 to 203.0.113.8",
                         "drop pid 4194304 to 203.0.113.8",
                         "drop --cgroup-id 4294967295 --dst-ip 203.0.113.8 --dst-port 53 --ttl 60",
                         "rm 4711",
                         "rm 1 4711",
                         "rm cgroup /nothing/here",
                         "rm --name no-such-policy",
                         "show 4711",
                         "extend 4711 for 5m",
                         "confirm",
                     });
}

TEST_F(Command, M2WhatASafetyRailRefusesIsStatus6) {
  expect_failures(6, {
                         "isolate cgroup / allow 203.0.113.7",
                         "drop cgroup / to any",
                         "reject cgroup / to any:25/tcp",
                         "drop cgroup / to 192.0.0.0/7",
                         "drop cgroup / to 2000::/15",
                     });
}

TEST_F(Command, M2RailsYieldToYesReallyAndStandOnTheRootOnly) {
  (void)done("drop cgroup / to 192.0.0.0/8");
  (void)done("drop cgroup / to any:25/tcp --yes-really");
  (void)done("isolate cgroup /a allow 203.0.113.7");
  EXPECT_EQ(lab().actor("/x").try_tcp({"203.0.113.7", 25}, std::chrono::milliseconds(100)), ETIMEDOUT);
}

TEST_F(Command, StrictTellsPendingByStatus5AndStillAdds) {
  const Outcome outcome = lab().egress("drop cgroup /to/come to 203.0.113.7 --strict -o json");
  EXPECT_EQ(outcome.status, 5) << outcome.text();
  EXPECT_EQ(lab().list().size(), 1U);
  lab().make_cgroup("/here");
  EXPECT_EQ(lab().egress("drop cgroup /here to 203.0.113.7 --strict").status, 0);
}

TEST_F(Command, IsNotPermittedWithoutRoot) {
  (void)added("drop cgroup /a to 203.0.113.7");
  // The folder of the build may be in a home that nobody else may enter.
  const std::string copy = lab().directory() + "/egress";
  std::filesystem::copy_file(command_path(), copy);
  for (const char* line : {"drop cgroup /a to 203.0.113.8", "ls", "rm 1", "unload", "load"}) {
    Invocation call = lab().invocation(words_of(line));
    call.words[0] = copy;
    call.place.uid = 65534;
    const Outcome outcome = run(call);
    EXPECT_EQ(outcome.status, 7) << line << "\n" << outcome.text();
    expect_one_line_error(outcome);
  }
  EXPECT_EQ(lab().list().size(), 1U);
}

TEST_F(Command, TheSeedsParametersHaveTheSameEffect) {
  lab().make_cgroup("/a");
  lab().peer().take_datagrams(53);
  const auto ids = added("drop --cgroup-id " + std::to_string(lab().cgroup_id("/a")) +
                         " --dst-ip 203.0.113.7 --dst-port 53 --ttl 60");
  ASSERT_EQ(ids.size(), 1U);
  const nlohmann::json rule = listed(ids[0]);
  EXPECT_EQ(rule["destination"], "203.0.113.7:53");
  EXPECT_EQ(rule["subject"]["kind"], "id");
  EXPECT_NEAR(rule["ttl_left_s"].get<double>(), 60, 5);
  const Actor actor = lab().actor("/a");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 54}), 0);
}

TEST_F(Command, ListsEveryFieldOfTheContract) {
  const auto ids = added("drop cgroup /app to 8.8.8.8:53/udp for 20m --reason IR-4211 --name contain");
  ASSERT_EQ(ids.size(), 1U);
  lab().make_cgroup("/app");
  lab().peer().take_datagrams(53);
  const Actor actor = lab().actor("/app");
  EXPECT_EQ(actor.send_many(actor.udp({"8.8.8.8"}), {"8.8.8.8", 53}, 2, 56).refused, 2U);
  const nlohmann::json rule = listed(ids[0]);
  EXPECT_EQ(rule["action"], "drop");
  EXPECT_EQ(rule["subject"], nlohmann::json({{"kind", "cgroup"},
                                             {"name", "/app"},
                                             {"scope", "subtree"},
                                             {"state", "active"},
                                             {"cgroup_ids", {lab().cgroup_id("/app")}}}));
  EXPECT_EQ(rule["destination"], "8.8.8.8:53/udp");
  EXPECT_EQ(rule["packets"], 2);
  EXPECT_EQ(rule["bytes"], 168);
  EXPECT_EQ(rule["policy"], "contain");
  EXPECT_EQ(rule["reason"], "IR-4211");
  EXPECT_EQ(rule["origin"], "command");
  EXPECT_NEAR(rule["ttl_left_s"].get<double>(), 1200, 10);
  EXPECT_EQ(rule["created_at"].get<std::string>().size(), 20U);
  EXPECT_EQ(rule["expires_at"].get<std::string>().back(), 'Z');
  const nlohmann::json stats = done("stats -o json").json();
  EXPECT_EQ(stats["packets_dropped"], 2);
  EXPECT_EQ(stats["bytes_dropped"], 168);
  EXPECT_GE(stats["packets_processed"], 2);
  const std::string table = done("ls").out;
  EXPECT_NE(table.find("8.8.8.8:53/udp"), std::string::npos) << table;
  EXPECT_NE(table.find("19m"), std::string::npos) << table;
  EXPECT_EQ(table.find('\x1b'), std::string::npos) << "colour outside of a terminal";
}

TEST_F(Command, KeepsTheReasonOfManyRulesOnce) {
  constexpr std::size_t many = 5000;
  std::string list;
  for (std::size_t i = 0; i < many; ++i)
    list += "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
  const Outcome outcome = lab().egress("drop cgroup /a -f - --reason IR-4211", list);
  ASSERT_EQ(outcome.status, 0) << outcome.text();
  const PinnedMap reasons(lab().pin_dir() + "/reasons");
  EXPECT_EQ(reasons.size(), 1U);
  (void)done("extend 2 for 2h");
  const auto fresh = added("drop cgroup /a to 10.1.0.0 --replace --reason IR-4212");
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_EQ(reasons.size(), 2U);
  EXPECT_EQ(listed(fresh[0])["reason"], "IR-4212");
  const nlohmann::json rules = lab().list();
  EXPECT_EQ(std::ranges::count_if(rules, [](const nlohmann::json& rule) { return rule["reason"] == "IR-4211"; }),
            static_cast<std::ptrdiff_t>(many - 1));
  (void)done("rm " + std::to_string(fresh[0]));
  EXPECT_EQ(reasons.size(), 1U);
  (void)done("rm --all");
  EXPECT_EQ(reasons.size(), 0U);
}

TEST_F(Command, RemovesByIdSubjectPolicyAndAll) {
  const auto ids = added("drop cgroup /a to 203.0.113.7,203.0.113.8");
  ASSERT_EQ(ids.size(), 2U);
  (void)done("rm " + std::to_string(ids[0]));
  EXPECT_EQ(lab().list().size(), 1U);
  (void)added("drop cgroup /b to 203.0.113.7 --name p");
  (void)added("drop cgroup /b to 203.0.113.7 only");
  (void)done("rm cgroup /b");
  EXPECT_EQ(lab().list().size(), 1U);
  (void)added("drop cgroup /b to 203.0.113.7 --name p");
  (void)done("rm --name p");
  EXPECT_EQ(lab().list().size(), 1U);
  (void)added("drop unit x.service to 203.0.113.7");
  (void)done("rm --all");
  EXPECT_EQ(lab().list(), nlohmann::json::array());
  EXPECT_EQ(lab().actor("/a").try_udp({"203.0.113.7", 53}), 0);
}

TEST_F(Command, ExplainsWhatADropWouldDo) {
  const auto drops = added("drop cgroup /app to 203.0.113.0/24");
  const auto audits = added("audit cgroup /app to 203.0.113.7:53/udp");
  ASSERT_EQ(drops.size() + audits.size(), 2U);
  lab().make_cgroup("/app/worker");
  const Outcome dropped = lab().egress("explain cgroup /app/worker 203.0.113.7:53/udp -o json");
  EXPECT_EQ(dropped.status, 4) << dropped.text();
  EXPECT_EQ(dropped.json()["verdict"], "drop");
  EXPECT_EQ(dropped.json()["rule"], drops[0]);
  EXPECT_EQ(dropped.json()["audit"], nlohmann::json(audits));
  const Outcome passed = lab().egress("explain cgroup /app/worker 198.51.100.9:53/udp -o json");
  EXPECT_EQ(passed.status, 0) << passed.text();
  EXPECT_EQ(passed.json()["verdict"], "pass");
  EXPECT_EQ(passed.json()["rule"], nullptr);
}

TEST_F(Command, UnloadTakesEverythingOffAtOnce) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7 forever");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), EPERM);
  (void)done("unload");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), 0);
  EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "a pin is left";
}

TEST_F(Command, UnloadFindsItsLinksWithoutPins) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7 forever");
  // Over-mounted: the pins cannot be seen any more, the filter still works.
  Invocation hidden = lab().invocation(Words{"unload"});
  // In a chroot "/" is no mount whose propagation could be changed.
  hidden.words = {"unshare",
                  "-m",
                  "--propagation",
                  "unchanged",
                  "sh",
                  "-c",
                  "mount -t tmpfs none '" + lab().directory() + "/bpf' && exec '" + command_path() + "' unload"};
  const Outcome outcome = run(hidden);
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), 0);
}

TEST_F(Command, LoadTwiceKeepsRulesAndCounters) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7");
  ASSERT_EQ(ids.size(), 1U);
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), EPERM);
  (void)done("load");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), EPERM);
  EXPECT_EQ(listed(ids[0])["packets"], 2);
}

TEST_F(Command, HelpAndVersionSucceedOnStandardOutput) {
  for (const char* line : {"--help", "drop --help", "version"}) {
    const Outcome outcome = lab().egress(line);
    EXPECT_EQ(outcome.status, 0) << line;
    EXPECT_NE(outcome.out, "") << line;
    EXPECT_EQ(outcome.err, "") << line;
  }
}

TEST_F(Command, DestinationsOfAFileBecomeRulesOrNothingDoes) {
  const Actor actor = lab().actor("/a");
  const Outcome bad = lab().egress("drop cgroup /a to -f -", "203.0.113.7\n\n203.0.113.8/33\n");
  EXPECT_EQ(bad.status, 2) << bad.text();
  EXPECT_NE(bad.err.find("<stdin>:3:1"), std::string::npos) << bad.err;
  EXPECT_NE(lab().egress("drop cgroup /a to 203.0.113.9 -f -", "203.0.113.9\n").status, 0) << "given twice";
  EXPECT_NE(lab().egress("drop cgroup /a to -f -", "# nothing\n").status, 0);
  EXPECT_EQ(lab().list().size(), 0U);
  const Outcome good = lab().egress("drop cgroup /a to 203.0.113.9 -f - for 1h -o json",
                                    "# two\n203.0.113.7:53/udp\n  203.0.113.8 # b\n");
  EXPECT_EQ(good.status, 0) << good.text();
  EXPECT_EQ(good.json()["ids"].size(), 3U);
  for (const Endpoint& to : {Endpoint{"203.0.113.7", 53}, Endpoint{"203.0.113.8", 9}, Endpoint{"203.0.113.9", 9}}) {
    EXPECT_EQ(actor.try_udp(to), EPERM);
  }
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 54}), 0);
  EXPECT_NE(lab().egress("drop cgroup /a to -f -", "203.0.113.8\n").err.find("rule exists"), std::string::npos);
}

// Rules of a long list have no counter until a packet meets one.
TEST_F(Command, EachRuleOfALongListCountsItsPackets) {
  const Actor actor = lab().actor("/a");
  std::string list;
  for (int i = 0; i < 5000; ++i) list += "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
  const Outcome outcome = lab().egress("drop cgroup /a to -f - -o json", list + "203.0.113.7\n");
  ASSERT_EQ(outcome.status, 0) << outcome.text();
  const std::uint32_t id = outcome.json()["ids"].back();
  const PinnedMap counters(lab().pin_dir() + "/counters");
  EXPECT_EQ(counters.size(), 0U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(actor.try_udp({"203.0.113.7", 53}), EPERM);
  EXPECT_EQ(counters.size(), 1U);
  EXPECT_EQ(listed(id)["packets"], 3);
  EXPECT_EQ(lab().list().size(), 5001U);
  const Outcome shown = lab().egress("show " + std::to_string(id) + " -o json");
  EXPECT_EQ(shown.json()["packets"], 3) << shown.text();
  (void)done("rm --all");
  EXPECT_EQ(counters.size(), 0U);
  EXPECT_EQ(count_chains(lab().pin_dir()), 0U);
}

}  // namespace
}  // namespace egress::test
