// SPDX-License-Identifier: GPL-2.0
#include "figures.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "sizes.hpp"

namespace egress::bench {
namespace {

using Values = std::optional<Spread>;
constexpr auto at_most = Figure::Bound::AtMost;
constexpr auto at_least = Figure::Bound::AtLeast;

std::optional<double> median(const Values& spread) {
  if (!spread) return std::nullopt;
  return spread->median;
}

std::string beside(const std::string& who, const Values& spread, int digits) {
  return spread ? fmt::format("{}: {:.{}f}", who, spread->median, digits) : std::string();
}

const List one{.count = 1};
List most() { return {.count = sizes().most()}; }
List most6() { return {.family = Family::V6, .count = sizes().most()}; }
List most_mixed() { return {.networks = true, .count = sizes().most_mixed()}; }

Figure packet_figure(const Table& table, const std::string& what, const std::string& name, double limit) {
  return {.what = what, .value = median(table.difference(name, empty_program)), .limit = limit};
}

void add_packets(std::vector<Figure>& all, const Results& results) {
  const auto hot = [&](const std::string& name, double limit) {
    all.push_back(packet_figure(results.hot, "hot, ns over the empty program: " + name, name, limit));
  };
  hot(free_cgroup, 10);
  hot(name_of(ours, one), 14);
  hot(name_of(ours, most()), 16);
  hot(name_of(ours, most_mixed()), 45);
  hot(deadline_match, 90);
  for (const auto& [deeper, above] : {std::pair{std::string(free_deeper), std::string(free_cgroup)},
                                      std::pair{std::string(one_deeper), name_of(ours, one)}}) {
    all.push_back({.what = "hot, ns over depth 1: " + deeper,
                   .value = median(results.hot.difference(deeper, above)),
                   .limit = 3});
  }
  const auto cold = [&](const List& list, double limit) {
    const auto over_empty = [](const Table& table, const std::string& name) {
      return table.difference(name, empty_program);
    };
    const Table& table = results.back_to_back;
    const std::string name = name_of(ours, list);
    Figure figure = packet_figure(table, "cold, back to back, ns over the empty program: " + name, name, limit);
    figure.beside = beside(alone, over_empty(table, name_of(alone, list)), 1) + "  " +
                    beside("with 1 rule", over_empty(table, name_of(ours, one)), 1) + "  " +
                    beside(lpm, over_empty(table, name_of(lpm, list)), 1) + "  " +
                    beside("with a system call each", over_empty(results.cold, name), 1);
    all.push_back(std::move(figure));
  };
  cold(most(), 75);
  cold(most_mixed(), 120);
}

/// Ours against the peer that is nearest to it, over all lists.
Figure ahead(const Table& table, Family family) {
  Figure figure{
      .what = table.title + ": ratio to the nearest peer, any list", .bound = at_least, .limit = 1, .digits = 3};
  for (const List& list : judged_lists(family)) {
    for (const std::string peer : {lpm, nft_set, nft_map, ipset}) {
      const Values ratio = table.ratio(name_of(ours, list), name_of(peer, list));
      if (!ratio || (figure.value && *figure.value <= ratio->median)) continue;
      figure.value = ratio->median;
      figure.beside = name_of(peer, list);
    }
  }
  return figure;
}

void add_sends(std::vector<Figure>& all, const Results& results) {
  const auto sends = [&](const Table& table, double limit) {
    const auto ratio = [&](const char* who) { return table.ratio(name_of(who, most()), empty_program); };
    all.push_back({.what = fmt::format("{}: {}, ratio to the empty program", table.title, name_of(ours, most())),
                   .value = median(ratio(ours)),
                   .bound = at_least,
                   .limit = limit,
                   .digits = 3,
                   .beside = beside(alone, ratio(alone), 3) + "  " + beside(lpm, ratio(lpm), 3) + "  " +
                             beside(nft_set, ratio(nft_set), 3)});
  };
  sends(results.sends, 0.99);
  sends(results.sends_to_many, 0.975);
  all.back().beside +=
      "  " + beside("to one, not connected", results.unconnected.ratio(name_of(ours, most()), empty_program), 3);
  all.push_back(ahead(results.sends, Family::V4));
  all.push_back(ahead(results.sends_to_many, Family::V4));
  all.push_back(ahead(results.sends6, Family::V6));
  all.push_back(ahead(results.sends_to_many6, Family::V6));
}

/// The same by the clock, which others on the machine delay, and by CPU time.
void add_commands(std::vector<Figure>& all, const CommandTables& tables) {
  const std::string mine = name_of(ours, most());
  const std::string nft = name_of(nft_set, most());
  const auto both = [&](const Table& wall, const Table& cpu, const auto& figure_of) {
    all.push_back(figure_of(wall));
    all.push_back(figure_of(cpu));
    all.back().what += ", CPU time";
  };
  both(tables.load, tables.load_cpu, [&](const Table& table) {
    return Figure{.what = "load of " + most().what() + ": times as fast as nft -f",
                  .value = median(table.ratio(nft, mine)),
                  .bound = at_least,
                  .limit = 8,
                  .beside = beside("ms", table.own(mine), 0) + "  " + beside("nft", table.own(nft), 0)};
  });
  all.push_back({.what = "flush of " + most().what() + ", ms",
                 .value = median(tables.flush.own(mine)),
                 .limit = 50,
                 .beside = beside("nft", tables.flush.own(nft), 0) + "  " +
                           beside("ipset", tables.flush.own(name_of(ipset, most())), 0)});
  both(tables.add, tables.add_cpu, [&](const Table& table) {
    return Figure{.what = "one rule added to " + most().what() + ": ratio to nft add element",
                  .value = median(table.ratio(mine, nft)),
                  .limit = 1,
                  .digits = 2,
                  .beside = beside("ms", table.own(mine), 1) + "  " + beside("nft", table.own(nft), 1)};
  });
  both(tables.add, tables.add_cpu, [&](const Table& table) {
    return Figure{.what = "one rule added to " + most().what() + ": ratio to the same with 1 present",
                  .value = median(table.ratio(mine, name_of(ours, one))),
                  .limit = 1.1,
                  .digits = 2};
  });
}

void add_memory(std::vector<Figure>& all, const CommandTables& tables) {
  for (const auto& [list, limit] : {std::pair{most(), 72.0}, std::pair{most6(), 104.0}}) {
    const std::string mine = name_of(ours, list);
    const std::string peers = beside("nft", tables.bytes.own(name_of(nft_set, list)), 0) + "  " +
                              beside("ipset", tables.bytes.own(name_of(ipset, list)), 0) + "  " +
                              beside("LPM", tables.bytes.own(name_of(lpm, list)), 0);
    all.push_back({.what = "kernel bytes a destination, by its maps: " + mine,
                   .value = median(tables.own_bytes.own(mine)),
                   .limit = limit,
                   .digits = 0,
                   .beside = beside("MB in all", tables.whole.own(mine), 1) + "  " +
                             beside("empty default instance", tables.empty.own(mine), 1)});
    all.push_back({.what = "kernel bytes a destination, by /proc/meminfo: " + mine,
                   .value = median(tables.bytes.own(mine)),
                   .limit = limit,
                   .digits = 0,
                   .beside = peers});
  }
}

std::string_view verdict(const Figure& figure) {
  if (!figure.value) return "not measured";
  return figure.held() ? "held" : "MISSED";
}

}  // namespace

std::vector<Figure> figures_of(const Results& results) {
  std::vector<Figure> all;
  add_packets(all, results);
  add_sends(all, results);
  add_commands(all, results.commands);
  add_memory(all, results.commands);
  return all;
}

void print(const std::vector<Figure>& figures) {
  fmt::print("\nFigures and their bounds{}\n",
             sizes().quick ? " (a quick run: fewer rules than the bounds are for)" : "");
  for (const Figure& each : figures) {
    fmt::print("  {:<84}{:>9}  {} {:<6} {:<12} {}\n", each.what,
               each.value ? fmt::format("{:.{}f}", *each.value, each.digits) : "-",
               each.bound == at_most ? "<=" : ">=", fmt::format("{}", each.limit), verdict(each), each.beside);
  }
  std::fflush(stdout);
}

nlohmann::json json_of(const std::vector<Figure>& figures) {
  nlohmann::json all = nlohmann::json::array();
  for (const Figure& each : figures) {
    all.push_back({{"what", each.what},
                   {"value", each.value ? nlohmann::json(*each.value) : nlohmann::json(nullptr)},
                   {"bound", each.bound == at_most ? "at most" : "at least"},
                   {"limit", each.limit},
                   {"held", each.held()},
                   {"beside", each.beside}});
  }
  return all;
}

}  // namespace egress::bench
