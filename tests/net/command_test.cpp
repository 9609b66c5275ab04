// SPDX-License-Identifier: GPL-2.0
// What the command says and how it ends (contract section 4).
#include <filesystem>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

class Command : public NetTest {
 protected:
  /// One line, of us, and nothing on standard output.
  static void expect_error(const Outcome& outcome, int status, const std::string& part) {
    EXPECT_EQ(outcome.status, status) << outcome.text();
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.rfind("egress: ", 0), 0U) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
};

TEST_F(Command, TellsWhatIsWrongAndChangesNothing) {
  (void)done("load");
  const auto stays = added("drop cgroup /a to 203.0.113.7");
  struct Wrong {
    const char* line;
    int status;
    const char* part;
  };
  const Wrong wrongs[] = {
      {"drop cgorup /a to 203.0.113.8", 2, "did you mean \"cgroup\""},
      {"drop cgroup /a 203.0.113.8", 2, "expected \"to\""},
      {"drop cgroup /a to", 2, "destination"},
      {"drop cgroup /a to 203.0.113.300", 2, "203.0.113.300"},
      {"drop cgroup /a to 203.0.113.8/33", 2, "33"},
      {"drop cgroup /a to 203.0.113.8:70000", 2, "70000"},
      {"drop cgroup /a to 203.0.113.8:90-80", 2, "90-80"},
      {"drop cgroup /a to 203.0.113.8:53/icmp", 2, "icmp"},
      {"drop cgroup /a to 203.0.113.8:53/tpc", 2, "tpc"},
      {"drop cgroup /a to 203.0.113.8 for 0s", 2, "0s"},
      {"drop cgroup /a to 203.0.113.8 for -5m", 2, "-5m"},
      {"drop cgroup /a to 203.0.113.8 for 11y", 2, "11y"},
      {"drop cgroup /a to 203.0.113.8 for 18446744074", 2, "ten years"},
      {"drop cgroup /a to 203.0.113.8 until yesterday", 2, "yesterday"},
      {"drop cgroup /a to 203.0.113.8 until 2001-01-01T00:00:00Z", 2, "2001"},
      {"drop cgroup ../../etc to 203.0.113.8", 2, ".."},
      {"drop id 0 to 203.0.113.8", 2, "0"},
      {"drop id x to 203.0.113.8", 2, "x"},
      {"drop pid 0 to 203.0.113.8", 2, "0"},
      {"drop --cgroup-id 1 --dst-ip 1.2.3 --dst-port 5 --ttl 9", 2, "1.2.3"},
      {"drop id 999999999 to 203.0.113.8", 3, "no such cgroup (rules for future cgroups are made by name"},
      {"drop cgroup /a to 203.0.113.7", 1, "rule exists: id 1, ends in"},
      {"drop cgroup / to any", 6, "--yes-really"},
      {"drop cgroup / to 16.0.0.0/7", 6, "--yes-really"},
      {"reject cgroup / to 2000::/15", 6, "--yes-really"},
      {"isolate cgroup / allow 203.0.113.7", 6, "--yes-really"},
      {"rm 99", 3, "99"},
      {"rm 1 99", 3, "99"},
      {"rm", 2, "rm"},
      {"show 99", 3, "99"},
      {"extend 99 for 1h", 3, "99"},
      {"extend 1 for never", 2, "never"},
      {"explain cgroup /a any", 2, "any"},
      {"apply -f /no/such/file", 1, "/no/such/file"},
      {"confirm", 3, "confirm"},
      {"frobnicate", 2, "frobnicate"},
      {"ls -o xml", 2, "xml"},
  };
  for (const Wrong& wrong : wrongs) {
    SCOPED_TRACE(wrong.line);
    expect_error(lab().egress(std::string(wrong.line)), wrong.status, wrong.part);
  }
  const auto rules = lab().list();
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0]["id"], stays.at(0));
}

TEST_F(Command, NeedsRootAndSaysWhichCapabilitiesAreMissing) {
  // The build directory may be root's own: nobody runs a copy.
  const std::string copy = lab().directory() + "/egress";
  std::filesystem::copy_file(command_path(), copy);
  Invocation invocation = lab().invocation(words_of("load"));
  invocation.words.front() = copy;
  invocation.place.uid = 65534;
  expect_error(run(invocation), 7, "CAP_");
}

TEST_F(Command, AcceptedButPendingIsFiveWhenStrict) {
  const Outcome strict = lab().egress("drop unit nowhere.service to 203.0.113.7 --strict");
  EXPECT_EQ(strict.status, 5) << strict.text();
  EXPECT_NE(strict.err.find("pending"), std::string::npos);
  EXPECT_EQ(lab().list().size(), 1U) << "accepted";
  lab().make_cgroup("/a");
  EXPECT_EQ(lab().egress("drop cgroup /a to 203.0.113.7 --strict").status, 0);
}

TEST_F(Command, ExplainEndsWithFourWhereItWouldBeDropped) {
  lab().make_cgroup("/a/b");
  const auto drop = added("drop cgroup /a to 203.0.113.0/24");
  const auto audit = added("audit cgroup /a/b to any:53/udp");
  const Outcome dropped = lab().egress("explain cgroup /a/b 203.0.113.7:53/udp -o json");
  EXPECT_EQ(dropped.status, 4);
  EXPECT_EQ(dropped.json()["verdict"], "drop");
  EXPECT_EQ(dropped.json()["rule"], drop.at(0));
  EXPECT_EQ(dropped.json()["audit"], nlohmann::json::array({audit.at(0)}));
  EXPECT_EQ(dropped.json()["path"][0]["cgroup"], "/a/b");
  const Outcome passed = lab().egress("explain cgroup /a/b 198.51.100.9:80/tcp -o json");
  EXPECT_EQ(passed.status, 0);
  EXPECT_EQ(passed.json()["verdict"], "pass");
  EXPECT_TRUE(passed.json()["rule"].is_null());
}

TEST_F(Command, ListsInTheShapeOfTheContract) {
  const std::uint64_t id = (lab().make_cgroup("/app"), lab().cgroup_id("/app"));
  (void)added("drop cgroup /app to 8.8.8.8:53/udp for 1h");
  (void)added("audit unit x.service to any forever --name p --reason why");
  const auto rules = lab().list();
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(
      rules[0]["subject"],
      (nlohmann::json{
          {"kind", "cgroup"}, {"name", "/app"}, {"scope", "subtree"}, {"state", "active"}, {"cgroup_ids", {id}}}));
  EXPECT_EQ(rules[0]["destination"], "8.8.8.8:53/udp");
  EXPECT_EQ(rules[0]["action"], "drop");
  EXPECT_GT(rules[0]["ttl_left_s"].get<double>(), 3500.0);
  EXPECT_LE(rules[0]["ttl_left_s"].get<double>(), 3600.0);
  EXPECT_EQ(rules[0]["origin"], "command");
  EXPECT_TRUE(rules[0]["policy"].is_null());
  EXPECT_TRUE(rules[0]["reason"].is_null());
  EXPECT_TRUE(rules[1]["ttl_left_s"].is_null());
  EXPECT_TRUE(rules[1]["expires_at"].is_null());
  EXPECT_EQ(rules[1]["subject"]["state"], "pending");
  EXPECT_EQ(rules[1]["policy"], "p");
  EXPECT_EQ(rules[1]["reason"], "why");
}

TEST_F(Command, TakesTheSeedsParameters) {
  const Actor actor = lab().actor("/a");
  const std::string id = std::to_string(lab().cgroup_id("/a"));
  (void)done("drop --cgroup-id " + id + " --dst-ip 203.0.113.7 --dst-port 7000 --ttl 3600");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), EPERM);
  EXPECT_EQ(lab().list()[0]["subject"]["kind"], "id");
}

TEST_F(Command, UnloadTakesEverythingOff) {
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), EPERM);
  (void)done("unload");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), 0);
  EXPECT_EQ(lab().egress("unload").status, 3);
  EXPECT_NE(lab().egress("status").status, 0);
}

TEST_F(Command, StatusSaysEnforcingOnlyWhilePacketsAreJudged) {
  (void)done("load");
  const nlohmann::json healthy = done("status -o json").json();
  EXPECT_EQ(healthy["enforcing"], true);
  EXPECT_EQ(healthy["findings"].size(), 0U) << healthy.dump();
  EXPECT_EQ(lab().list().size(), 0U) << "the self-test leaves no rule";
}

// G5: a new program over an old one, under a flood that it forbids.
TEST_F(Command, G5LoadOverALoadedInstanceLetsNothingThrough) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 7000}), EPERM);
  const SocketHandle socket = actor.udp({"203.0.113.7", 7000});
  Sent all{};
  for (std::uint64_t i = 0; i < scaled(5); ++i) {
    Running load(lab().invocation(words_of("load")));
    const Sent sent = actor.send_many(socket, {"203.0.113.7", 7000}, 100'000);
    all.passed += sent.passed;
    all.refused += sent.refused;
    EXPECT_EQ(load.finish().status, 0);
  }
  EXPECT_EQ(all.passed, 0U);
  EXPECT_EQ(listed(ids.at(0)).value("packets", std::uint64_t{0}), all.refused + 1) << "counters outlive the program";
}

}  // namespace
}  // namespace egress::test
