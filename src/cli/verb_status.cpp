// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "cli/command.hpp"
#include "cli/table.hpp"
#include "core/escape.hpp"
#include "egress/health.hpp"

namespace egress::cli {
namespace {

using Severity = Finding::Severity;

Colour colour_of(Severity severity) {
  switch (severity) {
    case Severity::Note:
      return Colour::Dim;
    case Severity::Warning:
      return Colour::Yellow;
    case Severity::Problem:
      return Colour::Red;
  }
  return Colour::None;
}

std::uint64_t total_memory(const Health& health) {
  return std::accumulate(health.memory.begin(), health.memory.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const MapMemory& map) { return sum + map.bytes; });
}

Json findings_json(const std::vector<Finding>& findings) {
  Json json = Json::array();
  for (const Finding& finding : findings) {
    Json item;
    item["code"] = finding.code;
    item["severity"] = format(finding.severity);
    item["text"] = finding.text;
    item["remedy"] = finding.remedy.empty() ? Json(nullptr) : Json(finding.remedy);
    json.push_back(std::move(item));
  }
  return json;
}

Json hooks_json(const Health& health) {
  Json json = Json::array();
  for (const HookState& hook : health.programs) {
    Json item;
    item["hook"] = hook.hook;
    item["program_id"] = hook.program_id;
    item["link_id"] = hook.link_id;
    item["attached"] = hook.attached;
    json.push_back(std::move(item));
  }
  return json;
}

/// The largest first.
std::vector<MapMemory> by_size(const Health& health) {
  std::vector<MapMemory> maps = health.memory;
  std::ranges::stable_sort(maps, std::ranges::greater{}, &MapMemory::bytes);
  return maps;
}

Json memory_json(const Health& health) {
  Json json = Json::object();
  for (const MapMemory& map : by_size(health)) json[map.map] = map.bytes;
  return json;
}

Json features_json(const Health& health) {
  Json json = Json::object();
  for (const Feature& feature : health.features) {
    json[feature.name] = {{"present", feature.present},
                          {"why", feature.why.empty() ? Json(nullptr) : Json(feature.why)}};
  }
  return json;
}

Json health_json(const Health& health) {
  Json json;
  json["loaded"] = health.loaded;
  json["enforcing"] = health.enforcing;
  json["pin_dir"] = health.pin_dir;
  json["cgroup_root"] = health.root;
  json["rules"] = {{"live", health.rules.live},
                   {"over", health.rules.over},
                   {"trial", health.rules.trial},
                   {"map", health.rules.door},
                   {"refusing_sockets", health.rules.refusing_sockets},
                   {"capacity", health.rules.capacity},
                   {"map_capacity", health.rules.door_capacity}};
  json["hooks"] = hooks_json(health);
  json["features"] = features_json(health);
  json["memory_bytes"] = total_memory(health);
  json["memory_by_map"] = memory_json(health);
  json["findings"] = findings_json(health.findings);
  return json;
}

std::string verdict_line(const Health& health, bool colour) {
  if (!health.loaded) return paint("not loaded", Colour::Yellow, colour) + "\n";
  return health.enforcing ? paint("enforcing", Colour::Green, colour) + "\n"
                          : paint("NOT ENFORCING", Colour::Red, colour) + "\n";
}

std::string summary_text(const Health& health) {
  std::string out = fmt::format("pins         {}\n", escape(health.pin_dir));
  if (!health.root.empty()) out += fmt::format("cgroup root  {}\n", escape(health.root));
  if (!health.loaded) return out;
  out += fmt::format("rules        {} of {}", health.rules.live, health.rules.capacity);
  if (health.rules.door > 0) {
    out += fmt::format(", {} of {} of other tools", health.rules.door, health.rules.door_capacity);
  }
  if (health.rules.trial > 0) out += fmt::format(", {} wait for egress confirm", health.rules.trial);
  return out + "\n";
}

/// Findings of this severity or worse.
std::string findings_text(const Health& health, Severity least, bool colour) {
  std::string out;
  for (const Finding& finding : health.findings) {
    if (finding.severity < least) continue;
    out += fmt::format("{}: {}", paint(format(finding.severity), colour_of(finding.severity), colour),
                       escape(finding.text));
    if (!finding.remedy.empty()) out += fmt::format(" ({})", escape(finding.remedy));
    out += "\n";
  }
  return out;
}

std::string hooks_text(const Health& health, bool colour) {
  std::string out;
  for (const HookState& hook : health.programs) {
    const std::string state = hook.attached ? "attached" : paint("not attached", Colour::Red, colour);
    out += fmt::format("  {:<16} program {}, link {}, {}\n", hook.hook, hook.program_id, hook.link_id, state);
  }
  return out.empty() ? out : "hooks:\n" + out;
}

std::string features_text(const Health& health, bool colour) {
  std::string out;
  for (const Feature& feature : health.features) {
    const std::string state =
        feature.present ? paint("yes", Colour::Green, colour) : paint("no", Colour::Yellow, colour);
    out += fmt::format("  {:<16} {}{}\n", feature.name, state, feature.why.empty() ? "" : ": " + escape(feature.why));
  }
  return out.empty() ? out : "features of this kernel:\n" + out;
}

/// Kernel memory by map; those that take less than a hundredth of it are added up.
std::string memory_text(const Health& health) {
  const std::uint64_t total = total_memory(health);
  if (total == 0) return {};
  std::string out = fmt::format("memory       {} KiB\n", total / 1024);
  std::uint64_t rest = total;
  for (const MapMemory& map : by_size(health)) {
    if (map.bytes < total / 100) break;
    out += fmt::format("  {:<16} {:>8} KiB\n", map.map, map.bytes / 1024);
    rest -= map.bytes;
  }
  return out + fmt::format("  {:<16} {:>8} KiB\n", "other maps", rest / 1024);
}

}  // namespace

Result<int> verb_status(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  const auto state = health(context.instance(), /*with_canary=*/true);
  if (!state) return state.error();
  if (context.json()) {
    context.print_json(health_json(*state));
  } else {
    const bool colour = context.colour();
    context.print(verdict_line(*state, colour) + summary_text(*state) + memory_text(*state) +
                  findings_text(*state, Severity::Warning, colour));
  }
  return state->enforcing ? exit_done : exit_failed;
}

Result<int> verb_doctor(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  auto state = health(context.instance(), /*with_canary=*/true);
  if (!state) return state.error();
  std::ranges::move(examine_processes(context.instance()), std::back_inserter(state->findings));
  if (context.json()) {
    context.print_json(health_json(*state));
  } else {
    const bool colour = context.colour();
    context.print(verdict_line(*state, colour) + summary_text(*state) + memory_text(*state) +
                  hooks_text(*state, colour) + features_text(*state, colour) +
                  findings_text(*state, Severity::Note, colour));
    if (state->findings.empty()) context.print("nothing wrong was found\n");
  }
  const bool problem =
      std::ranges::any_of(state->findings, [](const Finding& f) { return f.severity == Severity::Problem; });
  return problem ? exit_failed : exit_done;
}

}  // namespace egress::cli
