// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "egress/policy.hpp"

namespace egress {
namespace {

bool is_letter(char c) { return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z'); }
bool is_plain(char c) {
  return is_letter(c) || ('0' <= c && c <= '9') || c == '.' || c == '-' || c == '/' || c == '_' || c == '@';
}

/// Whether YAML reads the text back as itself without quotes.
bool needs_no_quotes(std::string_view text) {
  static constexpr std::array<std::string_view, 9> words{"null", "Null",  "NULL",  "true", "True",
                                                         "TRUE", "false", "False", "FALSE"};
  if (text.empty() || !(is_letter(text.front()) || text.front() == '/')) return false;
  return std::ranges::all_of(text, is_plain) && std::ranges::find(words, text) == words.end();
}

/// A double-quoted scalar that is YAML and JSON. Bytes that are not UTF-8 stay as they are: cgroup names may hold them.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool has_next = i + 1 < text.size();
    const auto next = static_cast<unsigned char>(has_next ? text[i + 1] : '\0');
    if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {  // C1 controls, which terminals obey
      out += fmt::format("\\u{:04x}", next);
      ++i;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      if (byte == '"' || byte == '\\') out += '\\';
      out += text[i];
    }
  }
  return out + '"';
}

std::string scalar(std::string_view text) { return needs_no_quotes(text) ? std::string(text) : quoted(text); }

/// "1d2h", exact but for what is below a millisecond.
std::string exact_duration(std::chrono::nanoseconds duration) {
  using namespace std::chrono;
  struct Unit {
    milliseconds length;
    const char* name;
  };
  static constexpr std::array<Unit, 5> units{
      {{days(1), "d"}, {hours(1), "h"}, {minutes(1), "m"}, {seconds(1), "s"}, {milliseconds(1), "ms"}}};
  milliseconds rest = std::max(duration_cast<milliseconds>(duration), milliseconds(1));
  std::string text;
  for (const Unit& unit : units) {
    if (rest >= unit.length) text += fmt::format("{}{}", rest / unit.length, unit.name);
    rest %= unit.length;
  }
  return text;
}

std::string exact_lifetime(const Lifetime& lifetime) { return lifetime ? exact_duration(*lifetime) : "forever"; }

std::string subject_line(const Subject& subject) {
  static constexpr std::array<const char*, 3> keys{"cgroup", "unit", "id"};  // by Subject::Kind
  const char* const key = keys[static_cast<std::size_t>(subject.kind)];
  const std::string name = subject.kind == Subject::Kind::Id ? subject.name : scalar(subject.name);
  if (subject.scope == Subject::Scope::Only) return fmt::format("  - {{{}: {}, only: true}}\n", key, name);
  return fmt::format("  - {}: {}\n", key, name);
}

/// Whether two rules differ in nothing but their destination.
bool alike(const RuleSpec& a, const RuleSpec& b) {
  return a.action == b.action && a.lifetime == b.lifetime && a.reason == b.reason && a.include_nd == b.include_nd &&
         a.no_packet_sockets == b.no_packet_sockets;
}

std::string rule_line(const Policy& policy, const RuleSpec& rule, std::string_view destinations) {
  std::string line = fmt::format("  - {{action: {}, to: [{}]", format(rule.action), destinations);
  if (rule.lifetime != policy.lifetime) line += ", ttl: " + exact_lifetime(rule.lifetime);
  if (rule.reason != policy.reason) line += ", reason: " + scalar(rule.reason);
  if (rule.include_nd != policy.include_nd) line += fmt::format(", include_nd: {}", rule.include_nd);
  if (rule.no_packet_sockets) line += ", packet_sockets: refuse";
  return line + "}\n";
}

/// Neighbours that are alike share a line; the order stays.
std::string rule_lines(const Policy& policy) {
  std::string lines;
  std::string destinations;
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    const RuleSpec& rule = policy.rules[i];
    if (!destinations.empty()) destinations += ", ";
    destinations += quoted(format(rule.destination));
    if (i + 1 < policy.rules.size() && alike(rule, policy.rules[i + 1])) continue;
    lines += rule_line(policy, rule, destinations);
    destinations.clear();
  }
  return lines;
}

}  // namespace

std::string format(const Policy& policy) {
  std::string text = fmt::format("policy: {}\nttl: {}\n", scalar(policy.name), exact_lifetime(policy.lifetime));
  if (!policy.reason.empty()) text += fmt::format("reason: {}\n", scalar(policy.reason));
  text += "subjects:\n";
  for (const Subject& subject : policy.subjects) text += subject_line(subject);
  text += policy.default_deny ? "default: deny\n" : "default: allow\n";
  if (!policy.loopback) text += "loopback: false\n";
  if (policy.include_nd) text += "include_nd: true\n";
  if (policy.no_packet_sockets && policy.default_deny) text += "packet_sockets: refuse\n";
  if (!policy.rules.empty()) text += "rules:\n" + rule_lines(policy);
  return text;
}

}  // namespace egress
