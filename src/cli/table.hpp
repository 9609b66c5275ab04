// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "egress/filter.hpp"

namespace egress::cli {

enum class Colour { None, Red, Yellow, Green, Dim, Bold };

/// Whether standard output may be coloured: a terminal, and no NO_COLOR (https://no-color.org).
[[nodiscard]] bool colour_wanted();

/// The text in that colour, or as it is when `on` is false.
[[nodiscard]] std::string paint(std::string_view text, Colour colour, bool on);

struct Cell {
  std::string text;
  Colour colour = Colour::None;
};

struct Column {
  std::string_view title;
  bool right = false;     ///< aligned to the right
  bool optional = false;  ///< left out when every cell of it is empty
};

/// Lines of aligned columns, the titles first; two blanks between columns, none at the end of a line.
[[nodiscard]] std::string format_table(std::span<const Column> columns, const std::vector<std::vector<Cell>>& rows,
                                       bool colour);

/// The same of `count` rows that `fill` writes into the cells it is given, each twice: of many rows all texts at once
/// would be most of the memory.
using FillRow = std::function<void(std::size_t number, std::vector<Cell>& cells)>;
[[nodiscard]] std::string format_table(std::span<const Column> columns, std::size_t count, const FillRow& fill,
                                       bool colour);

/// "59m12s", "forever", "over".
[[nodiscard]] std::string format_left(const Rule& rule, BootTime now);

/// Rules as `egress ls` shows them.
[[nodiscard]] std::string rules_table(std::span<const Rule> rules, BootTime now, bool colour);

/// All of one rule, a field a line, as `egress show` shows it.
[[nodiscard]] std::string rule_details(const Rule& rule, BootTime now, std::chrono::system_clock::time_point wall);

/// "drop cgroup /app to 8.8.8.8:53/udp"
[[nodiscard]] std::string rule_text(Action action, const Subject& subject, const Destination& destination);

/// "rule 7: drop cgroup /app to 8.8.8.8:53/udp, ends in 1h"
[[nodiscard]] std::string new_rule_line(RuleId id, const Subject& subject, const RuleSpec& rule);
/// Of many rules that differ in their destinations only; not empty.
[[nodiscard]] std::string new_rules_line(std::span<const RuleId> ids, const Subject& subject, const RuleSpec& rule);

/// "+ drop cgroup /app to any for 1h" a line: removed, added, kept.
[[nodiscard]] std::string diff_lines(const PolicyDiff& diff, bool colour);

/// How far display columns reach: code points, not bytes.
[[nodiscard]] std::size_t display_width(std::string_view text);

}  // namespace egress::cli
