// SPDX-License-Identifier: GPL-2.0
#include "core/escape.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace egress {
namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 0;  ///< bytes; 0 = not UTF-8
};

std::uint8_t byte_at(std::string_view text, std::size_t index) { return static_cast<std::uint8_t>(text[index]); }

/// How many bytes a sequence with this first byte has; 0 if none starts so.
std::size_t sequence_length(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;  // C0 and C1 would be overlong
  if (first >= 0xE0 && first < 0xF0) return 3;
  if (first >= 0xF0 && first < 0xF5) return 4;  // F5 and up would be beyond U+10FFFF
  return 0;
}

/// The code point at the front of `text`. Precondition: text is not empty.
CodePoint first_code_point(std::string_view text) {
  static constexpr std::array<std::uint8_t, 5> payload_mask{0, 0x7F, 0x1F, 0x0F, 0x07};
  static constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  const std::size_t length = sequence_length(byte_at(text, 0));
  if (length == 0 || text.size() < length) return {};
  std::uint32_t value = byte_at(text, 0) & payload_mask[length];
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte_at(text, i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte_at(text, i) & 0x3Fu);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[length] || surrogate || value > 0x10FFFF) return {};
  return {value, length};
}

/// Characters that move the cursor, start a line or reverse text, here or on some terminal.
bool is_control(std::uint32_t value) {
  const auto within = [value](std::uint32_t first, std::uint32_t last) { return first <= value && value <= last; };
  return value < 0x20 || within(0x7F, 0x9F) || value == 0x061C || within(0x200E, 0x200F) || within(0x2028, 0x202E) ||
         within(0x2066, 0x2069);
}

void append_escaped(std::string& out, std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out += "\\x";
    out += digits[byte_at(bytes, i) >> 4];
    out += digits[byte_at(bytes, i) & 0xF];
  }
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const std::string_view bytes = text.substr(0, std::max<std::size_t>(point.length, 1));
    if (point.length == 0 || is_control(point.value)) {
      append_escaped(out, bytes);
    } else {
      out += bytes;
    }
    text.remove_prefix(bytes.size());
  }
  return out;
}

std::string quote(std::string_view text) {
  if (text.size() <= longest_quote) return escape(text);
  std::size_t end = longest_quote;
  while (end > longest_quote - 4 && (byte_at(text, end) & 0xC0) == 0x80) --end;  // do not cut a character in two
  return escape(text.substr(0, end)) + "...";
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.length == 0) return false;
    text.remove_prefix(point.length);
  }
  return true;
}

}  // namespace egress
