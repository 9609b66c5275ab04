// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <vector>

#include "egress/rule.hpp"

namespace egress::bench {

/// Random addresses of 1.0.0.0 to 223.255.255.255 without 127.0.0.0/8, or of 2000::/3: all even, none twice.
/// Fewer are the first of more.
[[nodiscard]] std::vector<Prefix> exact(Family family, int count);
/// Random networks there, lengths 16 to 32 in turn, or 32 to 64 and 128; none twice. Fewer are the first of more.
[[nodiscard]] std::vector<Prefix> mixed(Family family, int count);
/// Random odd addresses there that are in none of the networks: they match no rule at all. Fewer are the first of more.
[[nodiscard]] std::vector<Address> strangers(Family family, int count);
/// The first Sizes::strange of them.
[[nodiscard]] const std::vector<Address>& strangers(Family family);

[[nodiscard]] std::vector<RuleSpec> drops(const std::vector<Prefix>& destinations, Lifetime lifetime = std::nullopt);

}  // namespace egress::bench
