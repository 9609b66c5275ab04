// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "engine/names.hpp"
#include "engine/tables.hpp"

namespace egress {

/// Which set a rule belongs to: one subject, scope included, in one policy.
struct SetName {
  Subject subject;
  std::optional<std::string> policy;  ///< nullopt = the policy of no name

  auto operator<=>(const SetName&) const = default;
};

/// The heads of sets, and the names of policies.
class Sets {
 public:
  Sets(Tables& tables, World& world, Names& names) : tables_(tables), world_(world), names_(names) {}

  [[nodiscard]] Result<std::optional<std::uint32_t>> find(const SetName& name);

  /// Finds or makes an empty set, last of its anchor. Precondition: the subject has an anchor.
  [[nodiscard]] Result<std::uint32_t> ensure(const SetName& name);

  /// The name of a set in use.
  [[nodiscard]] Result<std::optional<SetName>> name_of(std::uint32_t set);

  /// The sets of an anchor, in the order in which they judge.
  [[nodiscard]] std::vector<std::uint32_t> of_anchor(std::uint32_t anchor) const;

  /// Takes a set out of its anchor's list. Readers may still stand on it.
  void unlink(std::uint32_t set);

  /// Forgets the names of policies without a set.
  [[nodiscard]] Result<void> prune_policies();

  /// Refuses additions after which more than EGRESS_SETS_OF_PACKET sets could judge one packet.
  [[nodiscard]] Result<void> check_depth(std::span<const SetName> added);

 private:
  [[nodiscard]] Result<std::optional<std::uint32_t>> policy_key(const std::optional<std::string>& name);
  [[nodiscard]] Result<std::uint32_t> ensure_policy(const std::optional<std::string>& name);
  [[nodiscard]] Result<void> read_policies();
  [[nodiscard]] Result<std::vector<SetName>> all();

  Tables& tables_;
  World& world_;
  Names& names_;
  std::optional<std::map<std::string, std::uint32_t>> policies_;
  std::uint32_t search_from_ = 1;  ///< no free set below
};

}  // namespace egress
