// SPDX-License-Identifier: GPL-2.0
#include "egress/policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>

namespace egress {

/// For GoogleTest: a failure shows the policy as a file.
void PrintTo(const Policy& policy, std::ostream* out) { *out << format(policy); }

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const char* const contract_example = R"(
policy: contain-payroll
ttl: 2h
reason: IR-4211
subjects:
  - unit: payroll.service
  - cgroup: /batch
default: allow
rules:
  - {action: drop,  to: ["203.0.113.0/24", "2001:db8:bad::/48"]}
  - {action: allow, to: ["203.0.113.7:443/tcp"]}
  - {action: audit, to: ["any:53/udp"], ttl: 1d}
lists:
  - {action: drop, file: feeds/c2.txt}
)";

using Files = std::map<std::string, std::string>;

Result<Policy> parse(const std::string& text, const Files& files = {}) {
  return parse_policy(text, "p.yaml", [&files](const std::string& path) -> Result<std::string> {
    const auto file = files.find(path);
    if (file == files.end()) return usage_error(path, "no such file");
    return file->second;
  });
}

/// The policy, or an empty one and a failure.
Policy policy(const std::string& text, const Files& files = {}) {
  Result<Policy> parsed = parse(text, files);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message();
  return parsed ? *std::move(parsed) : Policy{};
}

/// The errors, a line each; empty and a failure if there are none.
std::string errors(const std::string& text, const Files& files = {}) {
  const Result<Policy> parsed = parse(text, files);
  EXPECT_FALSE(parsed.ok()) << text;
  if (parsed) return {};
  EXPECT_EQ(parsed.error().kind, ErrorKind::Usage);
  return parsed.error().message();
}

std::size_t count_lines(const std::string& text) {
  return text.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// A policy with these lines behind name and subject, so that they begin in line 3.
std::string with(const std::string& lines) { return "policy: p\nsubjects: [{id: 4711}]\n" + lines; }

Destination destination(const char* text) {
  Result<Destination> parsed = parse_destination(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed ? *parsed : Destination{};
}

#define EXPECT_ERROR(text, part) EXPECT_NE(errors(text).find(part), std::string::npos) << errors(text)

// ---- What a policy says ----

TEST(PolicyFile, ReadsTheExampleOfTheContract) {
  const Policy read = policy(contract_example, {{"feeds/c2.txt", "198.51.100.9\n"}});
  EXPECT_EQ(read.name, "contain-payroll");
  EXPECT_EQ(read.lifetime, Lifetime(hours(2)));
  EXPECT_EQ(read.reason, "IR-4211");
  EXPECT_FALSE(read.default_deny);
  ASSERT_EQ(read.subjects.size(), 2u);
  EXPECT_EQ(read.subjects[0], (Subject{Subject::Kind::Unit, "payroll.service", Subject::Scope::Subtree}));
  EXPECT_EQ(read.subjects[1], (Subject{Subject::Kind::Path, "/batch", Subject::Scope::Subtree}));
  ASSERT_EQ(read.rules.size(), 5u);
  EXPECT_EQ(read.rules[0].action, Action::Drop);
  EXPECT_EQ(read.rules[0].destination, destination("203.0.113.0/24"));
  EXPECT_EQ(read.rules[0].lifetime, Lifetime(hours(2)));
  EXPECT_EQ(read.rules[0].reason, "IR-4211");
  EXPECT_EQ(read.rules[1].destination, destination("2001:db8:bad::/48"));
  EXPECT_EQ(read.rules[2].action, Action::Allow);
  EXPECT_EQ(read.rules[3].action, Action::Audit);
  EXPECT_EQ(read.rules[3].lifetime, Lifetime(hours(24)));
  EXPECT_EQ(read.rules[4].destination, destination("198.51.100.9"));
  EXPECT_EQ(read.rules[4].reason, "IR-4211");
}

TEST(PolicyFile, ReadsJson) {
  const Policy read = policy(R"({"policy": "p", "subjects": [{"cgroup": "/a", "only": true}],
                                 "rules": [{"action": "reject", "to": "192.0.2.7"}]})");
  ASSERT_EQ(read.rules.size(), 1u);
  EXPECT_EQ(read.rules[0].action, Action::Reject);
  EXPECT_EQ(read.subjects.at(0).scope, Subject::Scope::Only);
}

TEST(PolicyFile, GivesRulesOneHourWhenNothingElseIsSaid) {
  EXPECT_EQ(policy(with("rules: [{action: drop, to: 192.0.2.7}]")).rules.at(0).lifetime, Lifetime(hours(1)));
}

TEST(PolicyFile, ReadsForeverAsNoEnd) {
  const Policy read =
      policy(with("ttl: forever\nrules: [{action: drop, to: 192.0.2.7}, {action: drop, to: 192.0.2.8, ttl: 5m}]"));
  EXPECT_EQ(read.rules.at(0).lifetime, Lifetime());
  EXPECT_EQ(read.rules.at(1).lifetime, Lifetime(minutes(5)));
}

TEST(PolicyFile, ReadsAPlainNumberAsSeconds) { EXPECT_EQ(policy(with("ttl: 90")).lifetime, Lifetime(seconds(90))); }

TEST(PolicyFile, AppliesTtlAndReasonWhereverTheyStandInTheFile) {
  const Policy read = policy(with("rules: [{action: drop, to: 192.0.2.7}]\nttl: 2h\nreason: late"));
  EXPECT_EQ(read.rules.at(0).lifetime, Lifetime(hours(2)));
  EXPECT_EQ(read.rules.at(0).reason, "late");
}

TEST(PolicyFile, LetsARuleHaveItsOwnReasonOrNone) {
  const Policy read =
      policy(with("reason: a\nrules:\n- {action: drop, to: 192.0.2.7, reason: b}\n"
                  "- {action: drop, to: 192.0.2.8, reason: ''}"));
  EXPECT_EQ(read.rules.at(0).reason, "b");
  EXPECT_EQ(read.rules.at(1).reason, "");
}

TEST(PolicyFile, ReadsNeighbourDiscoveryForThePolicyAndForARule) {
  const Policy read =
      policy(with("include_nd: true\nrules:\n- {action: drop, to: 192.0.2.7}\n"
                  "- {action: drop, to: 192.0.2.8, include_nd: false}"));
  EXPECT_TRUE(read.include_nd);
  EXPECT_TRUE(read.rules.at(0).include_nd);
  EXPECT_FALSE(read.rules.at(1).include_nd);
}

TEST(PolicyFile, ReadsEveryKindOfSubject) {
  const Policy read =
      policy("policy: p\nsubjects: [{unit: x.service, only: true}, {cgroup: a/b/, only: false}, {id: 25}]");
  EXPECT_EQ(format(read.subjects.at(0)), "unit x.service only");
  EXPECT_EQ(format(read.subjects.at(1)), "cgroup /a/b");
  EXPECT_EQ(format(read.subjects.at(2)), "id 25");
}

TEST(PolicyFile, TakesOneNameWithBothScopesForTwoSubjects) {
  EXPECT_EQ(policy("policy: p\nsubjects: [{id: 25}, {id: 25, only: true}]").subjects.size(), 2u);
}

TEST(PolicyFile, MayHaveNoRules) { EXPECT_TRUE(policy(with("")).rules.empty()); }

TEST(PolicyFile, ToleratesCrlf) {
  EXPECT_EQ(
      policy("policy: p\r\nsubjects:\r\n  - id: 25\r\nrules:\r\n  - {action: drop, to: 192.0.2.7}\r\n").rules.size(),
      1u);
}

// ---- default: deny ----

TEST(PolicyExpand, AddsNothingWithoutDefaultDeny) {
  const Policy read = policy(with("rules: [{action: drop, to: 192.0.2.7}]"));
  EXPECT_EQ(read.expand(), read.rules);
}

TEST(PolicyExpand, ClosesWithDropAnyAndLeavesLoopbackOpen) {
  const std::vector<RuleSpec> rules =
      policy(with("default: deny\nttl: 2h\nreason: r\nrules: [{action: allow, to: 192.0.2.7}]")).expand();
  ASSERT_EQ(rules.size(), 4u);
  EXPECT_EQ(format(rules[1].destination), format(destination("127.0.0.0/8")));
  EXPECT_EQ(format(rules[2].destination), format(destination("::1")));
  for (const std::size_t i : {1u, 2u}) {
    EXPECT_EQ(rules[i].action, Action::Allow);
    EXPECT_TRUE(rules[i].is_loopback);
    EXPECT_FALSE(rules[i].is_default);
  }
  EXPECT_EQ(rules[3].action, Action::Drop);
  EXPECT_EQ(rules[3].destination, Destination{});
  EXPECT_TRUE(rules[3].is_default);
  EXPECT_FALSE(rules[3].is_loopback);
  for (const RuleSpec& rule : rules) {
    EXPECT_EQ(rule.lifetime, Lifetime(hours(2)));
    EXPECT_EQ(rule.reason, "r");
    EXPECT_FALSE(rule.include_nd);
  }
}

TEST(PolicyExpand, ClosesLoopbackWhenAskedTo) {
  const std::vector<RuleSpec> rules = policy(with("default: deny\nloopback: false")).expand();
  ASSERT_EQ(rules.size(), 1u);
  EXPECT_TRUE(rules[0].is_default);
}

TEST(PolicyExpand, LeavesALoopbackRuleOfThePolicyAlone) {
  const std::vector<RuleSpec> rules = policy(with("default: deny\nrules: [{action: reject, to: '::1'}]")).expand();
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_EQ(rules[0].action, Action::Reject);
  EXPECT_EQ(rules[1].destination, destination("127.0.0.0/8"));
}

TEST(PolicyExpand, ClosesNeighbourDiscoveryWhenAskedTo) {
  EXPECT_TRUE(policy(with("default: deny\ninclude_nd: true")).expand().back().include_nd);
}

TEST(PolicyFile, RefusesPacketSocketsByTheClosingRuleOrByARuleThatLastsLongest) {
  const auto refusing = [](const Policy& policy) {
    std::vector<std::string> found;
    for (const RuleSpec& rule : policy.expand()) {
      if (rule.no_packet_sockets) found.push_back(format(rule.destination));
    }
    return found;
  };
  using Texts = std::vector<std::string>;
  const std::string rules =
      "rules: [{action: drop, to: 192.0.2.1, ttl: 1h}, {action: allow, to: 192.0.2.2, ttl: forever}, "
      "{action: reject, to: [192.0.2.3, 192.0.2.4], ttl: 2h}]";
  EXPECT_EQ(refusing(policy(with(rules))), Texts{});
  EXPECT_EQ(refusing(policy(with("packet_sockets: allow\n" + rules))), Texts{});
  EXPECT_EQ(refusing(policy(with("packet_sockets: refuse\n" + rules))), Texts{"192.0.2.3"});
  EXPECT_EQ(refusing(policy(with("packet_sockets: refuse\ndefault: deny\n" + rules))), Texts{"any"});
  EXPECT_EQ(refusing(policy(with("packet_sockets: refuse\ndefault: deny"))), Texts{"any"});
  EXPECT_EQ(refusing(policy(with("rules: [{action: drop, to: [192.0.2.1, 192.0.2.2], packet_sockets: refuse}]"))),
            (Texts{"192.0.2.1", "192.0.2.2"}));
}

TEST(PolicyFile, RefusesNoPacketSocketsWhereNothingIsCutOff) {
  EXPECT_ERROR(with("packet_sockets: refuse\nrules: [{action: audit, to: any}]"), "packet_sockets: no rule drops");
  EXPECT_ERROR(with("packet_sockets: refuse"), "packet_sockets: no rule drops");
  EXPECT_ERROR(with("rules: [{action: allow, to: 192.0.2.1, packet_sockets: refuse}]"), "rules that drop or reject");
  EXPECT_ERROR(with("packet_sockets: yes"), "neither refuse nor allow");
}

TEST(PolicyFormat, ReadsBackWhichRulesRefusePacketSockets) {
  for (const char* body : {"packet_sockets: refuse\ndefault: deny\nrules: [{action: allow, to: 192.0.2.1}]",
                           "packet_sockets: refuse\nrules: [{action: drop, to: [192.0.2.1, 192.0.2.2]}]"}) {
    const Policy read = policy(with(body));
    EXPECT_EQ(policy(format(read)), read) << format(read);
  }
}

TEST(PolicyExpand, EndsTheClosingRuleWithThePolicyWhateverARuleSays) {
  const std::vector<RuleSpec> rules =
      policy(with("default: deny\nttl: 2h\nrules: [{action: audit, to: 192.0.2.7, ttl: forever}]")).expand();
  EXPECT_EQ(rules.back().lifetime, Lifetime(hours(2)));
}

// ---- Errors ----

TEST(PolicyFile, RefusesUnknownKeysWithTheirPlace) {
  EXPECT_ERROR(with("rule: []"), "p.yaml:3:1: policy: unknown key rule (known keys: policy, ttl,");
  EXPECT_ERROR(with("rules:\n  - {action: drop, to: 192.0.2.7, port: 53}"), "p.yaml:4:35: rule: unknown key port");
  EXPECT_ERROR(with("lists:\n  - {action: drop, to: 192.0.2.7}"), "p.yaml:4:20: list: unknown key to");
  EXPECT_ERROR("policy: p\nsubjects: [{pid: 1}]", "p.yaml:2:13: subject: unknown key pid");
}

TEST(PolicyFile, RefusesAKeyThatComesTwiceWithBothPlaces) {
  EXPECT_ERROR(with("ttl: 1h\nttl: 2h"), "p.yaml:4:1: policy: key ttl comes twice, first with the value at p.yaml:3:6");
}

TEST(PolicyFile, RefusesMissingKeys) {
  EXPECT_ERROR("subjects: [{id: 1}]", "p.yaml:1:1: policy: key policy is missing");
  EXPECT_ERROR("policy: p", "p.yaml:1:1: policy: key subjects is missing");
  EXPECT_ERROR(with("rules: [{to: 192.0.2.7}]"), "p.yaml:3:9: rule: key action is missing");
  EXPECT_ERROR(with("rules: [{action: drop}]"), "p.yaml:3:9: rule: key to is missing");
  EXPECT_ERROR(with("lists: [{action: drop}]"), "p.yaml:3:9: list: key file is missing");
}

TEST(PolicyFile, RefusesBadValuesWithTheirPlace) {
  EXPECT_ERROR(with("ttl: 0"), "p.yaml:3:6: ttl: ");
  EXPECT_ERROR(with("ttl: 11y"), "p.yaml:3:6: ttl: ");
  EXPECT_ERROR(with("ttl: 99999d"), "p.yaml:3:6: ttl: ");
  EXPECT_ERROR(with("ttl:"), "ttl: value is missing");
  EXPECT_ERROR(with("ttl: [1h]"), "p.yaml:3:6: ttl: not a plain value");
  EXPECT_ERROR(with("default: drop"), "p.yaml:3:10: default: drop is neither allow nor deny");
  EXPECT_ERROR(with("loopback: yes"), "p.yaml:3:11: loopback: yes is neither true nor false");
  EXPECT_ERROR(with("include_nd: 1"), "p.yaml:3:13: include_nd: 1 is neither true nor false");
  EXPECT_ERROR(with("rules: [{action: block, to: 192.0.2.7}]"), "p.yaml:3:18: ");
  EXPECT_ERROR(with("rules: [{action: drop, to: 192.0.2.777}]"), "p.yaml:3:28: ");
  EXPECT_ERROR(with("rules: [{action: drop, to: [192.0.2.7, 'x']}]"), "p.yaml:3:40: ");
  EXPECT_ERROR(with("rules: [{action: drop, to: []}]"), "p.yaml:3:28: to: no destination");
  EXPECT_ERROR(with("rules: [{action: drop, to: {a: b}}]"), "p.yaml:3:28: to: not a list");
  EXPECT_ERROR(with("rules: [{action: drop, to: [[]]}]"), "p.yaml:3:29: to: not a destination");
  EXPECT_ERROR(with("rules: {action: drop}"), "p.yaml:3:8: rules: not a list");
  EXPECT_ERROR(with("rules: [drop]"), "p.yaml:3:9: rule: not a map");
}

TEST(PolicyFile, RefusesNamesThatAreEmptyLongOrNotPrintable) {
  EXPECT_ERROR("policy: ''\nsubjects: [{id: 1}]", "p.yaml:1:9: policy: a name has 1 to 255 bytes");
  EXPECT_ERROR("policy: \"a\\nb\"\nsubjects: [{id: 1}]", "p.yaml:1:9: policy: a name has");
  EXPECT_ERROR("policy: \"\\e[2J\"\nsubjects: [{id: 1}]", "p.yaml:1:9: policy: a name has");
  EXPECT_ERROR("policy: a\xC0\xAF\nsubjects: [{id: 1}]", "p.yaml:1:9: policy: a name has");
  EXPECT_ERROR("policy: " + std::string(256, 'a') + "\nsubjects: [{id: 1}]", "p.yaml:1:9: policy: a name has");
  EXPECT_EQ(policy("policy: " + std::string(255, 'a') + "\nsubjects: [{id: 1}]").name.size(), 255u);
}

TEST(PolicyFile, RefusesAReasonThatIsLongOrNotText) {
  EXPECT_ERROR(with("reason: " + std::string(256, 'a')), "p.yaml:3:9: reason: longer than 255 bytes");
  EXPECT_ERROR(with("reason: \"a\\0b\""), "p.yaml:3:9: reason: not UTF-8");
  EXPECT_ERROR(with("reason: \xFF"), "p.yaml:3:9: reason: not UTF-8");
  EXPECT_EQ(policy(with("reason: " + std::string(255, 'a'))).reason.size(), 255u);
}

TEST(PolicyFile, RefusesBadSubjects) {
  EXPECT_ERROR("policy: p\nsubjects: []", "p.yaml:2:11: subjects: none");
  EXPECT_ERROR("policy: p\nsubjects: {id: 1}", "p.yaml:2:11: subjects: not a list");
  EXPECT_ERROR("policy: p\nsubjects: [{id: 1, unit: a}]", "p.yaml:2:12: subject: names not exactly one of");
  EXPECT_ERROR("policy: p\nsubjects: [{only: true}]", "p.yaml:2:12: subject: names not exactly one of");
  EXPECT_ERROR("policy: p\nsubjects: [x.service]", "p.yaml:2:12: subject: not a map");
  EXPECT_ERROR("policy: p\nsubjects: [{id: 0}]", "p.yaml:2:17: 0: not a cgroup id");
  EXPECT_ERROR("policy: p\nsubjects: [{id: -1}]", "p.yaml:2:17: -1: not a cgroup id");
  EXPECT_ERROR("policy: p\nsubjects: [{id: 0x10}]", "p.yaml:2:17: 0x10: not a cgroup id");
  EXPECT_ERROR("policy: p\nsubjects: [{id: 18446744073709551616}]", "not a cgroup id");
  EXPECT_ERROR("policy: p\nsubjects: [{unit: a/b}]", "p.yaml:2:19: a/b: not the name of a unit");
  EXPECT_ERROR("policy: p\nsubjects: [{unit: ..}]", "p.yaml:2:19: ..: not the name of a unit");
  EXPECT_ERROR("policy: p\nsubjects: [{cgroup: /a/../b}]", "p.yaml:2:21: ");
  EXPECT_ERROR("policy: p\nsubjects: [{cgroup: \"/a\\0\"}]", "p.yaml:2:21: ");
}

TEST(PolicyFile, RefusesASubjectThatComesTwiceWithBothPlaces) {
  EXPECT_ERROR("policy: p\nsubjects: [{cgroup: a/b}, {cgroup: /a/b/}]",
               "p.yaml:2:27: cgroup /a/b: duplicate subject, first at p.yaml:2:12");
}

TEST(PolicyFile, RefusesADestinationThatComesTwiceWithBothPlaces) {
  EXPECT_ERROR(with("rules:\n- {action: drop, to: 192.0.2.0/24}\n- {action: allow, to: [192.0.2.9/24]}"),
               "p.yaml:5:24: 192.0.2.0/24: duplicate destination, first at p.yaml:4:22");
}

TEST(PolicyFile, RefusesAnIpv4MappedCopyOfADestination) {
  EXPECT_ERROR(with("rules: [{action: drop, to: [192.0.2.7, '::ffff:192.0.2.7']}]"), "duplicate destination");
}

TEST(PolicyFile, RefusesAnyUnderDefaultDeny) {
  EXPECT_ERROR(with("default: deny\nrules: [{action: audit, to: any}]"),
               "p.yaml:4:29: any: default: deny has a rule for it");
}

TEST(PolicyFile, TellsAllErrorsALineEach) {
  const std::string all = errors(with("ttl: x\nrules:\n- {action: no, to: [bad, 192.0.2.7]}\n- {to: worse, extra: 1}"));
  EXPECT_EQ(count_lines(all), 6u) << all;
  for (const char* place :
       {"p.yaml:3:6: ", "p.yaml:5:12: ", "p.yaml:5:21: ", "p.yaml:6:15: ", "p.yaml:6:3: ", "p.yaml:6:8: "}) {
    EXPECT_NE(all.find(place), std::string::npos) << place << "\n" << all;
  }
}

TEST(PolicyFile, KeepsAnErrorOnOneLineWhateverTheValue) {
  EXPECT_EQ(count_lines(errors(with("rules: [{action: drop, to: \"a\\nb\\e[2J\"}]"))), 1u);
}

TEST(PolicyFile, CountsErrorsBeyondAThousand) {
  std::string list;
  for (int i = 0; i < 1003; ++i) list += "bad\n";
  const std::string all = errors(with("lists: [{action: drop, file: l}]"), {{"l", list}});
  EXPECT_EQ(count_lines(all), 1001u);
  EXPECT_NE(all.find("\nand 3 more"), std::string::npos);
}

// ---- Lists ----

TEST(PolicyFile, GivesTheRulesOfAListItsActionAndLifetime) {
  const Policy read = policy(with("lists: [{action: reject, file: l, ttl: 5m}]"), {{"l", "192.0.2.7\n192.0.2.8:53\n"}});
  ASSERT_EQ(read.rules.size(), 2u);
  EXPECT_EQ(read.rules[1].action, Action::Reject);
  EXPECT_EQ(read.rules[1].lifetime, Lifetime(minutes(5)));
  EXPECT_EQ(read.rules[1].destination, destination("192.0.2.8:53"));
}

TEST(PolicyFile, NamesTheListFileInErrorsOfAList) {
  const std::string all =
      errors(with("lists: [{action: drop, file: feeds/l.txt}]"), {{"feeds/l.txt", "# x\n\n  192.0.2.777\n"}});
  EXPECT_EQ(all.rfind("feeds/l.txt:3:3: ", 0), 0u) << all;
}

TEST(PolicyFile, RefusesADestinationThatStandsInTheFileAndInAList) {
  const std::string all = errors(with("rules: [{action: allow, to: 192.0.2.7}]\nlists: [{action: drop, file: l}]"),
                                 {{"l", "\n192.0.2.7/32\n"}});
  EXPECT_NE(all.find("l:2:1: 192.0.2.7: duplicate destination, first at p.yaml:3:29"), std::string::npos) << all;
}

TEST(PolicyFile, TellsWhyAListCannotBeReadAtItsPlace) {
  EXPECT_ERROR(with("lists: [{action: drop, file: nowhere.txt}]"), "p.yaml:3:30: nowhere.txt: no such file");
  EXPECT_ERROR(with("lists: [{action: drop, file: ''}]"), "p.yaml:3:30: file: not a path");
}

TEST(PolicyFile, SaysSoWhenThereIsNobodyToReadLists) {
  const Result<Policy> parsed = parse_policy(with("lists: [{action: drop, file: l}]"), "p.yaml", {});
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.error().message().find("p.yaml:3:30: l: lists cannot be read here"), std::string::npos);
}

TEST(DestinationList, ReadsOneDestinationALine) {
  const auto list =
      parse_destination_list("# feed\r\n\r\n192.0.2.0/24\t# note\r\n  [2001:db8::1]:443  \n\nany:25/tcp", "l");
  ASSERT_TRUE(list.ok()) << list.error().message();
  EXPECT_EQ(*list, (std::vector<Destination>{destination("192.0.2.0/24"), destination("[2001:db8::1]:443"),
                                             destination("any:25/tcp")}));
}

TEST(DestinationList, IsEmptyForAnEmptyText) {
  const auto list = parse_destination_list("", "l");
  ASSERT_TRUE(list.ok());
  EXPECT_TRUE(list->empty());
}

TEST(DestinationList, SkipsAByteOrderMark) {
  EXPECT_TRUE(parse_destination_list("\xEF\xBB\xBF"
                                     "192.0.2.7\n",
                                     "l")
                  .ok());
}

TEST(DestinationList, TellsEveryBadLineWithItsPlace) {
  const auto list = parse_destination_list("bad\n192.0.2.7\n\t worse\n192.0.2.7 192.0.2.8\n", "l.txt");
  ASSERT_FALSE(list.ok());
  EXPECT_EQ(list.error().kind, ErrorKind::Usage);
  const std::string all = list.error().message();
  EXPECT_EQ(count_lines(all), 3u) << all;
  EXPECT_EQ(all.rfind("l.txt:1:1: ", 0), 0u) << all;
  EXPECT_NE(all.find("\nl.txt:3:3: "), std::string::npos) << all;
  EXPECT_NE(all.find("\nl.txt:4:1: "), std::string::npos) << all;
}

TEST(DestinationList, RefusesADestinationThatComesTwice) {
  const auto list = parse_destination_list("192.0.2.0/24\n192.0.2.1/24\n", "l");
  ASSERT_FALSE(list.ok());
  EXPECT_EQ(list.error().message(), "l:2:1: 192.0.2.0/24: duplicate destination, first at l:1:1");
}

// ---- Hostile YAML ----

TEST(PolicyFile, RefusesWhatIsNotYaml) {
  EXPECT_ERROR("policy: [", "p.yaml:");
  EXPECT_ERROR("policy: 'p", "p.yaml:");
  EXPECT_ERROR("a: b: c", "p.yaml:1:");
  EXPECT_ERROR("%YAML 9.9.9\n---\n", "p.yaml:1:");
}

TEST(PolicyFile, RefusesAnEmptyFile) {
  EXPECT_ERROR("", "p.yaml:1:1: ");
  EXPECT_ERROR("# nothing\n", "p.yaml:1:1: ");
  EXPECT_ERROR("---\n...\n", "p.yaml:");
}

TEST(PolicyFile, RefusesATopLevelThatIsNoMap) {
  EXPECT_ERROR("- a", "p.yaml:1:1: policy: not a map");
  EXPECT_ERROR("just words", "p.yaml:1:1: policy: not a map");
}

TEST(PolicyFile, RefusesASecondDocument) { EXPECT_ERROR(with("---\npolicy: q\n"), "p.yaml:3:1: second document"); }

TEST(PolicyFile, ComesToAnEndBehindAStrayComma) {
  EXPECT_ERROR("\"p\", c", "second document");
  EXPECT_ERROR("{policy: p},", "second document");
}

TEST(PolicyFile, RefusesAnchorsAliasesAndTags) {
  EXPECT_ERROR(with("rules: &r []"), "p.yaml:3:8: anchor: not allowed here");
  EXPECT_ERROR(with("ttl: &t 1h\nrules: *t"), "anchor: not allowed here");
  EXPECT_ERROR(with("ttl: !!str 1h"), "p.yaml:3:6: tag: not allowed here");
}

TEST(PolicyFile, RefusesAnAliasBombQuickly) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char name = 'b'; name <= 'z'; ++name) {
    const std::string previous = std::string(" *") + static_cast<char>(name - 1);
    bomb += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 9; ++i) bomb += previous + ",";
    bomb += "]\n";
  }
  EXPECT_ERROR(bomb, "anchor: not allowed here");
}

TEST(PolicyFile, RefusesMoreThanSixtyFourLevels) {
  EXPECT_ERROR(with("rules: " + std::string(70, '[') + std::string(70, ']')), "file: nested too deeply");
}

TEST(PolicyFile, SurvivesAHundredThousandOpenBrackets) {
  EXPECT_ERROR(with("rules: " + std::string(100'000, '[')), "p.yaml:3:");
  EXPECT_ERROR(with("rules: " + std::string(100'000, '{')), "p.yaml:3:");
}

TEST(PolicyFile, SurvivesThousandsOfLevelsOfIndentation) {
  std::string text = "a:\n";
  for (std::size_t i = 1; i < 2'000; ++i) text += std::string(i, ' ') + "a:\n";
  EXPECT_ERROR(text, "p.yaml:");
  std::string dashes;
  for (int i = 0; i < 10'000; ++i) dashes += "- ";
  EXPECT_ERROR(dashes, "p.yaml:");
}

TEST(PolicyFile, RefusesControlCharactersThatWouldCutTheFileShort) {
  EXPECT_ERROR(with("rules: []\n\x04\n"), "p.yaml:4:1: file: control character");
  EXPECT_ERROR(with("# a\x1B[2J\n"), "p.yaml:3:4: file: control character");
  EXPECT_ERROR(with(std::string("ttl: 1h\0", 8)), "p.yaml:3:8: file: control character");
}

TEST(PolicyFile, RefusesUtf16) {
  EXPECT_ERROR("\xFF\xFEp", "p.yaml:1:1: file: not UTF-8");
  EXPECT_ERROR("\xFE\xFFp", "p.yaml:1:1: file: not UTF-8");
}

TEST(PolicyFile, RefusesMoreThanSixtyFourMebibytes) {
  EXPECT_ERROR(std::string((64u << 20) + 1, '#'), "p.yaml:1:1: file: larger than 64 MiB");
}

TEST(DestinationList, RefusesMoreThanSixtyFourMebibytes) {
  EXPECT_FALSE(parse_destination_list(std::string((64u << 20) + 1, '#'), "l").ok());
}

// ---- Writing ----

/// What comes back from writing a policy and reading it.
Policy rewritten(const Policy& original) { return policy(format(original)); }

TEST(PolicyFormat, ReadsBackTheExampleOfTheContract) {
  const Policy original = policy(contract_example, {{"feeds/c2.txt", "198.51.100.9\n"}});
  EXPECT_EQ(rewritten(original), original);
}

TEST(PolicyFormat, WritesNeighboursThatDifferInDestinationOnlyOnOneLine) {
  EXPECT_EQ(format(policy(with("ttl: 90m\nrules:\n- {action: drop, to: 192.0.2.7}\n- {action: drop, to: 192.0.2.8}\n"
                               "- {action: allow, to: 192.0.2.9, ttl: forever, reason: a b}"))),
            "policy: p\nttl: 1h30m\nsubjects:\n  - id: 4711\ndefault: allow\nrules:\n"
            "  - {action: drop, to: [\"192.0.2.7\", \"192.0.2.8\"]}\n"
            "  - {action: allow, to: [\"192.0.2.9\"], ttl: forever, reason: \"a b\"}\n");
}

TEST(PolicyFormat, KeepsTheOrderOfRules) {
  const Policy original =
      policy(with("rules:\n- {action: drop, to: 192.0.2.7}\n- {action: allow, to: 192.0.2.1}\n"
                  "- {action: drop, to: 192.0.2.8}"));
  EXPECT_EQ(rewritten(original), original);
}

TEST(PolicyFormat, ReadsBackEverySwitch) {
  const Policy original = policy(
      "policy: p\nttl: forever\nreason: r\ninclude_nd: true\nloopback: false\ndefault: deny\n"
      "subjects: [{unit: a.service, only: true}, {cgroup: /}, {id: 25, only: true}]\n"
      "rules:\n- {action: allow, to: ['[2001:db8::1]:443', 192.0.2.7:1-9/tcp], reason: '', include_nd: false, ttl: "
      "1d}");
  EXPECT_EQ(rewritten(original), original);
}

TEST(PolicyFormat, ReadsBackOddNamesAndReasons) {
  Policy original = policy(with("rules: [{action: drop, to: 192.0.2.7}]"));
  original.name = "null";
  original.rules[0].reason = original.reason =
      " \"quoted\" \\ # x: [y]\t\n\r\x1B[2J\x04\x7F \xC2\x85 \xE2\x80\xA8 \xF0\x9F\x98\x80 ";
  original.subjects = {{Subject::Kind::Path, "/a b/\x1B[2J\xFF\"x (deleted)", Subject::Scope::Subtree},
                       {Subject::Kind::Unit, "true", Subject::Scope::Only},
                       {Subject::Kind::Unit, "user@1000.service", Subject::Scope::Subtree}};
  EXPECT_EQ(rewritten(original), original);
}

TEST(PolicyFormat, ReadsBackLifetimesToTheMillisecond) {
  Policy original = policy(with("rules: [{action: drop, to: 192.0.2.7}]"));
  original.lifetime = hours(24) * 3650;
  original.rules[0].lifetime = hours(24 * 3 + 4) + minutes(5) + seconds(6) + milliseconds(7);
  EXPECT_EQ(rewritten(original), original);
}

TEST(PolicyFormat, WritesNoControlCharacters) {
  Policy original = policy(with(""));
  original.reason = "\x1B[2J\xC2\x9B";
  for (const char c : format(original)) {
    EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
    EXPECT_NE(c, '\xC2');
  }
}

TEST(PolicyFormat, CutsWhatIsBelowAMillisecondAndNeverToNothing) {
  Policy original = policy(with(""));
  original.lifetime = nanoseconds(1);
  EXPECT_EQ(rewritten(original).lifetime, Lifetime(milliseconds(1)));
  original.lifetime = nanoseconds(2'999'999);
  EXPECT_EQ(rewritten(original).lifetime, Lifetime(milliseconds(2)));
}

}  // namespace
}  // namespace egress
