// SPDX-License-Identifier: GPL-2.0
#include "engine/health_checks.hpp"

#include <algorithm>
#include <sstream>

#include "egress/strict.hpp"
#include "sys/bpf_map.hpp"
#include "sys/bpffs.hpp"
#include "sys/clock.hpp"
#include "sys/kernel_release.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/mountinfo.hpp"
#include "sys/program.hpp"
#include "sys/socket_diag.hpp"

namespace egress {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
/// The sweep runs four times a second; a change of rules takes milliseconds.
constexpr std::uint64_t stuck_after = 10 * second;

bool is_packet_hook(const Hook& hook) { return hook.group == HookGroup::Packets; }

}  // namespace

const Fd* map_of(const FoundInstance& found, const char* name) {
  const auto at = found.maps.find(name);
  return at == found.maps.end() ? nullptr : &at->second;
}

void check_loaded(const Examined& examined, Findings& findings) {
  if (examined.found) return;
  Result<PinDirectory> directory = PinDirectory::open(examined.instance.pin_dir);
  if (directory && directory->contains("rules")) {
    report(findings, "links-missing", "rules are there, but nothing is attached: the pins of the links were removed");
  } else {
    report(findings, "not-loaded", "nothing is loaded for this pin directory and root");
  }
}

void check_links(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  const auto& links = examined.found->links;
  for (const Hook& hook : hooks) {
    if (hook.kind == Hook::Kind::OnCall || examined.found->attached(hook)) continue;
    const bool dead = std::ranges::any_of(links, [&](const FoundLink& one) { return one.hook == &hook; });
    if (dead) {
      report(findings, "link-detached", std::string(hook.program) + " was detached, or the enforced root was removed");
    } else if (is_packet_hook(hook)) {
      report(findings, "link-missing",
             std::string(hook.program) + " is not attached: its pin was removed or bpffs unmounted");
    }
  }
}

namespace {

/// What is wrong with the pin of a map of the instance.
enum class PinState { Good, Missing, Replaced };

PinState state_of_pin(const PinDirectory& directory, const std::string& name, const Fd& used) {
  Result<Fd> pin = directory.open_pin(name, PinDirectory::Access::Read);
  if (!pin) return directory.contains(name) ? PinState::Replaced : PinState::Missing;
  Result<MapInfo> pinned = map_info(pin->get());
  Result<MapInfo> of_programs = map_info(used.get());
  if (!of_programs) return PinState::Good;  // not to be told
  return pinned && pinned->id == of_programs->id ? PinState::Good : PinState::Replaced;
}

std::string join(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

/// Whoever changes rules writes into the pinned maps; packets are judged by those that the programs hold.
void check_map_pins(const PinDirectory& directory, const FoundInstance& found, Findings& findings) {
  std::vector<std::string> missing;
  std::vector<std::string> replaced;
  for (const auto& [name, fd] : found.maps) {
    const PinState state = state_of_pin(directory, name, fd);
    if (state == PinState::Missing) missing.push_back(name);
    if (state == PinState::Replaced) replaced.push_back(name);
  }
  const std::string where = " in " + directory.path();
  if (!missing.empty()) report(findings, "pins-missing", "no pin of " + join(missing) + where);
  if (replaced.empty()) return;
  report(findings, "pins-replaced",
         "the pins of " + join(replaced) + where + " lead to other objects than those that judge packets");
}

}  // namespace

void check_pins(const Examined& examined, Findings& findings) {
  const std::string& path = examined.instance.pin_dir;
  Result<PinDirectory> directory = PinDirectory::open(path);
  if (!directory && directory.error().kind == ErrorKind::Refused) {
    report(findings, "pin-dir-unsafe", directory.error().message());
    return;
  }
  if (!examined.found) return;
  for (const FoundLink& one : examined.found->links) {
    if (directory && directory->contains(one.hook->pin)) continue;
    report(findings, "pins-hidden",
           std::string(one.hook->program) + " is attached, but its pin in " + path + " cannot be seen");
    return;
  }
  if (directory) check_map_pins(*directory, *examined.found, findings);
}

void check_version(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  const egress_meta& meta = examined.found->meta;
  if (meta.abi == EGRESS_ABI && meta.layout == layout_hash()) return;
  report(findings, "other-version",
         "loaded by version " + std::string(meta.version) + ", whose maps this version does not know");
}

void check_bindings(const Examined& examined, Findings& findings) {
  if (!examined.control || examined.control->bind_failed == 0) return;
  report(findings, "bind-failed",
         std::to_string(examined.control->bind_failed) +
             " new cgroups could not be entered under the names that rules wait for: map full");
}

void check_pressure(const Examined& examined, Findings& findings) {
  const RuleStates& rules = examined.rules;
  const std::size_t used = rules.live + rules.over;
  if (rules.capacity == 0 || used * 10 < rules.capacity * 8) return;
  const Code code = used * 10 >= rules.capacity * 9 ? Code("rules-90") : Code("rules-80");
  report(findings, code,
         "rule table is filling up (" + std::to_string(used) + "/" + std::to_string(rules.capacity) + ")");
}

void check_counters(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  const Fd* map = map_of(*examined.found, "reason_counts");
  Result<Fd> fd = map ? map->duplicate() : Error{};
  auto counts = fd ? PerCpuMap<std::uint32_t, std::uint64_t>::adopt(std::move(*fd)) : Error{};
  auto sum = counts ? counts->sum(EGRESS_REASON_UNCOUNTED) : Error{};
  if (!sum || sum->value_or(0) == 0) return;
  report(findings, "uncounted",
         std::to_string(**sum) + " packets are in the totals and in no rule's counts: no room for more counters");
}

void check_maintenance(const Examined& examined, Findings& findings) {
  if (!examined.control) return;
  const egress_control& control = *examined.control;
  const bool library = control.maintenance == EGRESS_MAINTENANCE_LIBRARY;
  const std::uint64_t since = library ? control.lease_until : control.swept_at;
  if (control.maintenance != EGRESS_MAINTENANCE_FREE && since + stuck_after < examined.now) {
    report(findings, "maintenance-stuck",
           library ? "a change of rules was broken off" : "a sweep did not come to its end");
  }
  if (control.swept_at != 0 && control.swept_at + stuck_after < examined.now) {
    report(findings, "sweep-late", "the sweep timer does not run: rules that are over stay listed");
  }
}

void check_misses(std::uint64_t misses, Findings& findings) {
  if (misses == 0) return;
  report(findings, "creation-missed",
         std::to_string(misses) +
             " sockets were made without being judged, as this kernel interrupts a judgement for another");
}

void check_creation(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  const FoundLink* link = nullptr;
  for (const Hook& hook : hooks) {
    if (hook.group == HookGroup::Creation) link = examined.found->attached(hook);
  }
  if (!link) {
    if (examined.rules.refusing_sockets == 0) return;
    report(findings, "creation-open",
           std::to_string(examined.rules.refusing_sockets) +
               " rules refuse packet sockets, but nothing that could refuse them is attached");
    return;
  }
  Result<Program> program = Program::open_id(link->info.program_id);
  Result<ProgramInfo> info = program ? program->info() : Error{};
  if (info) check_misses(info->recursion_misses, findings);
}

void check_strict_devices(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  Result<std::vector<StrictDevice>> devices = strict_status(examined.instance);
  if (!devices) return;  // other findings say why
  for (const StrictDevice& device : *devices) {
    if (!device.attached()) {
      report(findings, "strict-lost",
             "the " + std::string(format(device.layer)) + " layer of device " + device.name +
                 " is gone: the device was made anew, or somebody took it off");
    } else if (!device.first) {
      report(findings, "strict-not-first",
             "programs of others run before ours on device " + device.name + " and may let frames pass");
    }
  }
}

void check_cgroup_namespace(const Examined&, Findings& findings) {
  if (in_initial_cgroup_namespace()) return;
  report(findings, "cgroup-namespace", "run inside a cgroup namespace: its root is not the root of the host");
}

void check_time_namespace(const Examined&, Findings& findings) {
  if (in_initial_time_namespace()) return;
  report(findings, "time-namespace",
         "run inside a time namespace: deadlines are asked from the kernel, not from its clock");
}

bool has_v1_network_controller(std::string_view proc_cgroups) {
  std::istringstream lines{std::string(proc_cgroups)};
  std::string name;
  unsigned hierarchy = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    if (!(fields >> name >> hierarchy)) continue;
    if ((name == "net_cls" || name == "net_prio") && hierarchy != 0) return true;
  }
  return false;
}

bool loses_sockets(std::string_view release, std::string_view proc_cgroups) {
  return release_older_than(release, 5, 15) && has_v1_network_controller(proc_cgroups);
}

void check_destroying(const Examined&, Findings& findings) {
  if (can_destroy_sockets()) return;
  report(
      findings, "no-destroy",
      "this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY): connections that exist when a rule is made are "
      "delayed, not cut");
}

void check_v1_network_controllers(const Examined&, Findings& findings) {
  Result<std::string> text = read_proc_file("/proc/cgroups");
  if (!text || !loses_sockets(kernel_release(), *text)) return;
  report(findings, "v1-network-controllers",
         "net_cls or net_prio is mounted: on kernels before 5.15 the first process that joins a group there "
         "ends the filtering of new sockets everywhere");
}

namespace {

Code code_of(HookGroup group) {
  switch (group) {
    case HookGroup::Packets:
      return "no-packets";
    case HookGroup::Sockets:
      return "no-sockets";
    case HookGroup::Names:
      return "no-names";
    case HookGroup::Sweep:
      return "no-sweep";
    case HookGroup::Clock:
      return "no-clock";
    case HookGroup::Creation:
      return "no-creation";
  }
  return "no-packets";
}

}  // namespace

void check_features(const std::vector<Feature>& features, Findings& findings) {
  for (const HookGroup group : hook_groups) {
    const auto feature = std::ranges::find(features, name_of(group), &Feature::name);
    if (feature == features.end() || feature->present) continue;
    report(findings, code_of(group),
           "the part `" + feature->name + "` does not run" + (feature->why.empty() ? "" : ": " + feature->why));
  }
}

}  // namespace egress
