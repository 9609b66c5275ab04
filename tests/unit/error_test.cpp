// SPDX-License-Identifier: GPL-2.0
#include "egress/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>

#include "core/escape.hpp"

namespace egress {
namespace {

Error error_of(std::string operation, std::string object, std::string cause, std::string remedy) {
  return {ErrorKind::Failed, std::move(operation), std::move(object), std::move(cause), std::move(remedy)};
}

TEST(Error, ReadsOperationObjectCauseRemedy) {
  const Error error{ErrorKind::NotFound, "add rule", "id 4711", "no such cgroup",
                    "rules for future cgroups: unit NAME"};
  EXPECT_EQ(error.message(), "add rule: id 4711: no such cgroup (rules for future cgroups: unit NAME)");
}

TEST(Error, LeavesOutEmptyParts) {
  EXPECT_EQ((error_of("", "", "table full", "").message()), "table full");
  EXPECT_EQ((error_of("", "id 7", "gone", "").message()), "id 7: gone");
  EXPECT_EQ((error_of("load", "", "no BTF", "").message()), "load: no BTF");
  EXPECT_EQ((error_of("load", "", "", "try again").message()), "load (try again)");
}

TEST(Error, ToldByItsRemedyAloneHasNoParentheses) {
  EXPECT_EQ(error_of("", "", "", "try again").message(), "try again");
}

TEST(Error, K3EscapesControlCharactersInEveryPart) {
  const Error error{ErrorKind::Failed, "a\x1b[2J", "b\rc", "d\x07", "e\x9b"};
  EXPECT_EQ(error.message(), R"(a\x1b[2J: b\x0dc: d\x07 (e\x9b))");
}

TEST(Error, CannotBeSplitIntoTwoLinesByTheNameOfItsObject) {
  const Error error = error_of("", "app\negress: all is well", "gone", "");
  EXPECT_EQ(error.message(), R"(app\x0aegress: all is well: gone)");
}

TEST(Error, KeepsTheLinesOfACause) {
  EXPECT_EQ((error_of("", "", "p.yaml:1:2: bad\np.yaml:3:4: \x1bworse", "").message()),
            "p.yaml:1:2: bad\np.yaml:3:4: \\x1bworse");
}

TEST(Error, GetsAnOperationOnTheWayUp) {
  EXPECT_EQ(error_of("", "", "gone", "").in("add rule").message(), "add rule: gone");
}

TEST(Error, KeepsTheOperationItHas) {
  EXPECT_EQ((error_of("open map", "", "gone", "").in("add rule").message()), "open map: gone");
}

TEST(UsageError, HasExitStatusTwoAndNoErrno) {
  const Error error = usage_error("x", "bad", "better");
  EXPECT_EQ(static_cast<int>(error.kind), 2);
  EXPECT_EQ(error.code, 0);
  EXPECT_EQ(error.message(), "x: bad (better)");
}

TEST(SystemError, SaysWhatTheErrnoMeans) {
  const Error error = system_error("open map", "rules", ENOENT, "load first");
  EXPECT_EQ(error.kind, ErrorKind::Failed);
  EXPECT_EQ(error.code, ENOENT);
  EXPECT_EQ(error.message(), "open map: rules: No such file or directory (load first)");
}

TEST(SystemError, OfMissingPrivilegesIsNotPermitted) {
  EXPECT_EQ(system_error("load", "", EPERM).kind, ErrorKind::NotPermitted);
  EXPECT_EQ(system_error("load", "", EACCES).kind, ErrorKind::NotPermitted);
  EXPECT_EQ(system_error("load", "", ENOMEM).kind, ErrorKind::Failed);
}

TEST(SystemError, ReadsTheKernelsPrivate524AsNotSupported) {
  const Error error = system_error("attach", "tcx", 524);
  EXPECT_EQ(error.message(), "attach: tcx: not supported");
  EXPECT_EQ(error.code, EOPNOTSUPP);
  EXPECT_EQ(system_error("attach", "tcx", EOPNOTSUPP).message(), error.message());
}

TEST(SystemError, TakesNegativeCodesAsTheirErrno) {
  EXPECT_EQ(system_error("load", "", -EPERM).code, EPERM);
  EXPECT_EQ(system_error("load", "", -EPERM).kind, ErrorKind::NotPermitted);
  EXPECT_EQ(system_error("load", "", -524).message(), "load: not supported");
}

TEST(SystemError, WithoutAnErrnoDoesNotSaySuccess) {
  EXPECT_EQ(system_error("load", "", 0).message(), "load: unknown error");
}

struct EscapeCase {
  std::string text;
  std::string escaped;
};

class Escape : public testing::TestWithParam<EscapeCase> {};

TEST_P(Escape, WritesUnsafeBytesAsHex) {
  EXPECT_EQ(escape(GetParam().text), GetParam().escaped);
  EXPECT_EQ(escape(escape(GetParam().text)), GetParam().escaped) << "escaping twice changes nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Texts, Escape,
    testing::Values(EscapeCase{"", ""}, EscapeCase{"plain /text: \"'\\ ~", "plain /text: \"'\\ ~"},
                    EscapeCase{std::string("a\0b", 3), R"(a\x00b)"}, EscapeCase{"\x1b[31m", R"(\x1b[31m)"},
                    EscapeCase{"\t\n\r", R"(\x09\x0a\x0d)"}, EscapeCase{"\x7f", R"(\x7f)"},
                    EscapeCase{"\u00e9\u20ac\U0001f600", "\u00e9\u20ac\U0001f600"},
                    EscapeCase{"\xc2\x9b", R"(\xc2\x9b)"},                  // C1: CSI
                    EscapeCase{"\u202eabc", R"(\xe2\x80\xaeabc)"},          // right-to-left override
                    EscapeCase{"\u2028", R"(\xe2\x80\xa8)"},                // line separator
                    EscapeCase{"\u2066\u061c", R"(\xe2\x81\xa6\xd8\x9c)"},  // isolates, letter mark
                    EscapeCase{"\xff\xfe", R"(\xff\xfe)"},                  // never in UTF-8
                    EscapeCase{"\xc0\xaf", R"(\xc0\xaf)"},                  // overlong '/'
                    EscapeCase{"\xe0\x80\xaf", R"(\xe0\x80\xaf)"},          // overlong, three bytes
                    EscapeCase{"\xf0\x80\x80\xaf", R"(\xf0\x80\x80\xaf)"},  // overlong, four bytes
                    EscapeCase{"\xed\xa0\x80", R"(\xed\xa0\x80)"},          // surrogate
                    EscapeCase{"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},  // beyond U+10FFFF
                    EscapeCase{"\xf5\x80\x80\x80", R"(\xf5\x80\x80\x80)"},  // no such first byte
                    EscapeCase{"a\xe2\x82", R"(a\xe2\x82)"},                // cut off
                    EscapeCase{"\xe2\x82z", R"(\xe2\x82z)"},                // broken off
                    EscapeCase{"\x80z", R"(\x80z)"}));                      // begins in the middle

TEST(Quote, LeavesShortTextWhole) { EXPECT_EQ(quote(std::string(60, 'x')), std::string(60, 'x')); }

TEST(Quote, CutsLongText) { EXPECT_EQ(quote(std::string(100000, 'x')), std::string(60, 'x') + "..."); }

TEST(Quote, DoesNotCutACharacterInTwo) {
  EXPECT_EQ(quote(std::string(59, 'x') + "\u20ac" + "tail"), std::string(59, 'x') + "...");
  EXPECT_EQ(quote(std::string(57, 'x') + "\u20ac" + "tail"), std::string(57, 'x') + "\u20ac...");
}

TEST(Quote, EscapesWhatItQuotes) { EXPECT_EQ(quote("a\x1b"), R"(a\x1b)"); }

TEST(Utf8, IsToldFromOtherBytes) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("x \u00e9 \U0010ffff \x1b"));
  EXPECT_FALSE(is_utf8("x\xff"));
  EXPECT_FALSE(is_utf8("\xc3"));
  EXPECT_FALSE(is_utf8("\xed\xbf\xbf"));
}

}  // namespace
}  // namespace egress
