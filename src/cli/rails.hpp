// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "egress/filter.hpp"

namespace egress::cli {

/// Whether the subject is the root of the enforced subtree, or stands for all of it.
[[nodiscard]] bool is_root(const Subject& subject, std::optional<CgroupId> root);

/// The safety rail (Refused): drop or reject of `any` or of a prefix shorter than /8 (IPv4) or /16 (IPv6), or the
/// refusal of packet sockets, on the root of the enforced subtree. nullopt if the rules may be made without
/// --yes-really.
[[nodiscard]] std::optional<Error> rail(const Subject& subject, bool on_root, std::span<const RuleSpec> rules);

/// The rules of an addition of which rail() or neighbour_warnings() could say something.
[[nodiscard]] std::vector<RuleSpec> noteworthy(const Addition& addition);

/// What to tell about rules that reach into the addresses of neighbour discovery and MLD.
[[nodiscard]] std::vector<std::string> neighbour_warnings(std::span<const RuleSpec> rules);

/// Id of the root of the enforced subtree; nullopt if it cannot be told.
[[nodiscard]] std::optional<CgroupId> root_of(const Instance& instance);

}  // namespace egress::cli
