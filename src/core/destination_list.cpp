// SPDX-License-Identifier: GPL-2.0
#include "core/destination_list.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "core/address.hpp"
#include "core/decimal.hpp"
#include "egress/policy.hpp"

namespace egress {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";  // of UTF-8
constexpr std::string_view blanks = " \t\r";                  // a line of a CRLF file ends in '\r'

/// What stands on a line beside comment and blanks, and at which column.
std::pair<std::string_view, std::size_t> content(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const std::size_t first = line.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {{}, 1};
  const std::size_t last = line.find_last_not_of(blanks);
  return {line.substr(first, last - first + 1), first + 1};
}

/// Cuts the first line, without its end, off `text`.
std::string_view cut_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// A decimal number of at most `digits` digits without leading zeros; -1 for anything else.
int take_number(const char*& at, const char* end, int digits) {
  int value = 0;
  const char* const first = at;
  while (at != end && is_digit(*at) && at - first < digits) value = 10 * value + (*at++ - '0');
  const bool odd = at == first || (*first == '0' && at - first > 1);
  return odd ? -1 : value;
}

/// The most frequent of all lines, "ADDR" or "ADDR/LEN" of IPv4 and nothing else: cut off `text` if it is one.
bool read_plain_line(std::string_view& text, Destination& destination) {
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  Prefix prefix;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return false;
    const int byte = take_number(at, end, 3);
    if (byte < 0 || byte > 255) return false;
    prefix.address.bytes[i] = static_cast<std::uint8_t>(byte);
  }
  prefix.length = 32;
  if (at != end && *at == '/') {
    const int length = take_number(++at, end, 2);
    if (length < 0 || length > 32) return false;
    prefix = canonical_prefix(prefix.address, static_cast<std::uint8_t>(length));
  }
  if (at != end && *at++ != '\n') return false;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  destination.prefix = prefix;
  return true;
}

}  // namespace

std::vector<PlacedDestination> read_destination_list(std::string_view text, const std::string& source,
                                                     Problems& problems) {
  std::vector<PlacedDestination> found;
  if (text.size() > longest_list) {
    problems.add(source, {}, usage_error("file", "larger than 64 MiB"));
    return found;
  }
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto [words, column] = content(cut_line(text));
    if (words.empty()) continue;
    const Position at{line, column};
    Result<Destination> destination = parse_destination(words);
    if (destination) {
      found.push_back({*destination, at});
    } else {
      problems.add(source, at, destination.error());
    }
  }
  return found;
}

std::uint64_t hash_of(const Destination& destination) {
  std::uint64_t words[3]{};
  if (const auto& prefix = destination.prefix) {
    std::memcpy(words, prefix->address.bytes.data(), prefix->address.bytes.size());
    words[2] = std::uint64_t{1} + prefix->length + (prefix->address.family == Family::V6 ? 256u : 0u);
  }
  if (const auto& ports = destination.ports)
    words[2] |= std::uint64_t{ports->first} << 48 | std::uint64_t{ports->last} << 32;
  if (destination.protocol) words[2] |= (std::uint64_t{1} + *destination.protocol) << 16;
  std::uint64_t hash = 0;
  for (const std::uint64_t word : words) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 32;
  }
  return hash;
}

std::size_t DestinationRegister::index_of(const std::string& source) {
  if (sources_.empty() || sources_.back() != source) sources_.push_back(source);
  return sources_.size() - 1;
}

bool DestinationRegister::add(const Destination& destination, const std::string& source, Position at) {
  const auto [entry, is_new] = places_.try_emplace(destination, Place{index_of(source), at});
  if (is_new) return true;
  const Place& before = entry->second;
  problems_.add(source, at,
                usage_error(format(destination),
                            "duplicate destination, first at " + format(sources_[before.source], before.at)));
  return false;
}

namespace {

/// The list without the places where its destinations stand; nullopt if there is something to say of them.
std::optional<std::vector<Destination>> read_faultless(std::string_view text) {
  if (text.size() > longest_list) return std::nullopt;
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::vector<Destination> found;
  found.reserve(static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1);
  while (!text.empty()) {
    if (read_plain_line(text, found.emplace_back())) continue;
    found.pop_back();
    const auto [words, column] = content(cut_line(text));
    if (words.empty()) continue;
    auto destination = parse_destination(words);
    if (!destination) return std::nullopt;
    found.push_back(*destination);
  }
  if (find_twice(found)) return std::nullopt;
  return found;
}

}  // namespace

Result<std::vector<Destination>> parse_destination_list(std::string_view text, const std::string& source) {
  if (auto found = read_faultless(text)) return *std::move(found);
  Problems problems;
  const std::vector<PlacedDestination> entries = read_destination_list(text, source, problems);
  DestinationRegister seen(problems);
  for (const PlacedDestination& entry : entries) seen.add(entry.destination, source, entry.at);
  assert(!problems.empty());
  return problems.error();
}

}  // namespace egress
