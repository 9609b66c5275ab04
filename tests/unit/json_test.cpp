// SPDX-License-Identifier: GPL-2.0
#include "cli/json.hpp"

#include <gtest/gtest.h>

namespace egress::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The boot clock at 5000 s is 2026-11-23T20:54:17Z.
const Clocks clocks{BootTime{seconds{5000}}, std::chrono::system_clock::time_point{seconds{1795467257}}};

Rule rule() {
  Rule made;
  made.id = RuleId{7};
  made.subject = {Subject::Kind::Path, "/app", Subject::Scope::Subtree};
  made.action = Action::Drop;
  made.destination = parse_destination("8.8.8.8:53/udp").value();
  made.created_at = BootTime{clocks.boot.since_boot - seconds{48}};
  made.expires_at = BootTime{clocks.boot.since_boot + milliseconds{3552400}};
  made.counts = {2, 168, 3};
  made.cgroups = {CgroupId{25}};
  return made;
}

TEST(RuleJson, HasTheShapeOfTheContract) {
  const std::string text = dump(to_json(rule(), clocks));
  EXPECT_EQ(
      text.find(
          R"({"id":7,"action":"drop","subject":{"kind":"cgroup","name":"/app","scope":"subtree","state":"active","cgroup_ids":[25]},)"
          R"("destination":"8.8.8.8:53/udp","created_at":"2026-11-23T20:53:29Z","expires_at":"2026-11-23T21:53:29Z","ttl_left_s":3552.4,)"
          R"("packets":2,"bytes":168,"policy":null,"reason":null,"origin":"command")"),
      0u)
      << text;
}

TEST(RuleJson, ForeverIsNull) {
  Rule some = rule();
  some.expires_at.reset();
  const Json json = to_json(some, clocks);
  EXPECT_TRUE(json["expires_at"].is_null());
  EXPECT_TRUE(json["ttl_left_s"].is_null());
}

TEST(RuleJson, AnEndThatIsOverHasNothingLeft) {
  Rule some = rule();
  some.expires_at = BootTime{clocks.boot.since_boot - seconds{1}};
  EXPECT_EQ(to_json(some, clocks)["ttl_left_s"], 0.0);
}

TEST(RuleJson, ANameWithoutACgroupIsPending) {
  Rule some = rule();
  some.cgroups.clear();
  some.subject = {Subject::Kind::Unit, "x.service", Subject::Scope::Only};
  const Json json = to_json(some, clocks);
  EXPECT_EQ(json["subject"]["state"], "pending");
  EXPECT_EQ(json["subject"]["kind"], "unit");
  EXPECT_EQ(json["subject"]["scope"], "only");
  EXPECT_TRUE(json["subject"]["cgroup_ids"].is_array());
}

TEST(RuleJson, TellsPolicyReasonAndOrigin) {
  Rule some = rule();
  some.policy = "contain";
  some.reason = "IR-4211";
  some.origin = Rule::Origin::Map;
  some.is_default = true;
  EXPECT_EQ(to_json(some, clocks)["no_packet_sockets"], false);
  some.no_packet_sockets = true;
  const Json json = to_json(some, clocks);
  EXPECT_EQ(json["no_packet_sockets"], true);
  EXPECT_EQ(json["policy"], "contain");
  EXPECT_EQ(json["reason"], "IR-4211");
  EXPECT_EQ(json["origin"], "map");
  EXPECT_EQ(json["denied"], 3);
  EXPECT_EQ(json["role"], "default");
}

TEST(RuleJson, BytesThatAreNotUtf8DoNotThrow) {
  Rule some = rule();
  some.subject.name = "/a\xff\x1b[2J\n\"";
  some.reason = "\xc3";
  const std::string text = dump(to_json(some, clocks));
  EXPECT_NE(text.find(R"(/a\ufffd\u001b[2J\n\")"), std::string::npos) << text;
  EXPECT_TRUE(Json::accept(text)) << text;
}

TEST(RuleJson, IsAscii) {
  Rule some = rule();
  some.reason =
      "gr\xc3\xb6\xc3\x9f"
      "er";
  for (const char c : dump(to_json(some, clocks))) EXPECT_LT(static_cast<unsigned char>(c), 0x80u);
}

TEST(RulesJson, HaveOneRuleALine) {
  const std::vector<Rule> rules{rule(), rule()};
  const std::string text = dump(to_json(rules, clocks));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_EQ(Json::parse(text).size(), 2u);
}

TEST(RulesJson, NoRulesAreAnEmptyArray) { EXPECT_EQ(dump(to_json(std::vector<Rule>{}, clocks)), "[]"); }

TEST(TotalsJson, HasTheShapeOfTheContract) {
  EXPECT_EQ(dump(to_json(Totals{9, 2, 168})), R"({"packets_processed":9,"packets_dropped":2,"bytes_dropped":168})");
}

TEST(TotalsJson, KeepsNumbersBeyondADouble) {
  EXPECT_NE(dump(to_json(Totals{18446744073709551615u, 0, 0})).find("18446744073709551615"), std::string::npos);
}

TEST(ExplanationJson, HasTheShapeOfTheContract) {
  Explanation explanation;
  explanation.verdict = Explanation::Verdict::Drop;
  explanation.rule = rule();
  explanation.audit = {RuleId{9}};
  explanation.path = {{"/app", 3, Explanation::Verdict::Drop}, {"/", 0, Explanation::Verdict::Pass}};
  EXPECT_EQ(dump(to_json(explanation)),
            R"({"verdict":"drop","rule":7,"audit":[9],"path":[{"cgroup":"/app","rules_seen":3,"verdict":"drop"},)"
            R"({"cgroup":"/","rules_seen":0,"verdict":"pass"}]})");
}

TEST(ExplanationJson, APassHasNoRule) {
  EXPECT_EQ(dump(to_json(Explanation{})), R"({"verdict":"pass","rule":null,"audit":[],"path":[]})");
}

TEST(IdsJson, HasTheShapeOfTheContract) {
  EXPECT_EQ(dump(ids_json(std::vector{RuleId{7}})), R"({"ids":[7]})");
  EXPECT_EQ(dump(ids_json(std::vector<RuleId>{})), R"({"ids":[]})");
}

TEST(DiffJson, PartsAddedRemovedAndKept) {
  PolicyDiff diff;
  RuleSpec some;
  some.destination = parse_destination("any").value();
  some.lifetime.reset();
  diff.removed = {{rule().subject, some, RuleId{3}}};
  const Json json = to_json(diff);
  EXPECT_TRUE(json["added"].empty());
  ASSERT_EQ(json["removed"].size(), 1u);
  EXPECT_EQ(json["removed"][0]["id"], 3);
  EXPECT_TRUE(json["removed"][0]["ttl_s"].is_null());
  EXPECT_EQ(json["removed"][0]["destination"], "any");
}

}  // namespace
}  // namespace egress::cli
