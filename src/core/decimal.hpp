// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace egress {

[[nodiscard]] constexpr bool is_digit(char c) { return '0' <= c && c <= '9'; }

/// Reads digits, all of `text`, and nothing else. nullopt for a sign, a blank, no digit at all, or a number
/// beyond 64 bits. Leading zeros are read as nothing.
[[nodiscard]] inline std::optional<std::uint64_t> parse_digits(std::string_view text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// As parse_digits, and refuses leading zeros, which other programs read as octal.
[[nodiscard]] inline std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return parse_digits(text);
}

}  // namespace egress
