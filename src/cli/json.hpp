// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "egress/filter.hpp"

namespace egress::cli {

/// Fields keep the order of the contract, so that people can read it too.
using Json = nlohmann::ordered_json;

/// ASCII only: control characters and everything beyond as \uXXXX, bytes that are not UTF-8 as U+FFFD. Arrays
/// of objects have one object a line.
[[nodiscard]] std::string dump(const Json& json);

/// Now on both clocks: deadlines are judged by the boot clock and shown by the wall clock.
struct Clocks {
  BootTime boot;
  std::chrono::system_clock::time_point wall;

  [[nodiscard]] std::string time(BootTime moment) const;
};

/// The shapes of contract section 4.
[[nodiscard]] Json to_json(const Rule& rule, const Clocks& now);
[[nodiscard]] Json to_json(std::span<const Rule> rules, const Clocks& now);
[[nodiscard]] Json to_json(const Totals& totals);
[[nodiscard]] Json to_json(const Explanation& explanation);
[[nodiscard]] Json to_json(const PolicyDiff& diff);
/// {"ids":[7]}
[[nodiscard]] Json ids_json(std::span<const RuleId> ids);

[[nodiscard]] std::string_view format(Explanation::Verdict verdict);

}  // namespace egress::cli
