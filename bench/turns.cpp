// SPDX-License-Identifier: GPL-2.0
#include "turns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <random>

namespace egress::bench {
namespace {

void take_turns(Contest& contest) {
  std::vector<std::size_t> order(contest.contenders.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random(1);
  for (Contender& each : contest.contenders) (void)each.measure();  // warm
  for (int round = 0; round < contest.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);  // nobody always follows the same neighbour
    for (const std::size_t at : order) {
      Contender& each = contest.contenders[at];
      each.values.push_back(each.measure());
    }
  }
}

Spread against(const Contender& contender, const Contender& baseline, Against how) {
  std::vector<double> values;
  for (std::size_t i = 0; i < contender.values.size(); ++i) {
    const double mine = contender.values[i];
    const double base = baseline.values[i];
    values.push_back(how == Against::Ratio ? mine / base : mine - base);
  }
  return spread_of(std::move(values));
}

void print_row(const std::string& name, const Spread& own, const Spread& relative, Against how) {
  if (how == Against::Ratio) {
    fmt::print("  {:<44}{:>10.0f}  {:>7.3f} [{:.3f} {:.3f}]\n", name, own.median, relative.median, relative.low,
               relative.high);
  } else {
    fmt::print("  {:<44}{:>10.1f}  {:>+7.1f} [{:+.1f} {:+.1f}]\n", name, own.median, relative.median, relative.low,
               relative.high);
  }
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 4], values[values.size() / 2], values[values.size() * 3 / 4]};
}

nlohmann::json hold(Contest contest) {
  take_turns(contest);
  fmt::print("\n{}\n  {:<44}{:>10}  {} to the first [quartiles]\n", contest.title, "", contest.unit,
             contest.against == Against::Ratio ? "ratio" : "difference");
  nlohmann::json rows = nlohmann::json::array();
  for (const Contender& each : contest.contenders) {
    const Spread own = spread_of(each.values);
    const Spread relative = against(each, contest.contenders.front(), contest.against);
    print_row(each.name, own, relative, contest.against);
    rows.push_back({{"name", each.name},
                    {"median", own.median},
                    {"quartiles", {own.low, own.high}},
                    {"against", relative.median},
                    {"against_quartiles", {relative.low, relative.high}}});
  }
  std::fflush(stdout);
  return rows;
}

double cpu_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace egress::bench
