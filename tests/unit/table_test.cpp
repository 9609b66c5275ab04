// SPDX-License-Identifier: GPL-2.0
#include "cli/table.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "cli/rails.hpp"
#include "cli/selection.hpp"
#include "support/text.hpp"

namespace egress::cli {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const BootTime now{seconds{5000}};

Destination to(std::string_view text) { return parse_destination(text).value(); }

Rule rule() {
  Rule made;
  made.id = RuleId{7};
  made.subject = {Subject::Kind::Path, "/app", Subject::Scope::Subtree};
  made.action = Action::Drop;
  made.destination = to("8.8.8.8:53/udp");
  made.created_at = BootTime{now.since_boot - seconds{48}};
  made.expires_at = BootTime{now.since_boot + minutes{59} + seconds{12}};
  made.counts = {2, 168, 0};
  made.cgroups = {CgroupId{25}};
  return made;
}

RuleSpec spec(Action action, std::string_view destination) {
  RuleSpec made;
  made.action = action;
  made.destination = to(destination);
  return made;
}

TEST(Table, AlignsColumnsAndLeavesNoBlanksAtTheEnd) {
  constexpr std::array<Column, 2> columns = {{{"N", true, false}, {"NAME", false, false}}};
  EXPECT_EQ(format_table(columns, {{{"7"}, {"a"}}, {{"1234"}, {"longer"}}}, false),
            "   N  NAME\n"
            "   7  a\n"
            "1234  longer\n");
}

TEST(Table, LeavesOutOptionalColumnsThatAreEmpty) {
  constexpr std::array<Column, 2> columns = {{{"A", false, false}, {"B", false, true}}};
  EXPECT_EQ(format_table(columns, {{{"x"}, {""}}}, false), "A\nx\n");
  EXPECT_EQ(format_table(columns, {{{"x"}, {""}}, {{"y"}, {"z"}}}, false), "A  B\nx\ny  z\n");
}

TEST(Table, CountsCodePointsNotBytes) {
  EXPECT_EQ(display_width("größe"), 5u);
  constexpr std::array<Column, 2> columns = {{{"A", false, false}, {"B", false, false}}};
  EXPECT_EQ(format_table(columns, {{{"öö"}, {"x"}}, {{"abc"}, {"y"}}}, false), "A    B\nöö   x\nabc  y\n");
}

TEST(Table, PaintsOnlyWhenAsked) {
  EXPECT_EQ(paint("drop", Colour::Red, false), "drop");
  EXPECT_EQ(paint("drop", Colour::Red, true), "\033[31mdrop\033[0m");
  EXPECT_EQ(paint("drop", Colour::None, true), "drop");
}

TEST(Table, ColourDoesNotChangeTheAlignment) {
  constexpr std::array<Column, 2> columns = {{{"A", false, false}, {"B", false, false}}};
  const std::string painted = format_table(columns, {{{"x", Colour::Red}, {"y"}}}, true);
  EXPECT_HAS(painted, "\033[31mx\033[0m  y\n");
}

TEST(Table, NoColorIsObeyed) {
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(colour_wanted());
  ::unsetenv("NO_COLOR");
}

TEST(TimeLeft, ReadsLikeAClock) {
  Rule some = rule();
  EXPECT_EQ(format_left(some, now), "59m12s");
  some.expires_at = now;
  EXPECT_EQ(format_left(some, now), "over");
  some.expires_at.reset();
  EXPECT_EQ(format_left(some, now), "forever");
}

TEST(RulesTable, ShowsRuleTimeLeftAndCounts) {
  const std::vector<Rule> rules{rule()};
  EXPECT_EQ(rules_table(rules, now, false),
            "ID  ACTION  SUBJECT      DESTINATION       LEFT  PACKETS  BYTES\n"
            " 7  drop    cgroup /app  8.8.8.8:53/udp  59m12s        2    168\n");
}

TEST(RulesTable, SaysWhatIsSpecial) {
  Rule some = rule();
  some.cgroups.clear();
  some.policy = "contain";
  some.reason = "IR-4211";
  some.origin = Rule::Origin::Map;
  const std::string table = rules_table(std::vector{some}, now, false);
  EXPECT_HAS(table, "POLICY");
  EXPECT_HAS(table, "contain");
  EXPECT_HAS(table, "IR-4211");
  EXPECT_HAS(table, "pending, map");
}

TEST(RulesTable, EscapesNames) {
  Rule some = rule();
  some.subject.name = "/\033[2J";
  some.reason = "a\nb\xff";
  const std::string table = rules_table(std::vector{some}, now, false);
  EXPECT_FALSE(test::has(table, "\033"));
  EXPECT_HAS(table, "a\\x0ab\\xff");
}

TEST(RuleDetails, HaveAFieldALine) {
  const std::string details = rule_details(rule(), now, std::chrono::system_clock::time_point{seconds{1795507200}});
  EXPECT_HAS(details, "rule         7\n");
  EXPECT_HAS(details, "created      2026-11-24T07:59:12Z\n");
  EXPECT_HAS(details, "ends         2026-11-24T08:59:12Z (in 59m12s)\n");
  EXPECT_HAS(details, "cgroups      25\n");
  EXPECT_FALSE(test::has(details, "reason"));
}

TEST(NewRule, IsALine) {
  RuleSpec some = spec(Action::Drop, "8.8.8.8:53/udp");
  EXPECT_EQ(new_rule_line(RuleId{7}, rule().subject, some), "rule 7: drop cgroup /app to 8.8.8.8:53/udp, ends in 1h\n");
  some.lifetime.reset();
  some.is_default = true;
  EXPECT_EQ(new_rule_line(RuleId{8}, rule().subject, some),
            "rule 8: drop cgroup /app to 8.8.8.8:53/udp, no end (default deny)\n");
  some.no_packet_sockets = true;
  EXPECT_EQ(new_rule_line(RuleId{8}, rule().subject, some),
            "rule 8: drop cgroup /app to 8.8.8.8:53/udp, no end (default deny) (no packet sockets)\n");
}

TEST(DiffLines, ShowRemovedAddedAndKept) {
  PolicyDiff diff;
  diff.added = {{rule().subject, spec(Action::Drop, "192.0.2.1"), std::nullopt}};
  diff.removed = {{rule().subject, spec(Action::Audit, "192.0.2.2"), RuleId{3}}};
  diff.kept = {{rule().subject, spec(Action::Allow, "192.0.2.3"), RuleId{4}}};
  EXPECT_EQ(diff_lines(diff, false),
            "- audit cgroup /app to 192.0.2.2 for 1h  # rule 3\n"
            "+ drop cgroup /app to 192.0.2.1 for 1h\n"
            "= allow cgroup /app to 192.0.2.3 for 1h  # rule 4\n");
}

// ---- which rules a subject means ----

TEST(Selection, MatchesByNameWhateverTheScope) {
  Rule some = rule();
  some.subject.scope = Subject::Scope::Only;
  EXPECT_TRUE(is_of(some, {Subject::Kind::Path, "/app", Subject::Scope::Subtree}));
  EXPECT_FALSE(is_of(rule(), {Subject::Kind::Path, "/app", Subject::Scope::Only}));
  EXPECT_FALSE(is_of(rule(), {Subject::Kind::Unit, "/app", Subject::Scope::Subtree}));
  EXPECT_FALSE(is_of(rule(), {Subject::Kind::Path, "/app/x", Subject::Scope::Subtree}));
}

TEST(Selection, AnIdFindsRulesByName) {
  EXPECT_TRUE(is_of(rule(), {Subject::Kind::Id, "25", Subject::Scope::Subtree}));
  EXPECT_FALSE(is_of(rule(), {Subject::Kind::Id, "2", Subject::Scope::Subtree}));
}

// ---- safety rails ----

const Subject root{Subject::Kind::Path, "/", Subject::Scope::Subtree};

bool refused(Action action, std::string_view destination, bool on_root = true) {
  const std::vector<RuleSpec> rules{spec(action, destination)};
  const auto error = rail(root, on_root, rules);
  if (error) {
    EXPECT_EQ(error->kind, ErrorKind::Refused);
    EXPECT_HAS(error->message(), "--yes-really");
  }
  return error.has_value();
}

TEST(Rail, StopsWideRulesOnTheRoot) {
  EXPECT_TRUE(refused(Action::Drop, "any"));
  EXPECT_TRUE(refused(Action::Reject, "any:25/tcp"));
  EXPECT_TRUE(refused(Action::Drop, "8.0.0.0/7"));
  EXPECT_TRUE(refused(Action::Drop, "2000::/15"));
}

TEST(Rail, LetsNarrowRulesPass) {
  EXPECT_FALSE(refused(Action::Drop, "8.0.0.0/8"));
  EXPECT_FALSE(refused(Action::Drop, "2001::/16"));
}

TEST(Rail, LetsRulesPassThatCloseNothing) {
  EXPECT_FALSE(refused(Action::Audit, "any"));
  EXPECT_FALSE(refused(Action::Allow, "any"));
}

TEST(Rail, IsOfTheRootOnly) { EXPECT_FALSE(refused(Action::Drop, "any", false)); }

TEST(Rail, KnowsTheRootByPathAndById) {
  EXPECT_TRUE(is_root(root, std::nullopt));
  EXPECT_FALSE(is_root({Subject::Kind::Path, "/app", Subject::Scope::Subtree}, CgroupId{1}));
  EXPECT_TRUE(is_root({Subject::Kind::Id, "1", Subject::Scope::Subtree}, CgroupId{1}));
  EXPECT_FALSE(is_root({Subject::Kind::Id, "2", Subject::Scope::Subtree}, CgroupId{1}));
  EXPECT_FALSE(is_root({Subject::Kind::Unit, "1", Subject::Scope::Subtree}, CgroupId{1}));
}

std::size_t warnings(Action action, std::string_view destination) {
  return neighbour_warnings(std::vector{spec(action, destination)}).size();
}

TEST(NeighbourWarning, A10IsGivenForLinkLocalAddresses) {
  EXPECT_EQ(warnings(Action::Drop, "ff00::/8"), 1u);
  EXPECT_EQ(warnings(Action::Drop, "ff02::1:ff00:2"), 1u);
  EXPECT_EQ(warnings(Action::Reject, "fe80::/10"), 1u);
  EXPECT_EQ(warnings(Action::Drop, "fe80::1234"), 1u);
  EXPECT_EQ(warnings(Action::Drop, "::/0"), 1u);
}

TEST(NeighbourWarning, IsNotGivenElsewhere) {
  EXPECT_EQ(warnings(Action::Drop, "ff03::/16"), 0u);
  EXPECT_EQ(warnings(Action::Drop, "fec0::/10"), 0u);
  EXPECT_EQ(warnings(Action::Drop, "2001:db8::/32"), 0u);
  EXPECT_EQ(warnings(Action::Drop, "0.0.0.0/0"), 0u);
  EXPECT_EQ(warnings(Action::Allow, "ff02::/16"), 0u);
}

}  // namespace
}  // namespace egress::cli
