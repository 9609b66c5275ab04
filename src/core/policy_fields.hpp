// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/problems.hpp"
#include "core/yaml_tree.hpp"
#include "egress/rule.hpp"

namespace egress {

/// The values of one map of a policy file, by key, and where to complain about them.
///
/// Every reader returns nullopt both for a key that is not there and for a value that cannot be used; the
/// latter is a problem by then. Refers to the node, the source and the problems it was made of.
class Fields {
 public:
  /// `object` is what the map describes: "rule". Not a map, a key that is not in `allowed`, and a key that comes
  /// twice are problems.
  Fields(const YamlNode& node, std::string object, std::initializer_list<std::string_view> allowed,
         const std::string& source, Problems& problems);

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] const YamlNode* find(std::string_view key) const;
  /// As find, but a missing key is a problem.
  [[nodiscard]] const YamlNode* require(std::string_view key) const;

  [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<Lifetime> lifetime(std::string_view key) const;  ///< a duration or `forever`
  [[nodiscard]] std::optional<std::string> reason(std::string_view key) const;
  [[nodiscard]] std::optional<Action> action(std::string_view key) const;
  /// `refuse` (true) or `allow`.
  [[nodiscard]] std::optional<bool> refusal(std::string_view key) const;

  void complain(Position at, std::string object, std::string cause, std::string remedy = {}) const;
  void complain(Position at, const Error& error) const { problems_.add(source_, at, error); }
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  void take(const YamlNode& key, const YamlNode& value, std::initializer_list<std::string_view> allowed);

  std::string object_;
  Position at_;
  const std::string& source_;
  Problems& problems_;
  std::map<std::string_view, const YamlNode*> values_;
};

}  // namespace egress
