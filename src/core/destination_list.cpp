// SPDX-License-Identifier: GPL-2.0
#include "core/destination_list.hpp"

#include <cstring>

#include "egress/policy.hpp"

namespace egress {
namespace {

constexpr std::string_view blanks = " \t\r";  // a line of a CRLF file ends in '\r'

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

}  // namespace

std::vector<PlacedDestination> read_destination_list(std::string_view text, const std::string& source,
                                                     Problems& problems) {
  std::vector<PlacedDestination> found;
  if (text.size() > longest_list) {
    problems.add(source, {}, usage_error("file", "larger than 64 MiB"));
    return found;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // UTF-8's byte order mark
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

Result<std::vector<Destination>> parse_destination_list(std::string_view text, const std::string& source) {
  Problems problems;
  const std::vector<PlacedDestination> entries = read_destination_list(text, source, problems);
  if (find_twice(entries, &PlacedDestination::destination)) {
    DestinationRegister seen(problems);
    for (const PlacedDestination& entry : entries) seen.add(entry.destination, source, entry.at);
  }
  if (!problems.empty()) return problems.error();
  std::vector<Destination> destinations;
  destinations.reserve(entries.size());
  for (const PlacedDestination& entry : entries) destinations.push_back(entry.destination);
  return destinations;
}

}  // namespace egress
