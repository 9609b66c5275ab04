// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "cli/command.hpp"
#include "cli/ending.hpp"
#include "cli/table.hpp"
#include "core/escape.hpp"
#include "egress/strict.hpp"

namespace egress::cli {
namespace {

Json device_json(const StrictDevice& device) {
  Json json;
  json["device"] = escape(device.name);
  json["ifindex"] = device.ifindex;
  json["netns"] = device.netns;
  json["layer"] = format(device.layer);
  json["mode"] = format(device.mode);
  json["attached"] = device.attached();
  json["first"] = device.first;
  json["cgroup"] = device.cgroup ? Json(*device.cgroup) : Json(nullptr);
  json["strict_l2"] = device.strict_l2;
  return json;
}

Json devices_json(const std::vector<StrictDevice>& devices) {
  Json json = Json::array();
  for (const StrictDevice& device : devices) json.push_back(device_json(device));
  return json;
}

std::string mode_text(const StrictDevice& device) {
  std::string text(format(device.mode));
  if (!device.attached()) text += ": egress strict on again";
  if (!device.first) text += ", not first in line";
  return text;
}

std::string devices_table(const std::vector<StrictDevice>& devices, bool colour) {
  const std::vector<Column> columns{{"DEVICE"}, {"LAYER"}, {"HOW"}, {"AS", false, true}};
  std::vector<std::vector<Cell>> rows;
  for (const StrictDevice& device : devices) {
    const Colour state = !device.attached() ? Colour::Red : device.first ? Colour::None : Colour::Yellow;
    rows.push_back({{escape(device.name)},
                    {std::string(format(device.layer))},
                    {mode_text(device), state},
                    {device.cgroup ? "cgroup " + escape(*device.cgroup) : std::string()}});
  }
  return format_table(columns, rows, colour);
}

void print_devices(const Context& context, const std::vector<StrictDevice>& devices) {
  if (context.json()) return context.print_json(devices_json(devices));
  if (devices.empty()) return context.note("no device is guarded strictly");
  context.print(devices_table(devices, context.colour()));
}

void print_report(const Context& context, const StrictReport& report) {
  print_devices(context, report.devices);
  for (const std::string& name : report.uncovered) {
    context.note(fmt::format("{}: leads out of the container by another way, which is not judged", escape(name)));
  }
}

std::string_view event_word(StrictChange::Kind kind) {
  switch (kind) {
    case StrictChange::Kind::On:
      return "on";
    case StrictChange::Kind::Off:
      return "off";
    case StrictChange::Kind::Waiting:
      return "waiting";
  }
  return {};
}

Json change_json(const StrictChange& change) {
  Json json;
  json["event"] = event_word(change.kind);
  json["device"] = change.device.empty() ? Json(nullptr) : Json(escape(change.device));
  if (change.state) json["state"] = device_json(*change.state);
  if (!change.cause.empty()) json["cause"] = escape(change.cause);
  return json;
}

std::string change_text(const StrictChange& change) {
  switch (change.kind) {
    case StrictChange::Kind::On:
      return fmt::format("{}: guarded: {}", escape(change.device), change.state ? mode_text(*change.state) : "");
    case StrictChange::Kind::Off:
      return fmt::format("{}: gone", escape(change.device));
    case StrictChange::Kind::Waiting:
      return fmt::format("waiting: {}", escape(change.cause));
  }
  return {};
}

/// Stays until it is told to end. The layers stay longer.
Result<int> follow(Context& context, const StrictRequest& request) {
  constexpr std::chrono::milliseconds look_again{250};  // nothing tells of a layer taken off, or of a new cgroup
  const auto ending = Ending::watch();
  if (!ending) return ending.error();
  auto follower = StrictFollower::start(context.instance(), request);
  if (!follower) return follower.error();
  print_report(context, follower->report());
  std::fflush(stdout);
  while (ending->go_on(look_again, follower->fd())) {
    const auto changes = follower->renew();
    if (!changes) return changes.error();
    for (const StrictChange& change : *changes) {
      context.json() ? context.print_json(change_json(change)) : context.note(change_text(change));
    }
    std::fflush(stdout);
  }
  return exit_done;
}

Result<int> turn_on(Context& context) {
  const Options& options = context.options();
  const StrictRequest request{options.devices, options.as.value_or(std::string()),
                              options.container_of.value_or(std::string()), options.strict_l2, options.as_filter};
  if (auto good = check(request); !good) return std::move(good).error().in("strict on");
  // Loads the program when it is not loaded yet, as rules do.
  if (auto loaded = context.open_or_load(); !loaded) return loaded.error();
  if (options.follow) return follow(context, request);
  const auto report = strict_on(context.instance(), request);
  if (!report) return report.error();
  print_report(context, *report);
  return options.strict && !report->uncovered.empty() ? exit_not_in_force : exit_done;
}

Result<int> tell(Context& context) {
  const auto devices = strict_status(context.instance());
  if (!devices) return devices.error();
  print_devices(context, *devices);
  for (const StrictDevice& device : *devices) {
    if (!device.attached()) return exit_failed;
  }
  return exit_done;
}

Result<int> turn_off(Context& context) {
  const auto devices = strict_off(context.instance(), context.options().devices);
  if (!devices) return devices.error();
  if (context.json()) {
    context.print_json(devices_json(*devices));
    return exit_done;
  }
  for (const StrictDevice& device : *devices) {
    context.note(fmt::format("{}: {} layer taken off", escape(device.name), format(device.layer)));
  }
  return exit_done;
}

}  // namespace

Result<int> verb_strict(Context& context) {
  const std::vector<std::string>& words = context.options().words;
  const std::string word = words.size() == 1 ? words.front() : std::string();
  if (word == "on") return turn_on(context);
  if (context.options().follow) return usage_error("--follow", "goes with on", "egress strict status").in("strict");
  if (word == "status") return tell(context);
  if (word == "off") return turn_off(context);
  return usage_error(words.empty() ? std::string() : fmt::format("\"{}\"", words.back()), "expected on, status or off",
                     "example: egress strict on --dev eth0")
      .in("strict");
}

}  // namespace egress::cli
