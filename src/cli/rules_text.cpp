// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <array>

#include "cli/table.hpp"
#include "core/escape.hpp"

namespace egress::cli {
namespace {

Colour colour_of(Action action) {
  switch (action) {
    case Action::Drop:
    case Action::Reject:
      return Colour::Red;
    case Action::Audit:
      return Colour::Yellow;
    case Action::Allow:
      return Colour::Green;
  }
  return Colour::None;
}

std::string cgroup_list(const Rule& rule) {
  std::string out;
  for (const CgroupId id : rule.cgroups)
    out += fmt::format("{}{}", out.empty() ? "" : " ", static_cast<std::uint64_t>(id));
  return out;
}

/// What else is worth knowing at a glance.
std::string remarks(const Rule& rule) {
  std::string out;
  const auto add = [&out](std::string_view word) { out += (out.empty() ? "" : ", ") + std::string(word); };
  if (rule.cgroups.empty()) add("pending");
  if (rule.is_default) add("default deny");
  if (rule.is_loopback) add("loopback");
  if (rule.include_nd) add("with nd");
  if (rule.no_packet_sockets) add("no packet sockets");
  if (rule.origin == Rule::Origin::Map) add("map");
  return out;
}

void set_cell(Cell& cell, std::string_view text, Colour colour = Colour::None) {
  cell.text.assign(text);
  cell.colour = colour;
}

void set_cell(Cell& cell, std::uint64_t number) {
  const fmt::format_int text(number);
  set_cell(cell, std::string_view(text.data(), text.size()));
}

void fill_row(std::vector<Cell>& cells, const Rule& rule, BootTime now) {
  set_cell(cells[0], static_cast<std::uint32_t>(rule.id));
  set_cell(cells[1], format(rule.action), colour_of(rule.action));
  set_cell(cells[2], format(rule.subject));
  set_cell(cells[3], format(rule.destination));
  set_cell(cells[4], format_left(rule, now));
  set_cell(cells[5], rule.counts.packets);
  set_cell(cells[6], rule.counts.bytes);
  set_cell(cells[7], rule.policy ? escape(*rule.policy) : std::string());
  set_cell(cells[8], rule.reason.empty() ? std::string() : escape(rule.reason));
  set_cell(cells[9], remarks(rule), rule.cgroups.empty() ? Colour::Yellow : Colour::Dim);
}

std::string lifetime_words(const Lifetime& lifetime) {
  return lifetime ? fmt::format("for {}", format_duration(*lifetime)) : std::string("forever");
}

std::string flags_of(const RuleSpec& rule) {
  std::string out;
  if (rule.is_default) out += " (default deny)";
  if (rule.is_loopback) out += " (loopback)";
  if (rule.include_nd) out += " (with neighbour discovery)";
  if (rule.no_packet_sockets) out += " (no packet sockets)";
  return out;
}

void append_entries(std::string& out, std::string_view sign, Colour colour,
                    const std::vector<PolicyDiff::Entry>& entries) {
  const bool on = colour != Colour::None;
  for (const PolicyDiff::Entry& entry : entries) {
    const std::string id = entry.id ? fmt::format("  # rule {}", static_cast<std::uint32_t>(*entry.id)) : std::string();
    const std::string line =
        fmt::format("{} {} {}{}{}", sign, rule_text(entry.rule.action, entry.subject, entry.rule.destination),
                    lifetime_words(entry.rule.lifetime), flags_of(entry.rule), id);
    out += paint(line, colour, on) + "\n";
  }
}

std::string moment(BootTime when, BootTime now, std::chrono::system_clock::time_point wall) {
  const auto away = std::chrono::duration_cast<std::chrono::system_clock::duration>(when.since_boot - now.since_boot);
  return format_time(wall + away);
}

}  // namespace

std::string format_left(const Rule& rule, BootTime now) {
  if (!rule.expires_at) return "forever";
  const std::chrono::nanoseconds left = rule.expires_at->since_boot - now.since_boot;
  return left <= left.zero() ? "over" : format_duration(left);
}

std::string rules_table(std::span<const Rule> rules, BootTime now, bool colour) {
  constexpr std::array<Column, 10> columns = {{{"ID", true, false},
                                               {"ACTION", false, false},
                                               {"SUBJECT", false, false},
                                               {"DESTINATION", false, false},
                                               {"LEFT", true, false},
                                               {"PACKETS", true, false},
                                               {"BYTES", true, false},
                                               {"POLICY", false, true},
                                               {"REASON", false, true},
                                               {"STATE", false, true}}};
  const auto fill = [&](std::size_t number, std::vector<Cell>& cells) { fill_row(cells, rules[number], now); };
  return format_table(columns, rules.size(), fill, colour);
}

std::string rule_text(Action action, const Subject& subject, const Destination& destination) {
  return fmt::format("{} {} to {}", format(action), format(subject), format(destination));
}

std::string new_rule_line(RuleId id, const Subject& subject, const RuleSpec& rule) {
  const std::string end =
      rule.lifetime ? fmt::format("ends in {}", format_duration(*rule.lifetime)) : std::string("no end");
  return fmt::format("rule {}: {}, {}{}\n", static_cast<std::uint32_t>(id),
                     rule_text(rule.action, subject, rule.destination), end, flags_of(rule));
}

std::string new_rules_line(std::span<const RuleId> ids, const Subject& subject, const RuleSpec& rule) {
  const std::string end =
      rule.lifetime ? fmt::format("ends in {}", format_duration(*rule.lifetime)) : std::string("no end");
  return fmt::format("rules {} to {}: {} {} to {} destinations, {}{}\n", static_cast<std::uint32_t>(ids.front()),
                     static_cast<std::uint32_t>(ids.back()), format(rule.action), format(subject), ids.size(), end,
                     flags_of(rule));
}

std::string diff_lines(const PolicyDiff& diff, bool colour) {
  std::string out;
  append_entries(out, "-", colour ? Colour::Red : Colour::None, diff.removed);
  append_entries(out, "+", colour ? Colour::Green : Colour::None, diff.added);
  append_entries(out, "=", colour ? Colour::Dim : Colour::None, diff.kept);
  return out;
}

std::string rule_details(const Rule& rule, BootTime now, std::chrono::system_clock::time_point wall) {
  std::string out;
  const auto line = [&out](std::string_view field, const std::string& value) {
    if (!value.empty()) out += fmt::format("{:<12} {}\n", field, value);
  };
  line("rule", fmt::format("{}", static_cast<std::uint32_t>(rule.id)));
  line("action", std::string(format(rule.action)));
  line("subject", format(rule.subject));
  line("state", rule.cgroups.empty() ? "pending: no cgroup of this name exists yet" : "active");
  line("cgroups", cgroup_list(rule));
  line("destination", format(rule.destination));
  line("created", moment(rule.created_at, now, wall));
  line("ends", rule.expires_at ? fmt::format("{} (in {})", moment(*rule.expires_at, now, wall), format_left(rule, now))
                               : "never");
  line("policy", rule.policy ? escape(*rule.policy) : std::string());
  line("reason", escape(rule.reason));
  line("origin", rule.origin == Rule::Origin::Map ? "map (written by another tool)" : "command");
  line("packets", fmt::format("{}", rule.counts.packets));
  line("bytes", fmt::format("{}", rule.counts.bytes));
  line("denied", fmt::format("{} calls", rule.counts.denied));
  if (rule.include_nd) line("includes", "neighbour discovery and MLD");
  if (rule.no_packet_sockets) line("refuses", "new packet, XDP and raw IP sockets");
  if (rule.is_default) line("role", "the closing rule of isolate");
  if (rule.is_loopback) line("role", "the loopback exception of isolate");
  return out;
}

}  // namespace egress::cli
