// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
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
  std::map<Destination, Place> places_;
};

}  // namespace egress
