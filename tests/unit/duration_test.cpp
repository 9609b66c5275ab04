// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "egress/rule.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

using test::BadCase;

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

struct DurationCase {
  std::string text;
  nanoseconds value;
};

std::ostream& operator<<(std::ostream& out, const DurationCase& c) { return out << c.text; }

class DurationText : public testing::TestWithParam<DurationCase> {};

TEST_P(DurationText, IsRead) {
  const auto read = parse_duration(GetParam().text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->count(), GetParam().value.count());
}

INSTANTIATE_TEST_SUITE_P(
    Units, DurationText,
    testing::Values(DurationCase{"90s", 90s}, DurationCase{"15m", 15min}, DurationCase{"1h30m", 90min},
                    DurationCase{"7d", 168h}, DurationCase{"2w", 336h}, DurationCase{"250ms", 250ms},
                    DurationCase{"1ms", 1ms}, DurationCase{"1s500ms", 1500ms}, DurationCase{"1m1ms", 60001ms},
                    DurationCase{"1w2d3h4m5s6ms", 168h + 48h + 3h + 4min + 5s + 6ms}, DurationCase{"1h05m", 65min},
                    DurationCase{"90m", 90min}, DurationCase{"1h90m", 150min}, DurationCase{"0h5m", 5min},
                    DurationCase{"0000000000000000000000001s", 1s}));

INSTANTIATE_TEST_SUITE_P(PlainSeconds, DurationText,
                         testing::Values(DurationCase{"1", 1s}, DurationCase{"90", 90s}, DurationCase{"3600", 1h},
                                         DurationCase{"315360000", 87600h}));

INSTANTIATE_TEST_SUITE_P(TheLongest, DurationText,
                         testing::Values(DurationCase{"3650d", 87600h}, DurationCase{"87600h", 87600h},
                                         DurationCase{"315360000s", 87600h}, DurationCase{"315360000000ms", 87600h},
                                         DurationCase{"3649d23h59m59s999ms", 87600h - 1ms},
                                         DurationCase{"521w3d", 87600h}));

class BadDuration : public testing::TestWithParam<BadCase> {};

TEST_P(BadDuration, IsRefusedWithItsCause) {
  const auto read = parse_duration(GetParam().text);
  ASSERT_FALSE(read) << read->count();
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_NE(read.error().message().find(GetParam().message), std::string::npos) << read.error().message();
}

INSTANTIATE_TEST_SUITE_P(I4Nothing, BadDuration,
                         testing::Values(BadCase{"", "an empty duration (90s, 15m"},
                                         BadCase{"0", "0: a rule cannot live for no time (no end is"},
                                         BadCase{"0s", "no time"}, BadCase{"0ms", "no time"},
                                         BadCase{"0h0m0s", "no time"}, BadCase{"000", "no time"}));

INSTANTIATE_TEST_SUITE_P(I4Signs, BadDuration,
                         testing::Values(BadCase{"-1", "-1: a duration has no sign"}, BadCase{"+1", "no sign"},
                                         BadCase{"-1s", "no sign"}, BadCase{"1h-30m", "unknown unit h-"},
                                         BadCase{"1s+", "unknown unit s+"}));

INSTANTIATE_TEST_SUITE_P(
    I4Numbers, BadDuration,
    testing::Values(BadCase{"1e9", "unknown unit e"}, BadCase{"0x10", "unknown unit x"},
                    BadCase{"1.5h", "unknown unit ."}, BadCase{"1,5h", "unknown unit ,"},
                    BadCase{"0b1", "unknown unit b"}, BadCase{"inf", "a number is missing before inf"},
                    BadCase{"nan", "a number is missing"}, BadCase{"s", "a number is missing before s"},
                    BadCase{"forever", "a number is missing"}, BadCase{"\xd9\xa1s", "a number is missing"}));

INSTANTIATE_TEST_SUITE_P(I4Blanks, BadDuration,
                         testing::Values(BadCase{" 1", "a number is missing"}, BadCase{"1 ", "unknown unit"},
                                         BadCase{"1 s", "unknown unit"}, BadCase{"1h 30m", "unknown unit h "},
                                         BadCase{"1s\n", R"(1s\x0a: unknown unit s\x0a)"},
                                         BadCase{"\t1s", R"(\x091s: a number is missing)"},
                                         BadCase{std::string("1s\0", 3), R"(unknown unit s\x00)"},
                                         BadCase{std::string("1\0", 2), R"(unit \x00)"}));

INSTANTIATE_TEST_SUITE_P(UnitsOutOfOrder, BadDuration,
                         testing::Values(BadCase{"30m1h", "the longer before the shorter"},
                                         BadCase{"1s1s", "once each"}, BadCase{"1ms1s", "the longer before"},
                                         BadCase{"1h1d", "the longer before"}, BadCase{"1h30", "30 has no unit"},
                                         BadCase{"1H", "unknown unit H"}, BadCase{"1y", "unknown unit y"},
                                         BadCase{"1us", "unknown unit us"}, BadCase{"1min", "unknown unit min"},
                                         BadCase{"1hm", "unknown unit hm"}, BadCase{"1msm", "unknown unit msm"}));

// u64 nanoseconds wrap at 18446744073 s, i64 nanoseconds at 9223372036 s, u64 at 20 digits.
INSTANTIATE_TEST_SUITE_P(
    I4BeyondTenYears, BadDuration,
    testing::Values(
        BadCase{"18446744073", "longer than ten years"}, BadCase{"18446744074", "longer than ten years"},
        BadCase{"9223372037", "longer than ten years"}, BadCase{"9223372036854775808", "longer than ten years"},
        BadCase{"18446744073709551615", "ten years"}, BadCase{"18446744073709551616", "ten years"},
        BadCase{"18446744073709551617s", "ten years"}, BadCase{"18446744073709551616w", "ten years"},
        BadCase{"30500568904944w", "ten years"}, BadCase{"315360001", "ten years (3650d) (no end is written forever)"},
        BadCase{"315360000001ms", "ten years"}, BadCase{"3650d1ms", "ten years"}, BadCase{"3651d", "ten years"},
        BadCase{"522w", "ten years"}, BadCase{"3650d18446744073709551615s", "ten years"},
        BadCase{std::string(100000, '9'), std::string(60, '9') + "...: longer than ten years"}));

TEST(Duration, QuotesHugeInputShortly) {
  for (const char filler : {'9', 's', ' ', '-', '\0', '\x1b', '\xff'}) {
    for (const std::string front : {"", "1", "1h"}) {
      const auto read = parse_duration(front + std::string(1 << 16, filler));
      ASSERT_FALSE(read);
      EXPECT_LT(read.error().message().size(), 700u) << read.error().message();
    }
  }
}

struct PrintCase {
  nanoseconds value;
  std::string text;
};

class PrintedDuration : public testing::TestWithParam<PrintCase> {};

TEST_P(PrintedDuration, HasTwoUnitsAtMostAndIsRoundedDown) {
  EXPECT_EQ(format_duration(GetParam().value), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(Values, PrintedDuration,
                         testing::Values(PrintCase{0s, "0s"}, PrintCase{-5s, "0s"}, PrintCase{nanoseconds::min(), "0s"},
                                         PrintCase{1ns, "0s"}, PrintCase{999999ns, "0s"}, PrintCase{1ms, "1ms"},
                                         PrintCase{250ms, "250ms"}, PrintCase{999ms, "999ms"}, PrintCase{1s, "1s"},
                                         PrintCase{1099ms, "1s"}, PrintCase{1200ms, "1.2s"}, PrintCase{1299ms, "1.2s"},
                                         PrintCase{9999ms, "9.9s"}, PrintCase{10s, "10s"}, PrintCase{10900ms, "10s"},
                                         PrintCase{59999ms, "59s"}, PrintCase{60s, "1m"}, PrintCase{61s, "1m1s"},
                                         PrintCase{59min + 12s, "59m12s"}, PrintCase{60min - 1ns, "59m59s"},
                                         PrintCase{1h, "1h"}, PrintCase{1h + 59s, "1h"}, PrintCase{1h + 30min, "1h30m"},
                                         PrintCase{24h - 1ns, "23h59m"}, PrintCase{24h, "1d"}, PrintCase{76h, "3d4h"},
                                         PrintCase{24h + 59min, "1d"}, PrintCase{168h, "7d"}, PrintCase{336h, "14d"},
                                         PrintCase{longest_lifetime, "3650d"},
                                         PrintCase{nanoseconds::max(), "106751d23h"}));

TEST(Duration, PrintedIsNeverLongerThanItIs) {
  for (nanoseconds value = 20ms; value < longest_lifetime; value += value / 7 + 1ms) {
    const std::string text = format_duration(value);
    if (text.find('.') != std::string::npos) continue;  // tenths of a second are for readers
    const auto read = parse_duration(text);
    ASSERT_TRUE(read) << text;
    EXPECT_LE(*read, value) << text;
    EXPECT_GT(*read, value - value / 10 - 1ms) << text << " " << value.count();
  }
}

TEST(Lifetime, DefaultsToOneHour) { EXPECT_EQ(RuleSpec{}.lifetime, 1h); }

}  // namespace
}  // namespace egress
