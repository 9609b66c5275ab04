// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/problems.hpp"
#include "egress/destination.hpp"

namespace egress {

/// A destination and where it was written.
struct PlacedDestination {
  Destination destination;
  Position at;
};

inline constexpr std::size_t longest_list = 64u << 20;  ///< bytes

/// Reads a list file. Lines that are no destination become problems; the others are returned.
[[nodiscard]] std::vector<PlacedDestination> read_destination_list(std::string_view text, const std::string& source,
                                                                   Problems& problems);

[[nodiscard]] std::uint64_t hash_of(const Destination& destination);

/// For tables of many destinations.
struct DestinationHash {
  std::size_t operator()(const Destination& destination) const { return hash_of(destination); }
};

/// Positions of the first destination that was there before, and of its like; nullopt if each is there once.
/// `destination` leads from an element to its destination.
template <typename Elements, typename Projection = std::identity>
[[nodiscard]] std::optional<std::pair<std::size_t, std::size_t>> find_twice(const Elements& elements,
                                                                            Projection destination = {}) {
  struct Place {
    std::uint32_t tag;     ///< of the hash
    std::uint32_t number;  ///< position + 1; 0 = free
  };
  // Open addressing: a node for each would cost more than all the rest of reading a list.
  const std::size_t mask = std::bit_ceil(2 * elements.size() + 1) - 1;
  std::vector<Place> places(mask + 1);
  // Each place is a miss of the caches: they are asked for this many elements ahead.
  constexpr std::size_t ahead = 16;
  std::array<std::uint64_t, ahead> hashes;
  const auto look_ahead = [&](std::size_t i) {
    if (i >= elements.size()) return;
    hashes[i % ahead] = hash_of(std::invoke(destination, elements[i]));
    __builtin_prefetch(&places[hashes[i % ahead] & mask], 1);
  };
  for (std::size_t i = 0; i < ahead; ++i) look_ahead(i);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Destination& wanted = std::invoke(destination, elements[i]);
    const std::uint64_t hash = hashes[i % ahead];
    look_ahead(i + ahead);
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      Place& place = places[at];
      if (place.number == 0) {
        place = {tag, static_cast<std::uint32_t>(i + 1)};
        break;
      }
      if (place.tag != tag) continue;
      if (std::invoke(destination, elements[place.number - 1]) == wanted) return std::pair{place.number - 1u, i};
    }
  }
  return std::nullopt;
}

/// Remembers where destinations were written and tells of those that come twice.
class DestinationRegister {
 public:
  explicit DestinationRegister(Problems& problems) : problems_(problems) {}

  /// False, and a problem that names both places, if the destination was there before.
  bool add(const Destination& destination, const std::string& source, Position at);

 private:
  struct Place {
    std::size_t source = 0;  ///< index into sources_
    Position at;
  };

  [[nodiscard]] std::size_t index_of(const std::string& source);

  Problems& problems_;
  std::vector<std::string> sources_;
  std::unordered_map<Destination, Place, DestinationHash> places_;
};

}  // namespace egress
