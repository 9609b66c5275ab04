// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/decimal.hpp"
#include "core/escape.hpp"
#include "egress/rule.hpp"

namespace egress {
namespace {

using std::chrono::system_clock;

// system_clock counts nanoseconds in 64 bits: 1677-09-21 to 2262-04-11.
constexpr unsigned first_year = 1678;
constexpr unsigned last_year = 2261;
constexpr std::string_view allowed = "RFC 3339: 2026-11-23T21:53:29Z or 2026-11-23T22:53:29+01:00";

/// Reads one RFC 3339 text from front to back; the first thing wrong is kept in `cause_`.
class Reader {
 public:
  explicit Reader(std::string_view whole) : whole_(whole), rest_(whole) {}
  [[nodiscard]] Result<system_clock::time_point> read();

 private:
  unsigned number(std::string_view what, std::size_t digits, unsigned first, unsigned last);
  void separator(std::string_view any_of);
  [[nodiscard]] std::chrono::sys_days date();
  [[nodiscard]] std::chrono::seconds time_of_day();
  [[nodiscard]] std::chrono::nanoseconds fraction();
  [[nodiscard]] std::chrono::minutes offset();
  void fail(std::string cause) {
    if (cause_.empty()) cause_ = std::move(cause);
  }

  std::string_view whole_;
  std::string_view rest_;
  std::string cause_;
};

unsigned Reader::number(std::string_view what, std::size_t digits, unsigned first, unsigned last) {
  const std::string_view text = rest_.substr(0, digits);
  const auto value = parse_digits(text);
  if (text.size() != digits || !value) {
    fail(fmt::format("the {} needs {} digits", what, digits));
    return first;
  }
  rest_.remove_prefix(digits);
  if (*value < first || *value > last) {
    fail(fmt::format("{} {} is not between {} and {}", what, text, first, last));
    return first;
  }
  return static_cast<unsigned>(*value);
}

void Reader::separator(std::string_view any_of) {
  if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) {
    fail(fmt::format("{} is missing", any_of.substr(0, 1)));
    return;
  }
  rest_.remove_prefix(1);
}

std::chrono::sys_days Reader::date() {
  const unsigned year = number("year", 4, first_year, last_year);
  separator("-");
  const unsigned month = number("month", 2, 1, 12);
  separator("-");
  const std::chrono::year_month month_of_year{std::chrono::year{static_cast<int>(year)}, std::chrono::month{month}};
  const std::chrono::year_month_day_last last_day = month_of_year / std::chrono::last;
  const unsigned day = number("day", 2, 1, static_cast<unsigned>(last_day.day()));
  return std::chrono::sys_days{month_of_year / std::chrono::day{day}};
}

std::chrono::seconds Reader::time_of_day() {
  const std::chrono::hours hour{number("hour", 2, 0, 23)};
  separator(":");
  const std::chrono::minutes minute{number("minute", 2, 0, 59)};
  separator(":");
  const std::chrono::seconds second{number("second", 2, 0, 59)};  // this clock knows no leap second
  return hour + minute + second;
}

/// Digits beyond nanoseconds are cut off.
std::chrono::nanoseconds Reader::fraction() {
  if (rest_.empty() || rest_.front() != '.') return {};
  rest_.remove_prefix(1);
  const auto* const end = std::find_if_not(rest_.begin(), rest_.end(), is_digit);
  const auto size = static_cast<std::size_t>(end - rest_.begin());
  if (size == 0) fail("digits are missing behind the point");
  std::string digits(rest_.substr(0, std::min<std::size_t>(size, 9)));
  rest_.remove_prefix(size);
  digits.resize(9, '0');
  return std::chrono::nanoseconds{static_cast<std::int64_t>(parse_digits(digits).value_or(0))};
}

std::chrono::minutes Reader::offset() {
  if (rest_.empty()) fail("Z or an offset such as +01:00 is missing");
  if (!rest_.empty() && (rest_.front() == 'Z' || rest_.front() == 'z')) {
    rest_.remove_prefix(1);
    return {};
  }
  const bool west = !rest_.empty() && rest_.front() == '-';
  separator("+-");
  const std::chrono::hours hours{number("hour of the offset", 2, 0, 23)};
  separator(":");
  const std::chrono::minutes sum = hours + std::chrono::minutes{number("minute of the offset", 2, 0, 59)};
  return west ? -sum : sum;
}

Result<system_clock::time_point> Reader::read() {
  const auto day = date();
  separator("Tt");
  const auto second = time_of_day();
  const auto nanosecond = fraction();
  const auto east = offset();
  if (!rest_.empty()) fail(quote(rest_) + " cannot follow a time");
  if (!cause_.empty()) return usage_error(quote(whole_), cause_, std::string(allowed));
  return std::chrono::time_point_cast<system_clock::duration>(day + second + nanosecond - east);
}

}  // namespace

Result<system_clock::time_point> parse_time(std::string_view text) { return Reader(text).read(); }

std::string format_time(system_clock::time_point time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{second - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

}  // namespace egress
