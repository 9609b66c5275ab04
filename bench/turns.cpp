// SPDX-License-Identifier: GPL-2.0
#include "turns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <random>

namespace egress::bench {
namespace {

Table take_turns(const Contest& contest) {
  Table table{.title = contest.title, .unit = contest.unit, .against = contest.against};
  for (const Contender& each : contest.contenders) {
    table.rows.push_back({each.name});
    (void)each.measure();  // warm
  }
  std::vector<std::size_t> order(contest.contenders.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random(1);
  for (int round = 0; round < contest.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);  // nobody always follows the same neighbour
    for (const std::size_t at : order) table.rows[at].values.push_back(contest.contenders[at].measure());
  }
  return table;
}

Spread against(const Table::Row& row, const Table::Row& base, Against how) {
  std::vector<double> values;
  for (std::size_t i = 0; i < std::min(row.values.size(), base.values.size()); ++i) {
    values.push_back(how == Against::Ratio ? row.values[i] / base.values[i] : row.values[i] - base.values[i]);
  }
  return spread_of(std::move(values));
}

void print_row(const std::string& name, const Spread& own, const Spread& relative, Against how) {
  if (how == Against::Ratio) {
    fmt::print("  {:<44}{:>12.{}f}  {:>8.3f} [{:.3f} {:.3f}]\n", name, own.median, own.median < 1000 ? 1 : 0,
               relative.median, relative.low, relative.high);
  } else {
    fmt::print("  {:<44}{:>12.1f}  {:>+8.1f} [{:+.1f} {:+.1f}]\n", name, own.median, relative.median, relative.low,
               relative.high);
  }
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 4], values[values.size() / 2], values[values.size() * 3 / 4]};
}

const Table::Row* Table::find(const std::string& name) const {
  const auto at = std::ranges::find(rows, name, &Row::name);
  return at == rows.end() || at->values.empty() ? nullptr : &*at;
}

const Table::Row& Table::base_of(const Row& row) const {
  const Row* base = row.base.empty() ? nullptr : find(row.base);
  return base == nullptr ? rows.front() : *base;
}

Table::Row& Table::row(const std::string& name) {
  const auto at = std::ranges::find(rows, name, &Row::name);
  return at == rows.end() ? rows.emplace_back(Row{name}) : *at;
}

std::optional<Spread> Table::own(const std::string& name) const {
  const Row* row = find(name);
  if (row == nullptr) return std::nullopt;
  return spread_of(row->values);
}

std::optional<Spread> Table::difference(const std::string& name, const std::string& base) const {
  const Row* row = find(name);
  const Row* first = find(base);
  if (row == nullptr || first == nullptr) return std::nullopt;
  return bench::against(*row, *first, Against::Difference);
}

std::optional<Spread> Table::ratio(const std::string& name, const std::string& base) const {
  const Row* row = find(name);
  const Row* first = find(base);
  if (row == nullptr || first == nullptr) return std::nullopt;
  return bench::against(*row, *first, Against::Ratio);
}

void Table::print() const {
  fmt::print("\n{}\n  {:<44}{:>12}  {} to {} [quartiles]\n", title, "", unit,
             against == Against::Ratio ? "ratio" : "difference",
             rows.front().base.empty() ? rows.front().name : "ours with the same list");
  for (const Row& each : rows) {
    if (each.values.empty()) continue;
    print_row(each.name, spread_of(each.values), bench::against(each, base_of(each), against), against);
  }
  std::fflush(stdout);
}

nlohmann::json Table::json() const {
  nlohmann::json all = nlohmann::json::array();
  for (const Row& each : rows) {
    if (each.values.empty()) continue;
    const Spread own = spread_of(each.values);
    const Spread relative = bench::against(each, base_of(each), against);
    all.push_back({{"name", each.name},
                   {"median", own.median},
                   {"quartiles", {own.low, own.high}},
                   {"base", base_of(each).name},
                   {"against", relative.median},
                   {"against_quartiles", {relative.low, relative.high}}});
  }
  return {
      {"title", title}, {"unit", unit}, {"against", against == Against::Ratio ? "ratio" : "difference"}, {"rows", all}};
}

Table hold(const Contest& contest) {
  Table table = take_turns(contest);
  table.print();
  return table;
}

bool is_sound(const Table& table) {
  for (const Table::Row& each : table.rows) {
    if (!each.name.ends_with(null_control)) continue;
    return std::abs(against(each, table.rows.front(), Against::Ratio).median - 1) <= 0.01;
  }
  return false;
}

double cpu_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace egress::bench
