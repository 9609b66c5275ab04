// SPDX-License-Identifier: GPL-2.0
#include "egress/rule.hpp"

#include <gtest/gtest.h>

#include <string>

namespace egress {
namespace {

TEST(Action, SurvivesFormatAndParse) {
  for (const Action action : {Action::Drop, Action::Reject, Action::Audit, Action::Allow}) {
    const auto read = parse_action(format(action));
    ASSERT_TRUE(read) << format(action);
    EXPECT_EQ(*read, action);
  }
}

TEST(Action, IsCalledByItsWord) {
  EXPECT_EQ(format(Action::Drop), "drop");
  EXPECT_EQ(format(Action::Reject), "reject");
  EXPECT_EQ(format(Action::Audit), "audit");
  EXPECT_EQ(format(Action::Allow), "allow");
}

TEST(Action, OfNoNameIsPrintedAsNone) { EXPECT_EQ(format(static_cast<Action>(77)), "none"); }

class BadAction : public testing::TestWithParam<std::string> {};

TEST_P(BadAction, IsRefusedWithTheListOfActions) {
  const auto read = parse_action(GetParam());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_NE(read.error().message().find("unknown action (drop, reject, audit or allow)"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Texts, BadAction,
                         testing::Values("", "Drop", "drop ", "dro", "dropp", "deny", "none",
                                         std::string("drop\0", 5)));

TEST(Subject, IsPrintedWithItsKind) {
  EXPECT_EQ(format(Subject{Subject::Kind::Path, "/app", Subject::Scope::Subtree}), "cgroup /app");
  EXPECT_EQ(format(Subject{Subject::Kind::Unit, "x.service", Subject::Scope::Subtree}), "unit x.service");
  EXPECT_EQ(format(Subject{Subject::Kind::Id, "25", Subject::Scope::Subtree}), "id 25");
}

TEST(Subject, IsPrintedWithItsScope) {
  EXPECT_EQ(format(Subject{Subject::Kind::Unit, "x.service", Subject::Scope::Only}), "unit x.service only");
  EXPECT_EQ(format(Subject{Subject::Kind::Path, "/", Subject::Scope::Only}), "cgroup / only");
}

TEST(Subject, IsPrintedWithControlCharactersEscaped) {
  EXPECT_EQ(format(Subject{Subject::Kind::Path, "/a\x1b[2J\"{\xff", Subject::Scope::Subtree}),
            R"(cgroup /a\x1b[2J"{\xff)");
  EXPECT_EQ(format(Subject{Subject::Kind::Unit, "\u00fcber.service", Subject::Scope::Subtree}),
            "unit \u00fcber.service");
}

TEST(Subject, IsComparedByKindNameAndScope) {
  const Subject subject{Subject::Kind::Path, "/app", Subject::Scope::Subtree};
  EXPECT_EQ(subject, (Subject{Subject::Kind::Path, "/app", Subject::Scope::Subtree}));
  EXPECT_NE(subject, (Subject{Subject::Kind::Unit, "/app", Subject::Scope::Subtree}));
  EXPECT_NE(subject, (Subject{Subject::Kind::Path, "/apq", Subject::Scope::Subtree}));
  EXPECT_NE(subject, (Subject{Subject::Kind::Path, "/app", Subject::Scope::Only}));
}

struct PathCase {
  std::string text;
  std::string canonical;
};

class CgroupPath : public testing::TestWithParam<PathCase> {};

TEST_P(CgroupPath, IsMadeCanonical) {
  const auto read = canonical_cgroup_path(GetParam().text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, GetParam().canonical);
  EXPECT_EQ(*canonical_cgroup_path(*read), *read) << "canonical stays as it is";
}

const std::string longest_name(255, 'n');
const std::string longest_path =
    "/" + longest_name + "/" + longest_name + "/" + longest_name + "/" + std::string(254, 'n');

INSTANTIATE_TEST_SUITE_P(
    Texts, CgroupPath,
    testing::Values(PathCase{"/", "/"}, PathCase{"//", "/"}, PathCase{"app", "/app"}, PathCase{"/app", "/app"},
                    PathCase{"/app/", "/app"}, PathCase{"app/", "/app"}, PathCase{"//a///b//", "/a/b"},
                    PathCase{"system.slice/x.service", "/system.slice/x.service"}, PathCase{"/...", "/..."},
                    PathCase{"/.a/..b/c..", "/.a/..b/c.."}, PathCase{"/a b", "/a b"},
                    PathCase{"/x (deleted)", "/x (deleted)"}, PathCase{"/\x1b[2J\xff", "/\x1b[2J\xff"},
                    PathCase{"/a\\x2db", "/a\\x2db"}, PathCase{longest_name, "/" + longest_name},
                    PathCase{longest_path, longest_path}, PathCase{longest_path + "///", longest_path}));

struct BadPathCase {
  std::string text;
  std::string message;
};

class BadCgroupPath : public testing::TestWithParam<BadPathCase> {};

TEST_P(BadCgroupPath, IsRefusedWithItsCause) {
  const auto read = canonical_cgroup_path(GetParam().text);
  ASSERT_FALSE(read) << *read;
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_NE(read.error().message().find(GetParam().message), std::string::npos) << read.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BadCgroupPath,
    testing::Values(BadPathCase{"", "an empty cgroup path (the root of the enforced subtree is /)"},
                    BadPathCase{".", ". cannot be part of a cgroup path"}, BadPathCase{"/app/.", ". cannot be part"},
                    BadPathCase{"..", ".. cannot be part of a cgroup path"},
                    BadPathCase{"../../etc", "../../etc: .. cannot"}, BadPathCase{"/a/../b", ".. cannot be part"},
                    BadPathCase{"/a/..", ".. cannot be part"}, BadPathCase{"/a/./b", ". cannot be part"},
                    BadPathCase{"/a\nb", R"(/a\x0ab: no cgroup name holds)"},
                    BadPathCase{std::string("/a\0b", 4), R"(/a\x00b: no cgroup name holds)"},
                    BadPathCase{longest_name + "n", "... is 256 bytes long (a cgroup name has at most 255 bytes)"},
                    BadPathCase{longest_path + "/n", "the path is 1025 bytes long (at most 1023)"},
                    BadPathCase{longest_path + "n", "the path is 1024 bytes long (at most 1023)"}));

TEST(CgroupPath, OfTheLongestKindHas1023Bytes) { EXPECT_EQ(longest_path.size(), 1023u); }

}  // namespace
}  // namespace egress
