// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>

#include "egress/rule.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

using test::BadCase;

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using std::chrono::system_clock;

std::int64_t since_1970(system_clock::time_point time) { return nanoseconds(time.time_since_epoch()).count(); }

struct TimeCase {
  std::string text;
  std::int64_t seconds;
  std::int64_t nanoseconds = 0;
};

std::ostream& operator<<(std::ostream& out, const TimeCase& c) { return out << c.text; }

class TimeText : public testing::TestWithParam<TimeCase> {};

TEST_P(TimeText, IsReadToTheNanosecond) {
  const auto read = parse_time(GetParam().text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(since_1970(*read), GetParam().seconds * 1'000'000'000 + GetParam().nanoseconds);
}

// The seconds are those of `date -u -d TEXT +%s`.
INSTANTIATE_TEST_SUITE_P(
    Moments, TimeText,
    testing::Values(TimeCase{"1970-01-01T00:00:00Z", 0}, TimeCase{"2026-11-23T21:53:29Z", 1795470809},
                    TimeCase{"2026-11-23T22:53:29+01:00", 1795470809},
                    TimeCase{"2026-11-23T16:23:29-05:30", 1795470809},
                    TimeCase{"2026-11-24T21:52:29+23:59", 1795470809},
                    TimeCase{"2026-11-23T21:53:29-00:00", 1795470809}, TimeCase{"2026-11-23t21:53:29z", 1795470809},
                    TimeCase{"2000-02-29T12:00:00Z", 951825600}, TimeCase{"2024-02-29T00:00:00Z", 1709164800},
                    TimeCase{"2038-01-19T03:14:08Z", 2147483648}, TimeCase{"1969-12-31T23:59:59Z", -1},
                    TimeCase{"1970-01-01T00:00:00+00:01", -60}, TimeCase{"2026-12-31T23:59:59Z", 1798761599},
                    TimeCase{"2100-03-01T00:00:00Z", 4107542400}));

INSTANTIATE_TEST_SUITE_P(Fractions, TimeText,
                         testing::Values(TimeCase{"1970-01-01T00:00:01.5Z", 1, 500'000'000},
                                         TimeCase{"1970-01-01T00:00:01.000000001Z", 1, 1},
                                         TimeCase{"1970-01-01T00:00:01.25+00:00", 1, 250'000'000},
                                         TimeCase{"1970-01-01T00:00:01.123456789Z", 1, 123'456'789},
                                         TimeCase{"1970-01-01T00:00:01.9999999999999999999999999Z", 1, 999'999'999},
                                         TimeCase{"1970-01-01T00:00:01.0Z", 1, 0}));

class BadTime : public testing::TestWithParam<BadCase> {};

TEST_P(BadTime, IsRefusedWithItsCause) {
  const auto read = parse_time(GetParam().text);
  ASSERT_FALSE(read) << format_time(*read);
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_NE(read.error().message().find(GetParam().message), std::string::npos) << read.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, BadTime,
    testing::Values(BadCase{"2026-00-01T00:00:00Z", "month 00 is not between 1 and 12"},
                    BadCase{"2026-13-01T00:00:00Z", "month 13 is not between 1 and 12"},
                    BadCase{"2026-01-00T00:00:00Z", "day 00 is not between 1 and 31"},
                    BadCase{"2026-01-32T00:00:00Z", "day 32 is not between 1 and 31"},
                    BadCase{"2026-04-31T00:00:00Z", "day 31 is not between 1 and 30"},
                    BadCase{"2026-02-29T00:00:00Z", "2026-02-29T00:00:00Z: day 29 is not between 1 and 28 (RFC 3339: "},
                    BadCase{"2024-02-30T00:00:00Z", "day 30 is not between 1 and 29"},
                    BadCase{"1900-02-29T00:00:00Z", "day 29 is not between 1 and 28"},
                    BadCase{"2100-02-29T00:00:00Z", "day 29 is not between 1 and 28"},
                    BadCase{"2026-01-01T24:00:00Z", "hour 24 is not between 0 and 23"},
                    BadCase{"2026-01-01T00:60:00Z", "minute 60 is not between 0 and 59"},
                    BadCase{"2016-12-31T23:59:60Z", "second 60 is not between 0 and 59"},
                    BadCase{"2026-01-01T00:00:00+24:00", "hour of the offset 24 is not between 0 and 23"},
                    BadCase{"2026-01-01T00:00:00-00:60", "minute of the offset 60 is not between 0 and 59"},
                    BadCase{"0000-01-01T00:00:00Z", "year 0000 is not between 1678 and 2261"},
                    BadCase{"9999-12-31T23:59:59Z", "year 9999 is not between 1678 and 2261"},
                    BadCase{"2262-01-01T00:00:00Z", "year 2262 is not"},
                    BadCase{"1677-12-31T00:00:00Z", "year 1677 is not"}));

INSTANTIATE_TEST_SUITE_P(
    Forms, BadTime,
    testing::Values(
        BadCase{"", "the year needs 4 digits"}, BadCase{"tomorrow", "the year needs 4 digits"},
        BadCase{"26-11-23T21:53:29Z", "the year needs 4 digits"}, BadCase{"2026", "- is missing"},
        BadCase{"2026-11-23", "T is missing"}, BadCase{"2026-1-23T21:53:29Z", "the month needs 2 digits"},
        BadCase{"2026-11-3T21:53:29Z", "the day needs 2 digits"}, BadCase{"2026/11/23T21:53:29Z", "- is missing"},
        BadCase{"2026-11-23 21:53:29Z", "T is missing"}, BadCase{"2026-11-23T21:53Z", ": is missing"},
        BadCase{"2026-11-23T21:53:29", "Z or an offset such as"},
        BadCase{"2026-11-23T1:53:29Z", "the hour needs 2 digits"}, BadCase{"20261123T215329Z", "- is missing"},
        BadCase{"2026-11-23T21:53:29.Z", "digits are missing behind the point"},
        BadCase{"2026-11-23T21:53:29,5Z", "+ is missing"}, BadCase{"2026-11-23T21:53:29+0100", ": is missing"},
        BadCase{"2026-11-23T21:53:29+01", ": is missing"},
        BadCase{"2026-11-23T21:53:29+1:00", "the hour of the offset needs"},
        BadCase{"2026-11-23T21:53:29UTC", "+ is missing"}, BadCase{"2026-11-23T21:53:29Zx", "x cannot follow a time"},
        BadCase{"2026-11-23T21:53:29Z+01:00", "cannot follow a time"},
        BadCase{"+2026-11-23T21:53:29Z", "the year needs 4 digits"}, BadCase{"-026-11-23T21:53:29Z", "the year needs"},
        BadCase{"2026-+1-23T21:53:29Z", "the month needs 2 digits"}, BadCase{"1795470809", "- is missing"}));

INSTANTIATE_TEST_SUITE_P(Characters, BadTime,
                         testing::Values(BadCase{" 2026-11-23T21:53:29Z", "the year needs 4 digits"},
                                         BadCase{"2026-11-23T21:53:29Z ", "cannot follow a time"},
                                         BadCase{"2026-11-23T21:53:29Z\n", R"(\x0a cannot follow a time)"},
                                         BadCase{std::string("2026-11-23T21:53:29Z\0", 21),
                                                 R"(\x00 cannot follow a time)"},
                                         BadCase{std::string(70000, '2'), std::string(60, '2') + "...: "},
                                         BadCase{"2026-11-23T21:53:29Z" + std::string(70000, 'x'),
                                                 std::string(60, 'x') + "... cannot follow"}));

TEST(Time, IsPrintedInUtcWithWholeSeconds) {
  EXPECT_EQ(format_time(system_clock::time_point{}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_time(system_clock::time_point{1795470809s}), "2026-11-23T21:53:29Z");
  EXPECT_EQ(format_time(system_clock::time_point{1795470809s + 999ms}), "2026-11-23T21:53:29Z");
}

TEST(Time, BeforeTheEpochIsRoundedDownToo) {
  EXPECT_EQ(format_time(system_clock::time_point{-1ms}), "1969-12-31T23:59:59Z");
}

TEST(Time, AtTheEndsOfTheClockIsPrinted) {
  EXPECT_EQ(format_time(system_clock::time_point::max()), "2262-04-11T23:47:16Z");
  EXPECT_EQ(format_time(system_clock::time_point::min()), "1677-09-21T00:12:43Z");
}

TEST(Time, SurvivesFormatAndParse) {
  constexpr unsigned seed = 20261123;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    // 1678-01-01 to 2262-01-01
    const auto second = static_cast<std::int64_t>(random() % (9214646400u + 9214560000u)) - 9214560000;
    const system_clock::time_point time{std::chrono::seconds(second)};
    const auto read = parse_time(format_time(time));
    ASSERT_TRUE(read) << i << ": " << format_time(time);
    ASSERT_EQ(*read, time) << i << ": " << format_time(time);
  }
}

}  // namespace
}  // namespace egress
