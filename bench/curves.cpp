// SPDX-License-Identifier: GPL-2.0
#include "curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "sizes.hpp"

namespace egress::bench {
namespace {

struct Curve {
  std::string name;
  const char* colour = "";
  bool dashed = false;
  std::vector<std::pair<int, Spread>> points = {};  ///< by number of rules
};

struct Panel {
  std::string title;
  std::string unit;
  std::vector<Curve> curves;
  bool logarithmic = false;  ///< the axis of values; that of rules always is
};

constexpr double panel_width = 430, height = 410;
constexpr double left = 62, right = 32, top = 56, bottom = 120;  ///< margins of a panel
constexpr const char* blue = "#0b62a4";
constexpr const char* orange = "#d9730d";
constexpr const char* green = "#2a8a4a";
constexpr const char* purple = "#8a3ea8";
constexpr const char* red = "#c2263f";
constexpr const char* grey = "#777777";

/// From a value to a coordinate.
struct Axis {
  double from = 0, to = 1;    ///< values
  double start = 0, end = 1;  ///< coordinates
  bool logarithmic = false;

  [[nodiscard]] double operator()(double value) const {
    const double inside = std::clamp(value, from, to);
    if (!logarithmic) return start + (inside - from) / (to - from) * (end - start);
    return start + std::log(inside / from) / std::log(to / from) * (end - start);
  }
};

std::vector<double> powers_of_ten(double from, double to) {
  std::vector<double> ticks;
  for (double tick = from; tick <= to * 1.001; tick *= 10) ticks.push_back(tick);
  return ticks;
}

/// Five to ten round numbers.
std::vector<double> round_numbers(double from, double to) {
  double step = std::pow(10, std::floor(std::log10(to - from)));
  if ((to - from) / step < 5) step /= (to - from) / step < 2.5 ? 5 : 2;
  std::vector<double> ticks;
  for (double tick = std::ceil(from / step - 1e-9) * step; tick <= to + step * 1e-6; tick += step)
    ticks.push_back(tick);
  return ticks;
}

std::pair<double, double> range_of(const std::vector<Panel>& panels) {
  double low = 1e300;
  double high = -1e300;
  for (const Panel& panel : panels) {
    for (const Curve& curve : panel.curves) {
      for (const auto& [count, spread] : curve.points) {
        low = std::min(low, spread.median);
        high = std::max(high, spread.median);
      }
    }
  }
  if (low > high) return {1, 10};
  if (!panels.front().logarithmic) return {std::floor(low * 50 - 0.5) / 50, std::ceil(high * 50 + 0.5) / 50};
  return {std::pow(10, std::floor(std::log10(std::max(low, 1.0)))),
          std::pow(10, std::ceil(std::log10(std::max(high, 10.0))))};
}

std::string short_of(double number) {
  if (number >= 1e6) return fmt::format("{:g}M", number / 1e6);
  return number >= 1e3 ? fmt::format("{:g}k", number / 1e3) : fmt::format("{:g}", number);
}

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, words);
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, double width) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x1, y1, x2,
      y2, colour, width);
}

std::string stroke_of(const Curve& curve) {
  return fmt::format("stroke=\"{}\" stroke-width=\"2\"{}", curve.colour,
                     curve.dashed ? " stroke-dasharray=\"6 4\"" : "");
}

/// Medians joined, quartiles as strokes.
std::string draw(const Curve& curve, const Axis& x, const Axis& y) {
  std::string path;
  std::string marks;
  for (const auto& [count, spread] : curve.points) {
    fmt::format_to(std::back_inserter(path), "{:.1f},{:.1f} ", x(count), y(spread.median));
    marks += line(x(count), y(spread.low), x(count), y(spread.high), curve.colour, 1);
    fmt::format_to(std::back_inserter(marks), "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x(count),
                   y(spread.median), curve.colour);
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", path, stroke_of(curve)) + marks;
}

std::string draw_axes(const Panel& panel, const Axis& x, const Axis& y) {
  std::string out = text((x.start + x.end) / 2, 20, "middle", panel.title);
  out += text(x.start - left + 8, top - 12, "start", panel.unit);
  const std::vector<double> ticks = panel.logarithmic ? powers_of_ten(y.from, y.to) : round_numbers(y.from, y.to);
  for (const double tick : ticks) {
    out += line(x.start, y(tick), x.end, y(tick), "#dddddd", 1);
    out += text(x.start - 6, y(tick) + 4, "end",
                panel.logarithmic ? fmt::format("{:g}", tick) : fmt::format("{:.2f}", tick));
  }
  for (const double tick : powers_of_ten(x.from, x.to)) {
    out += line(x(tick), y.start, x(tick), y.start + 4, "#444444", 1);
    out += text(x(tick), y.start + 18, "middle", short_of(tick));
  }
  out += text((x.start + x.end) / 2, y.start + 36, "middle", "rules of one address each");
  return out + line(x.start, y.start, x.end, y.start, "#444444", 1) +
         line(x.start, y.start, x.start, y.end, "#444444", 1);
}

/// Two columns below the panel.
std::string draw_legend(const Panel& panel, double from) {
  std::string out;
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const double x = from + static_cast<double>(i % 2) * 208;
    const double y = height - bottom + 58 + static_cast<double>(i / 2) * 18;
    fmt::format_to(std::back_inserter(out), "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x,
                   y, x + 26, y, stroke_of(panel.curves[i]));
    out += text(x + 32, y + 4, "start", panel.curves[i].name);
  }
  return out;
}

std::string draw(const Panel& panel, double offset, std::pair<double, double> range) {
  const auto [low, high] = range;
  const Axis x{1, static_cast<double>(sizes().most()), offset + left, offset + panel_width - right, true};
  const Axis y{low, high, height - bottom, top, panel.logarithmic};
  std::string out = draw_axes(panel, x, y) + draw_legend(panel, offset + left - 50);
  for (const Curve& curve : panel.curves) out += draw(curve, x, y);
  return out;
}

/// Side by side, on one scale.
std::string draw(const std::vector<Panel>& panels) {
  const std::size_t legend_lines = (panels.front().curves.size() + 1) / 2;
  const double used = height - bottom + 64 + 18 * static_cast<double>(legend_lines);
  const double width = panel_width * static_cast<double>(panels.size());
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"#ffffff\"/>\n",
      width, used);
  for (std::size_t i = 0; i < panels.size(); ++i)
    out += draw(panels[i], panel_width * static_cast<double>(i), range_of(panels));
  return out + "</svg>\n";
}

Curve packets_of(const Table& table, const char* who, const char* colour) {
  Curve curve{who == std::string(alone) ? ours : who, colour};
  for (const int count : sizes().exact) {
    const auto spread = table.difference(name_of(who, {.count = count}), empty_program);
    if (spread) curve.points.emplace_back(count, *spread);
  }
  return curve;
}

Curve sends_of(const Table& table, const char* who, const char* colour) {
  Curve curve{who == std::string(alone) ? ours : who, colour};
  for (const int count : sizes().exact) {
    const auto spread = table.ratio(name_of(who, {.count = count}), no_filter);
    if (spread) curve.points.emplace_back(count, *spread);
  }
  return curve;
}

/// The same whatever the number of rules.
Curve level_of(const Table& table, const char* who) {
  Curve curve{who, grey, true};
  if (const auto spread = table.ratio(who, no_filter)) {
    curve.points = {{1, *spread}, {sizes().most(), *spread}};
  }
  return curve;
}

/// The cgroup's rules are counted, not those of the other cgroups in the instance.
Curve among_others(Curve curve) {
  curve.name = "egress, beside longer lists";
  curve.dashed = true;
  return curve;
}

Panel packet_panel(const Table& table, std::string title) {
  return {std::move(title),
          "ns a packet over an empty program",
          {packets_of(table, alone, blue), packets_of(table, lpm, orange), among_others(packets_of(table, ours, blue))},
          true};
}

Panel send_panel(const Table& table, std::string title) {
  return {std::move(title),
          "sends a second of CPU time, no filter = 1",
          {sends_of(table, alone, blue), level_of(table, empty_program), among_others(sends_of(table, ours, blue)),
           sends_of(table, lpm, orange), sends_of(table, nft_set, green), sends_of(table, ipset, red),
           sends_of(table, nft_map, purple)}};
}

}  // namespace

std::string draw_packets(const Results& results) {
  return draw(std::vector{packet_panel(results.hot, "No match: one destination (hot)"),
                          packet_panel(results.back_to_back, "No match: random destinations, back to back (cold)")});
}

std::string draw_sends(const Results& results) {
  return draw(std::vector{
      send_panel(results.sends, "UDP sends to one destination"),
      send_panel(results.sends_to_many, fmt::format("UDP sends to {} destinations", grouped(sizes().strange)))});
}

}  // namespace egress::bench
