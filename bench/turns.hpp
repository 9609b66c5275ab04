// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace egress::bench {

/// Median and quartiles.
struct Spread {
  double low = 0, median = 0, high = 0;
};

/// Precondition: there are values.
[[nodiscard]] Spread spread_of(std::vector<double> values);

/// Something measured, a value a round.
struct Contender {
  std::string name;
  std::function<double()> measure;
};

/// How a contender is set against the first one, round by round.
enum class Against { Difference, Ratio };

struct Contest {
  std::string title;
  std::string unit;
  Against against = Against::Difference;
  int rounds = 31;
  std::vector<Contender> contenders = {};  ///< the first is the baseline
};

/// What came out: the values of each, those of one round at the same place.
struct Table {
  struct Row {
    std::string name;
    std::vector<double> values = {};
    std::string base = {};  ///< the row it is set against; empty: the first
  };

  std::string title;
  std::string unit;
  Against against = Against::Ratio;
  std::vector<Row> rows = {};

  /// Made if it is not there.
  Row& row(const std::string& name);
  [[nodiscard]] bool has(const std::string& name) const { return find(name) != nullptr; }
  /// nullopt: one of the rows is not there.
  [[nodiscard]] std::optional<Spread> own(const std::string& name) const;
  [[nodiscard]] std::optional<Spread> difference(const std::string& name, const std::string& base) const;
  [[nodiscard]] std::optional<Spread> ratio(const std::string& name, const std::string& base) const;

  void print() const;
  /// Of each row: name, median, quartiles, and what it is set against with median and quartiles.
  [[nodiscard]] nlohmann::json json() const;

 private:
  [[nodiscard]] const Row* find(const std::string& name) const;
  [[nodiscard]] const Row& base_of(const Row& row) const;
};

/// Lets the contenders take turns, each round in another order, and prints the table.
[[nodiscard]] Table hold(const Contest& contest);

/// A baseline measured twice: whether the second reads 1.00 within a hundredth.
[[nodiscard]] bool is_sound(const Table& table);
constexpr const char* null_control = "(null control)";

/// CPU time of this thread, nanoseconds: what other processes take of the CPU is not in it.
[[nodiscard]] double cpu_time();

}  // namespace egress::bench
