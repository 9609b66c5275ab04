// SPDX-License-Identifier: GPL-2.0
#include "cli/table.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace egress::cli {
namespace {

std::string_view escape_code(Colour colour) {
  switch (colour) {
    case Colour::None:
      return "";
    case Colour::Red:
      return "\033[31m";
    case Colour::Yellow:
      return "\033[33m";
    case Colour::Green:
      return "\033[32m";
    case Colour::Dim:
      return "\033[2m";
    case Colour::Bold:
      return "\033[1m";
  }
  return "";
}

void append_cell(std::string& out, const Cell& cell, const Column& column, std::size_t width, bool colour) {
  const std::size_t blanks = width - std::min(width, display_width(cell.text));
  if (column.right) out.append(blanks, ' ');
  if (colour && cell.colour != Colour::None) {
    out += paint(cell.text, cell.colour, colour);
  } else {
    out += cell.text;
  }
  if (!column.right) out.append(blanks, ' ');
}

}  // namespace

bool colour_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && ::isatty(STDOUT_FILENO) == 1;
}

std::string paint(std::string_view text, Colour colour, bool on) {
  if (!on || colour == Colour::None || text.empty()) return std::string(text);
  return fmt::format("{}{}\033[0m", escape_code(colour), text);
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string format_table(std::span<const Column> columns, std::size_t count, const FillRow& fill, bool colour) {
  std::vector<std::size_t> widths(columns.size());
  std::vector<bool> shown(columns.size());
  std::vector<Cell> cells(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    widths[i] = columns[i].title.size();
    shown[i] = !columns[i].optional;
  }
  for (std::size_t number = 0; number < count; ++number) {
    fill(number, cells);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(cells[i].text));
      shown[i] = shown[i] || !cells[i].text.empty();
    }
  }
  std::string out;
  const auto append_line = [&] {
    const std::size_t begin = out.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!shown[i]) continue;
      if (out.size() > begin) out += "  ";
      append_cell(out, cells[i], columns[i], widths[i], colour);
    }
    while (out.size() > begin && out.back() == ' ') out.pop_back();
    out += '\n';
  };
  for (std::size_t i = 0; i < columns.size(); ++i) cells[i] = {std::string(columns[i].title), Colour::Bold};
  append_line();
  for (std::size_t number = 0; number < count; ++number) {
    fill(number, cells);
    append_line();
  }
  return out;
}

std::string format_table(std::span<const Column> columns, const std::vector<std::vector<Cell>>& rows, bool colour) {
  const auto fill = [&rows](std::size_t number, std::vector<Cell>& cells) { cells = rows[number]; };
  return format_table(columns, rows.size(), fill, colour);
}

}  // namespace egress::cli
