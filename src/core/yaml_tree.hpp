// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/problems.hpp"

namespace egress {

/// A node of a YAML document, with its place. `items` of a map are key, value, key, value.
struct YamlNode {
  enum class Kind { Null, Scalar, Sequence, Map };

  Kind kind = Kind::Null;
  Position at;
  std::string text;
  std::vector<YamlNode> items;
};

inline constexpr std::size_t longest_yaml = 64u << 20;  ///< bytes
inline constexpr std::size_t deepest_yaml = 64;         ///< levels
inline constexpr std::size_t most_yaml_nodes = 4'000'000;

/// Reads the one document of `text`. Safe on hostile input: anchors, aliases and tags, control characters,
/// and whatever exceeds the limits above are problems. nullopt if there was any problem.
[[nodiscard]] std::optional<YamlNode> read_yaml(std::string_view text, const std::string& source, Problems& problems);

}  // namespace egress
