// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace egress::bench {

/// Median and quartiles.
struct Spread {
  double low = 0, median = 0, high = 0;
};

[[nodiscard]] Spread spread_of(std::vector<double> values);

/// Something measured, a value a round.
struct Contender {
  std::string name;
  std::function<double()> measure;
  std::vector<double> values = {};
};

/// How a contender is set against the first one, round by round.
enum class Against { Difference, Ratio };

struct Contest {
  std::string title;
  std::string unit;
  Against against = Against::Difference;
  int rounds = 31;
  std::vector<Contender> contenders;  ///< the first is the baseline
};

/// Lets the contenders take turns, each round in another order, and prints the table. The rows as JSON: name, median,
/// quartiles, against, against_quartiles.
[[nodiscard]] nlohmann::json hold(Contest contest);

/// CPU time of this thread, nanoseconds: what other processes take of the CPU is not in it.
[[nodiscard]] double cpu_time();

}  // namespace egress::bench
