// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "lab.hpp"

namespace egress::bench {

/// Where everything stands. `empty` and `lpm` bear the programs to compare with, `none` and `nft` no program.
struct Field {
  test::PrivateInstance instance{"bench"};
  /// For commands: instances with `counts` rules, and one that is loaded by the command only.
  static constexpr std::array<int, 3> counts{0, 1'000, 65'536};
  std::array<test::PrivateInstance, 3> present{test::PrivateInstance("bench-0"), test::PrivateInstance("bench-1k"),
                                               test::PrivateInstance("bench-65k")};
  test::PrivateInstance unloaded{"bench-load"};
  test::PrivateCgroup none{"bench-none"}, empty{"bench-empty"}, lpm{"bench-lpm"}, nft{"bench-nft"};
};

constexpr LoadSettings settings{.max_rules = 131'072};

/// The rules of the cgroups below the root of the instance, in force in every contest.
void lay_rules(Filter& filter, const Field& field);

/// BPF_PROG_TEST_RUN: nanoseconds a packet. One packet again and again, then a packet of another destination each time.
[[nodiscard]] nlohmann::json contest_hot(const Field& field);
[[nodiscard]] nlohmann::json contest_cold(const Field& field);

/// Sends a second of connected UDP sockets. `sound` is whether the null control held.
[[nodiscard]] nlohmann::json contest_sends(const Field& field, bool& sound);

/// Whole commands: one rule more among many, listing, loading.
[[nodiscard]] nlohmann::json contest_commands(const Field& field);

}  // namespace egress::bench
