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

std::string padded(const Cell& cell, std::size_t width, bool right, bool colour) {
  const std::string blanks(width - std::min(width, display_width(cell.text)), ' ');
  const std::string text = paint(cell.text, cell.colour, colour);
  return right ? blanks + text : text + blanks;
}

void append_line(std::string& out, const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() ? "" : "  ") + cell;
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += line + "\n";
}

bool shown(const Column& column, std::size_t index, const std::vector<std::vector<Cell>>& rows) {
  if (!column.optional) return true;
  return std::ranges::any_of(rows, [index](const auto& row) { return !row[index].text.empty(); });
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

std::string format_table(std::span<const Column> columns, const std::vector<std::vector<Cell>>& rows, bool colour) {
  std::vector<std::size_t> visible;
  std::vector<std::size_t> widths(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (shown(columns[i], i, rows)) visible.push_back(i);
    widths[i] = columns[i].title.size();
    for (const auto& row : rows) widths[i] = std::max(widths[i], display_width(row[i].text));
  }
  std::string out;
  std::vector<std::string> line;
  for (const std::size_t i : visible) {
    line.push_back(padded({std::string(columns[i].title), Colour::Bold}, widths[i], columns[i].right, colour));
  }
  append_line(out, line);
  for (const auto& row : rows) {
    line.clear();
    for (const std::size_t i : visible) line.push_back(padded(row[i], widths[i], columns[i].right, colour));
    append_line(out, line);
  }
  return out;
}

}  // namespace egress::cli
