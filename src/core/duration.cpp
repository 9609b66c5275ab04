// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/decimal.hpp"
#include "core/escape.hpp"
#include "egress/rule.hpp"

namespace egress {
namespace {

using std::chrono::nanoseconds;

struct Unit {
  std::string_view name;
  nanoseconds length;
};
constexpr std::array<Unit, 6> units{{{"w", std::chrono::weeks(1)},
                                     {"d", std::chrono::days(1)},
                                     {"h", std::chrono::hours(1)},
                                     {"m", std::chrono::minutes(1)},
                                     {"s", std::chrono::seconds(1)},
                                     {"ms", std::chrono::milliseconds(1)}}};
constexpr std::string_view allowed = "90s, 15m, 1h30m, 7d, 250ms, or a plain number of seconds";

Error fail(std::string_view text, std::string cause) {
  return usage_error(quote(text), std::move(cause), std::string(allowed));
}

Error too_long(std::string_view text) {
  return usage_error(quote(text), "longer than ten years (3650d)", "no end is written forever");
}

/// One number and its unit, cut off the front of a text.
struct Term {
  std::string_view number;
  std::string_view unit;
};

Term cut_term(std::string_view& rest) {
  const auto* const number_end = std::find_if_not(rest.begin(), rest.end(), is_digit);
  const auto* const unit_end = std::find_if(number_end, rest.end(), is_digit);
  const auto number_size = static_cast<std::size_t>(number_end - rest.begin());
  const auto size = static_cast<std::size_t>(unit_end - rest.begin());
  const Term term{rest.substr(0, number_size), rest.substr(number_size, size - number_size)};
  rest.remove_prefix(size);
  return term;
}

/// `sum` and `count` times `unit`; nullopt beyond the longest lifetime. Precondition: sum is within it.
std::optional<nanoseconds> add(nanoseconds sum, std::uint64_t count, nanoseconds unit) {
  const auto room = static_cast<std::uint64_t>((longest_lifetime - sum) / unit);
  if (count > room) return std::nullopt;
  return sum + static_cast<std::int64_t>(count) * unit;
}

/// Digits beyond 64 bits are beyond ten years in every unit.
std::uint64_t saturated(std::string_view digits) { return parse_digits(digits).value_or(UINT64_MAX); }

Result<nanoseconds> parse_terms(std::string_view text) {
  nanoseconds sum{};
  const Unit* last = nullptr;
  for (std::string_view rest = text; !rest.empty();) {
    const Term term = cut_term(rest);
    if (term.number.empty()) return fail(text, "a number is missing before " + quote(term.unit));
    if (term.unit.empty()) return fail(text, quote(term.number) + " has no unit");
    const Unit* const unit =
        std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == term.unit; });
    if (unit == units.end()) return fail(text, "unknown unit " + quote(term.unit));
    if (last && unit <= last) return fail(text, "units stand once each and the longer before the shorter");
    const auto next = add(sum, saturated(term.number), unit->length);
    if (!next) return too_long(text);
    sum = *next;
    last = unit;
  }
  return sum;
}

Result<nanoseconds> parse_seconds(std::string_view text) {
  const auto sum = add(nanoseconds{}, saturated(text), std::chrono::seconds(1));
  if (!sum) return too_long(text);
  return *sum;
}

std::string format_below_ten_seconds(nanoseconds duration) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (milliseconds == 0) return "0s";
  if (milliseconds < 1000) return fmt::format("{}ms", milliseconds);
  const auto tenths = milliseconds / 100;
  return tenths % 10 == 0 ? fmt::format("{}s", tenths / 10) : fmt::format("{}.{}s", tenths / 10, tenths % 10);
}

}  // namespace

Result<nanoseconds> parse_duration(std::string_view text) {
  if (text.empty()) return usage_error({}, "an empty duration", std::string(allowed));
  if (text.front() == '-' || text.front() == '+') return fail(text, "a duration has no sign");
  const bool plain = std::all_of(text.begin(), text.end(), is_digit);
  auto duration = plain ? parse_seconds(text) : parse_terms(text);
  if (duration && *duration == nanoseconds{}) {
    return usage_error(quote(text), "a rule cannot live for no time", "no end is written forever");
  }
  return duration;
}

std::string format_duration(nanoseconds duration) {
  using namespace std::chrono_literals;
  duration = std::max(duration, nanoseconds{});
  if (duration < 10s) return format_below_ten_seconds(duration);
  for (std::size_t i = 1; i + 2 < units.size(); ++i) {  // from days to minutes; "21d" reads better than "3w"
    const auto count = duration / units[i].length;
    if (count == 0) continue;
    const auto rest = duration % units[i].length / units[i + 1].length;
    const std::string first = fmt::format("{}{}", count, units[i].name);
    return rest == 0 ? first : fmt::format("{}{}{}", first, rest, units[i + 1].name);
  }
  return fmt::format("{}s", duration / 1s);
}

}  // namespace egress
