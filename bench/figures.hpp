// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "contests.hpp"

namespace egress::bench {

/// Everything that a run measures.
struct Results {
  Table hot, hot6, back_to_back, back_to_back6, cold, cold6;
  Table sends, sends_to_many, sends6, sends_to_many6, unconnected, drops, round_trips, throughput;
  CommandTables commands;
  Table other_commands;
};

/// A figure with the bound that it is to keep: a report, nothing fails by it.
struct Figure {
  enum class Bound { AtMost, AtLeast };

  std::string what;
  std::optional<double> value = {};  ///< nullopt: not measured here
  Bound bound = Bound::AtMost;
  double limit = 0;
  int digits = 1;
  std::string beside = {};  ///< for comparison, of the same run

  [[nodiscard]] bool held() const { return value && (bound == Bound::AtMost ? *value <= limit : *value >= limit); }
};

[[nodiscard]] std::vector<Figure> figures_of(const Results& results);
void print(const std::vector<Figure>& figures);
[[nodiscard]] nlohmann::json json_of(const std::vector<Figure>& figures);

}  // namespace egress::bench
