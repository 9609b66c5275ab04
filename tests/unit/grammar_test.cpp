// SPDX-License-Identifier: GPL-2.0
#include "cli/grammar.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

#include "support/text.hpp"

namespace egress::cli {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

/// 2026-11-24T08:00:00Z
const WallTime now{std::chrono::seconds{1795507200}};

Options words(std::initializer_list<const char*> list) {
  Options options;
  options.words.assign(list.begin(), list.end());
  return options;
}

Result<RuleSentence> drop(std::initializer_list<const char*> list) {
  return parse_rule_sentence("drop", words(list), now);
}

std::string drop_error(std::initializer_list<const char*> list) {
  const auto sentence = drop(list);
  if (sentence) return "no error";
  EXPECT_EQ(sentence.error().kind, ErrorKind::Usage);
  EXPECT_EQ(sentence.error().operation, "drop");
  return sentence.error().message();
}

TEST(RuleSentence, ReadsCgroupDestinationAndLifetime) {
  const auto sentence = drop({"cgroup", "/app", "to", "8.8.8.8:53/udp", "for", "90m"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject, (SubjectWords{SubjectWords::Kind::Cgroup, "/app", Subject::Scope::Subtree}));
  ASSERT_EQ(sentence->destinations.size(), 1u);
  EXPECT_EQ(format(sentence->destinations[0]), "8.8.8.8:53/udp");
  EXPECT_EQ(sentence->lifetime, Lifetime{minutes{90}});
}

TEST(RuleSentence, LeavesTheDestinationsOfAFileToOthers) {
  Options options = words({"cgroup", "/a", "to", "for", "5m"});
  options.file = "list.txt";
  const auto sentence = parse_rule_sentence("drop", options, now);
  ASSERT_TRUE(sentence.ok()) << sentence.error().message();
  EXPECT_TRUE(sentence->destinations.empty());
  EXPECT_EQ(sentence->lifetime, Lifetime{minutes{5}});
}

TEST(RuleSentence, LivesAnHourUnlessToldOtherwise) {
  const auto sentence = drop({"unit", "x.service", "to", "any"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->lifetime, Lifetime{hours{1}});
  EXPECT_EQ(sentence->subject.kind, SubjectWords::Kind::Unit);
}

TEST(RuleSentence, ForeverHasNoEnd) {
  const auto sentence = drop({"id", "25", "to", "any", "forever"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_FALSE(sentence->lifetime.has_value());
}

TEST(RuleSentence, UntilCountsFromNow) {
  const auto sentence = drop({"pid", "77", "to", "any", "until", "2026-11-24T10:30:00Z"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->lifetime, Lifetime{minutes{150}});
}

TEST(RuleSentence, UntilAMomentThatIsOverIsAnError) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "until", "2026-11-24T07:59:59Z"}), "is over already");
}

TEST(RuleSentence, UntilBeyondTenYearsIsAnError) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "until", "2046-11-24T07:59:59Z"}), "forever");
}

TEST(RuleSentence, UntilNeedsATime) { EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "until", "noon"}), "noon"); }

TEST(RuleSentence, OnlyAtTheEndNarrowsTheScope) {
  const auto sentence = drop({"cgroup", "/a", "to", "any", "for", "1h", "only"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject.scope, Subject::Scope::Only);
}

TEST(RuleSentence, OnlyBehindTheSubjectNarrowsTheScope) {
  const auto sentence = drop({"cgroup", "/a", "only", "to", "any"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject.scope, Subject::Scope::Only);
}

TEST(RuleSentence, OnlyMayStandBeforeTheLifetime) {
  const auto sentence = drop({"cgroup", "/a", "to", "any", "only", "for", "2h"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->lifetime, Lifetime{hours{2}});
  EXPECT_EQ(sentence->subject.scope, Subject::Scope::Only);
}

TEST(RuleSentence, ACgroupMayBeCalledLikeAKeyword) {
  const auto sentence = drop({"cgroup", "to", "to", "any"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject.value, "to");
}

TEST(RuleSentence, CommasAndBlanksPartDestinations) {
  const auto sentence = drop({"cgroup", "/a", "to", "192.0.2.1,192.0.2.2:4660/tcp,", "[2001:db8::1]:443", "for", "1h"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  ASSERT_EQ(sentence->destinations.size(), 3u);
  EXPECT_EQ(format(sentence->destinations[1]), "192.0.2.2:4660/tcp");
  EXPECT_EQ(format(sentence->destinations[2]), "[2001:db8::1]:443");
}

TEST(RuleSentence, TheSameDestinationTwiceIsAnError) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "192.0.2.1,192.0.2.1/32"}), "192.0.2.1: given twice");
}

TEST(RuleSentence, HostBitsDoNotMakeADestinationAnother) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "192.0.2.0/24,192.0.2.7/24"}), "given twice");
}

TEST(RuleSentence, NoWordsAskForASubjectWithAnExample) {
  const std::string message = drop_error({});
  EXPECT_HAS(message, "no words: expected a subject");
  EXPECT_HAS(message, "example: egress drop cgroup /app to 8.8.8.8:53/udp for 1h");
}

TEST(RuleSentence, AMistypedSubjectWordIsRecognised) {
  const std::string message = drop_error({"cgruop", "/app", "to", "any"});
  EXPECT_HAS(message, "word 1 \"cgruop\"");
  EXPECT_HAS(message, "did you mean \"cgroup\"?");
}

TEST(RuleSentence, APathWithoutCgroupIsRecognised) {
  EXPECT_HAS(drop_error({"/app", "to", "any"}), "did you mean \"cgroup /app\"?");
}

TEST(RuleSentence, AUnitWithoutUnitIsRecognised) {
  EXPECT_HAS(drop_error({"ssh.service", "to", "any"}), "did you mean \"unit ssh.service\"?");
}

TEST(RuleSentence, ASubjectWordNeedsItsValue) {
  EXPECT_HAS(drop_error({"cgroup"}), "after \"cgroup\": expected a path");
  EXPECT_HAS(drop_error({"unit"}), "after \"unit\": expected a unit name");
  EXPECT_HAS(drop_error({"id"}), "after \"id\": expected a cgroup id");
  EXPECT_HAS(drop_error({"pid"}), "after \"pid\": expected a process id");
}

TEST(RuleSentence, IdsAndPidsAreNumbers) {
  EXPECT_HAS(drop_error({"id", "x7", "to", "any"}), "not a cgroup id");
  EXPECT_HAS(drop_error({"id", "0", "to", "any"}), "not a cgroup id");
  EXPECT_HAS(drop_error({"id", "18446744073709551616", "to", "any"}), "not a cgroup id");
  EXPECT_HAS(drop_error({"pid", "-1", "to", "any"}), "not a process id");
  EXPECT_HAS(drop_error({"pid", "2147483648", "to", "any"}), "not a process id");
}

TEST(RuleSentence, TheLargestCgroupIdIsOne) {
  const auto sentence = drop({"id", "18446744073709551615", "to", "any"});
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject.value, "18446744073709551615");
}

TEST(RuleSentence, AUnitHasNoSlash) {
  EXPECT_HAS(drop_error({"unit", "a/b.service", "to", "any"}), "cgroup a/b.service");
}

TEST(RuleSentence, AnEmptyNameIsAnError) { EXPECT_HAS(drop_error({"cgroup", "", "to", "any"}), "empty"); }

TEST(RuleSentence, ToIsMissed) {
  EXPECT_HAS(drop_error({"cgroup", "/a"}), "after \"/a\": expected \"to DEST\"");
  EXPECT_HAS(drop_error({"cgroup", "/a", "8.8.8.8"}), "word 3 \"8.8.8.8\": expected \"to\"");
  EXPECT_HAS(drop_error({"cgroup", "/a", "tp", "8.8.8.8"}), "did you mean \"to\"?");
}

TEST(RuleSentence, ToNeedsADestination) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to"}), "after \"to\": expected a destination");
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "for", "1h"}), "after \"to\": expected a destination");
}

TEST(RuleSentence, ABadDestinationIsNamed) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "8.8.8.256"}), "8.8.8.256");
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "192.0.2.1:65536"}), "65536");
}

TEST(RuleSentence, AMistypedForIsRecognised) {
  const std::string message = drop_error({"cgroup", "/a", "to", "any", "fro", "1h"});
  EXPECT_HAS(message, "word 5 \"fro\"");
  EXPECT_HAS(message, "did you mean \"for\"?");
}

TEST(RuleSentence, AMistypedForeverIsRecognised) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "foreevr"}), "did you mean \"forever\"?");
}

TEST(RuleSentence, ForNeedsADuration) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "for"}), "after \"for\": expected a duration");
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "for", "0"}), "0");
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "for", "1x"}), "1x");
}

TEST(RuleSentence, TwoLifetimesAreAnError) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "for", "1h", "forever"}), "second lifetime");
}

TEST(RuleSentence, OnlyTwiceIsAnError) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "only", "only"}), "twice");
}

TEST(RuleSentence, WordsBehindTheEndAreAnError) {
  EXPECT_HAS(drop_error({"cgroup", "/a", "to", "any", "for", "1h", "please"}), "word 7 \"please\"");
}

TEST(RuleSentence, ControlCharactersAreEscapedInMessages) {
  const std::string message = drop_error({"\033[2J", "to", "any"});
  EXPECT_FALSE(test::has(message, "\033"));
  EXPECT_HAS(message, "\\x1b");
}

TEST(RuleOptions, TheTemplatesParametersMakeASentence) {
  Options options;
  options.cgroup_id = "12345";
  options.dst_ip = "8.8.8.8";
  options.dst_port = "53";
  options.ttl = "3600";
  const auto sentence = parse_rule_sentence("drop", options, now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject, (SubjectWords{SubjectWords::Kind::Id, "12345", Subject::Scope::Subtree}));
  EXPECT_EQ(format(sentence->destinations.at(0)), "8.8.8.8:53");
  EXPECT_EQ(sentence->lifetime, Lifetime{hours{1}});
}

TEST(RuleOptions, PortZeroIsEveryPort) {
  Options options;
  options.cgroup_id = "1";
  options.dst_ip = "2001:db8::1";
  options.dst_port = "0";
  const auto sentence = parse_rule_sentence("drop", options, now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(format(sentence->destinations.at(0)), "2001:db8::1");
}

TEST(RuleOptions, AnOptionMayStandForTheSubject) {
  Options options = words({"to", "192.0.2.9", "for", "2h"});
  options.unit = "x.service";
  const auto sentence = parse_rule_sentence("drop", options, now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->subject.kind, SubjectWords::Kind::Unit);
  EXPECT_EQ(sentence->lifetime, Lifetime{hours{2}});
}

std::string option_error(const Options& options) {
  const auto sentence = parse_rule_sentence("drop", options, now);
  return sentence ? "no error" : sentence.error().message();
}

TEST(RuleOptions, TwoSubjectsAreAnError) {
  Options options = words({"to", "any"});
  options.unit = "x.service";
  options.pid = "1";
  EXPECT_HAS(option_error(options), "more than one subject");
  options.pid.reset();
  options.words = {"cgroup", "/a", "to", "any"};
  EXPECT_HAS(option_error(options), "second subject");
}

TEST(RuleOptions, TwoLifetimesAreAnError) {
  Options options = words({"cgroup", "/a", "to", "any", "for", "1h"});
  options.ttl = "60";
  EXPECT_HAS(option_error(options), "--ttl");
}

TEST(RuleOptions, BadNumbersAreErrors) {
  Options options;
  options.cgroup_id = "1";
  options.dst_ip = "8.8.8.8";
  options.dst_port = "65536";
  EXPECT_HAS(option_error(options), "--dst-port 65536: not a port");
  options.dst_port = "53";
  options.ttl = "-1";
  EXPECT_NE(option_error(options), "no error");
  options.ttl = "0";
  EXPECT_NE(option_error(options), "no error");
  options.dst_ip = "8.8.8";
  EXPECT_HAS(option_error(options), "8.8.8");
}

TEST(RuleOptions, APortNeedsAnAddress) {
  Options options = words({"cgroup", "/a", "to", "any"});
  options.dst_port = "53";
  EXPECT_HAS(option_error(options), "needs --dst-ip");
}

TEST(IsolateSentence, ReadsExceptions) {
  const auto sentence =
      parse_isolate_sentence(words({"unit", "x.service", "allow", "10.0.0.0/8", "192.0.2.1", "for", "2h"}), now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->destinations.size(), 2u);
  EXPECT_EQ(sentence->lifetime, Lifetime{hours{2}});
}

TEST(IsolateSentence, NeedsNoException) {
  const auto sentence = parse_isolate_sentence(words({"cgroup", "/a", "for", "2h"}), now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_TRUE(sentence->destinations.empty());
}

TEST(IsolateSentence, SaysToIsNotItsWord) {
  const auto sentence = parse_isolate_sentence(words({"cgroup", "/a", "to", "any"}), now);
  ASSERT_FALSE(sentence);
  EXPECT_HAS(sentence.error().message(), "expected \"allow\"");
}

TEST(Target, ReadsIdsOnce) {
  const auto target = parse_target("rm", words({"7", "9", "7"}));
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->ids, (std::vector{RuleId{7}, RuleId{9}}));
  EXPECT_FALSE(target->subject);
}

TEST(Target, ReadsASubject) {
  const auto target = parse_target("rm", words({"cgroup", "/app"}));
  ASSERT_TRUE(target) << target.error().message();
  ASSERT_TRUE(target->subject);
  EXPECT_EQ(target->subject->value, "/app");
}

TEST(Target, IsEmptyWithoutWords) {
  const auto target = parse_target("ls", {});
  ASSERT_TRUE(target);
  EXPECT_TRUE(target->ids.empty());
  EXPECT_FALSE(target->subject);
}

TEST(Target, RefusesBadIds) {
  for (const char* bad : {"0", "7x", "4294967296", "7.5"}) {
    const auto target = parse_target("rm", words({bad}));
    ASSERT_FALSE(target) << bad;
    EXPECT_HAS(target.error().message(), "not a rule id");
  }
}

TEST(Target, RefusesWordsBehindASubject) {
  const auto target = parse_target("rm", words({"cgroup", "/app", "to"}));
  ASSERT_FALSE(target);
  EXPECT_HAS(target.error().message(), "word 3 \"to\": expected nothing more");
}

TEST(Target, ListsTakeNoIds) {
  const auto target = parse_target("ls", words({"7"}));
  ASSERT_FALSE(target);
  EXPECT_HAS(target.error().message(), "expected a subject");
}

TEST(ExtendSentence, ReadsIdAndLifetime) {
  const auto sentence = parse_extend_sentence(words({"7", "for", "2h"}), now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->id, RuleId{7});
  EXPECT_EQ(sentence->lifetime, Lifetime{hours{2}});
}

TEST(ExtendSentence, ForeverIsALifetime) {
  const auto sentence = parse_extend_sentence(words({"7", "forever"}), now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_FALSE(sentence->lifetime);
}

TEST(ExtendSentence, TakesTtlInstead) {
  Options options = words({"7"});
  options.ttl = "90";
  const auto sentence = parse_extend_sentence(options, now);
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->lifetime, Lifetime{std::chrono::seconds{90}});
}

TEST(ExtendSentence, NeedsALifetime) {
  const auto sentence = parse_extend_sentence(words({"7"}), now);
  ASSERT_FALSE(sentence);
  EXPECT_HAS(sentence.error().message(), "after \"7\": expected \"for DURATION\"");
}

TEST(ExtendSentence, HasNoScope) {
  EXPECT_FALSE(parse_extend_sentence(words({"7", "for", "1h", "only"}), now));
  EXPECT_FALSE(parse_extend_sentence(words({"all", "for", "1h"}), now));
}

TEST(ExplainSentence, KeepsWhatIsSaid) {
  const auto sentence = parse_explain_sentence(words({"cgroup", "/app", "8.8.8.8:53/udp"}));
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(format(sentence->destination), "8.8.8.8:53/udp");
  EXPECT_TRUE(sentence->assumed.empty());
}

TEST(ExplainSentence, AssumesTcpForAPortAndSaysSo) {
  const auto sentence = parse_explain_sentence(words({"pid", "7", "[2001:db8::1]:443"}));
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_EQ(sentence->destination.protocol, protocol::tcp);
  ASSERT_EQ(sentence->assumed.size(), 1u);
  EXPECT_HAS(sentence->assumed[0], "tcp");
}

TEST(ExplainSentence, SaysThatWithoutAPortPortRulesDoNotMatch) {
  const auto sentence = parse_explain_sentence(words({"cgroup", "/app", "8.8.8.8"}));
  ASSERT_TRUE(sentence) << sentence.error().message();
  ASSERT_EQ(sentence->assumed.size(), 1u);
}

TEST(ExplainSentence, IcmpNeedsNoPort) {
  const auto sentence = parse_explain_sentence(words({"cgroup", "/app", "8.8.8.8/icmp"}));
  ASSERT_TRUE(sentence) << sentence.error().message();
  EXPECT_TRUE(sentence->assumed.empty());
}

TEST(ExplainSentence, WantsOneAddressAndOnePort) {
  for (const char* wide : {"any", "8.8.8.0/24", "any:53/udp", "2001:db8::/127"}) {
    const auto sentence = parse_explain_sentence(words({"cgroup", "/app", wide}));
    ASSERT_FALSE(sentence) << wide;
    EXPECT_HAS(sentence.error().message(), "not a single address");
  }
  const auto range = parse_explain_sentence(words({"cgroup", "/app", "8.8.8.8:53-54"}));
  ASSERT_FALSE(range);
  EXPECT_HAS(range.error().message(), "not a single port");
}

TEST(ExplainSentence, TakesOneDestination) {
  EXPECT_FALSE(parse_explain_sentence(words({"cgroup", "/app", "8.8.8.8", "9.9.9.9"})));
  EXPECT_FALSE(parse_explain_sentence(words({"cgroup", "/app"})));
}

TEST(LifetimeWords, FallBackToTheGivenOne) {
  EXPECT_EQ(parse_lifetime_words("run", {}, now, Lifetime{hours{168}}).value(), Lifetime{hours{168}});
  EXPECT_EQ(parse_lifetime_words("run", words({"for", "5m"}), now, Lifetime{hours{168}}).value(), Lifetime{minutes{5}});
  EXPECT_FALSE(parse_lifetime_words("run", words({"curl"}), now, Lifetime{hours{168}}));
}

TEST(ParseNumber, TakesDigitsOnly) {
  EXPECT_EQ(parse_number("0", 0, 9), 0u);
  EXPECT_EQ(parse_number("9", 0, 9), 9u);
  for (const char* bad : {"10", "", " 1", "1 ", "+1", "-1", "0x1", "1e0", "18446744073709551616"}) {
    EXPECT_FALSE(parse_number(bad, 0, 9)) << bad;
  }
}

}  // namespace
}  // namespace egress::cli
