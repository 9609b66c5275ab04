// SPDX-License-Identifier: GPL-2.0
#include "engine/health_checks.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "sys/bpffs.hpp"
#include "sys/clock.hpp"
#include "sys/foreign_programs.hpp"
#include "sys/kernel_release.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/mountinfo.hpp"
#include "sys/socket_diag.hpp"

namespace egress {
namespace {

using Severity = Finding::Severity;

constexpr std::uint64_t second = 1'000'000'000;
/// The sweep runs four times a second; a change of rules takes milliseconds.
constexpr std::uint64_t stuck_after = 10 * second;

bool is_packet_hook(const Hook& hook) { return hook.group == HookGroup::Packets; }

/// Hooks of a cgroup that are attached for this instance.
std::vector<const Hook*> attached_hooks(const Examined& examined) {
  std::vector<const Hook*> attached;
  for (const Hook& hook : hooks) {
    const bool there = examined.found && examined.found->attached(hook);
    if (hook.kind == Hook::Kind::Cgroup && there) attached.push_back(&hook);
  }
  return attached;
}

}  // namespace

void check_loaded(const Examined& examined, Findings& findings) {
  if (examined.found) return;
  Result<PinDirectory> directory = PinDirectory::open(examined.instance.pin_dir);
  const bool pins = directory && directory->contains("rules");
  if (pins) {
    findings.push_back({"links-missing", Severity::Problem,
                        "rules are there, but nothing is attached: the pins of the links were removed",
                        "egress load attaches again and keeps the rules"});
  } else {
    findings.push_back(
        {"not-loaded", Severity::Problem, "nothing is loaded for this pin directory and root", "egress load"});
  }
}

void check_links(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  const auto& links = examined.found->links;
  for (const Hook& hook : hooks) {
    if (hook.kind == Hook::Kind::OnCall || examined.found->attached(hook)) continue;
    const bool dead = std::ranges::any_of(links, [&](const FoundLink& one) { return one.hook == &hook; });
    if (dead) {
      findings.push_back({"link-detached", Severity::Problem,
                          std::string(hook.program) + " was detached, or the enforced root was removed",
                          "egress unload, then egress load"});
    } else if (is_packet_hook(hook)) {
      findings.push_back({"link-missing", Severity::Problem,
                          std::string(hook.program) + " is not attached: its pin was removed or bpffs unmounted",
                          "egress load attaches again and keeps the rules"});
    }
  }
}

void check_pins(const Examined& examined, Findings& findings) {
  const std::string& path = examined.instance.pin_dir;
  Result<PinDirectory> directory = PinDirectory::open(path);
  if (!directory && directory.error().kind == ErrorKind::Refused) {
    findings.push_back({"pin-dir-unsafe", Severity::Problem, directory.error().message(),
                        "whoever may write there can take the filter off: chown root, chmod 0700"});
    return;
  }
  if (!examined.found) return;
  for (const FoundLink& one : examined.found->links) {
    if (directory && directory->contains(one.hook->pin)) continue;
    findings.push_back({"pins-hidden", Severity::Warning,
                        std::string(one.hook->program) + " is attached, but its pin in " + path + " cannot be seen",
                        "take off what is mounted over it, or egress load pins it again"});
    return;
  }
}

void check_version(const Examined& examined, Findings& findings) {
  if (!examined.found) return;
  const egress_meta& meta = examined.found->meta;
  if (meta.abi == EGRESS_ABI && meta.layout == layout_hash()) return;
  findings.push_back({"other-version", Severity::Warning,
                      "loaded by version " + std::string(meta.version) + ", whose maps this version does not know",
                      "it keeps enforcing; use that version, or unload and load"});
}

void check_bindings(const Examined& examined, Findings& findings) {
  if (!examined.control || examined.control->bind_failed == 0) return;
  findings.push_back({"bind-failed", Severity::Problem,
                      std::to_string(examined.control->bind_failed) +
                          " new cgroups could not be entered under the names that rules wait for: map full",
                      "load with more rules (egress unload, egress load --max-rules N)"});
}

void check_pressure(const Examined& examined, Findings& findings) {
  const RuleStates& rules = examined.rules;
  const std::size_t used = rules.live + rules.over;
  if (rules.capacity == 0 || used * 10 < rules.capacity * 8) return;
  const bool high = used * 10 >= rules.capacity * 9;
  findings.push_back({high ? "rules-90" : "rules-80", high ? Severity::Warning : Severity::Note,
                      "rule table is filling up (" + std::to_string(used) + "/" + std::to_string(rules.capacity) + ")",
                      "remove rules, or load with more"});
}

void check_maintenance(const Examined& examined, Findings& findings) {
  if (!examined.control) return;
  const egress_control& control = *examined.control;
  const bool library = control.maintenance == EGRESS_MAINTENANCE_LIBRARY;
  const std::uint64_t since = library ? control.lease_until : control.swept_at;
  if (control.maintenance != EGRESS_MAINTENANCE_FREE && since + stuck_after < examined.now) {
    findings.push_back({"maintenance-stuck", Severity::Warning,
                        library ? "a change of rules was broken off" : "a sweep did not come to its end",
                        "the next change repairs it, for example: egress load"});
  }
  if (control.swept_at != 0 && control.swept_at + stuck_after < examined.now) {
    findings.push_back({"sweep-late", Severity::Warning,
                        "the sweep timer does not run: rules that are over stay listed",
                        "egress load starts it again"});
  }
}

void check_detachable_programs(const Examined& examined, Findings& findings) {
  if (!examined.tree) return;
  for (const Hook& hook : hooks) {
    if (hook.kind != Hook::Kind::Cgroup) continue;
    Result<std::vector<Attachments>> all = attachments_up_from(examined.tree->fd(), hook.attach_type);
    if (!all) continue;
    for (const Attachments& there : *all) {
      // BPF_F_ALLOW_MULTI keeps others from it; links have it always.
      if (there.flags & BPF_F_ALLOW_MULTI) continue;
      findings.push_back({"foreign-detachable", Severity::Warning,
                          describe_program(there.program_ids.front()) + " on " + there.directory +
                              " was attached without BPF_F_ALLOW_MULTI: any user may take it off (kernels 6.1 to 6.18)",
                          "have its owner attach it by a link"});
    }
  }
}

namespace {

/// Programs that run after ours at this hook: later ones on the root and all on its ancestors.
std::vector<std::uint32_t> programs_after(const std::vector<Attachments>& all, const std::string& root,
                                          std::uint32_t ours) {
  std::vector<std::uint32_t> after;
  for (const Attachments& there : all) {
    auto from = there.program_ids.begin();
    if (there.directory == root) {
      const auto own = std::ranges::find(there.program_ids, ours);
      from = own == there.program_ids.end() ? own : own + 1;
    }
    after.insert(after.end(), from, there.program_ids.end());
  }
  return after;
}

}  // namespace

void check_later_connect_programs(const Examined& examined, Findings& findings) {
  if (!examined.tree || !examined.found) return;
  for (const Hook* hook : attached_hooks(examined)) {
    if (hook->group != HookGroup::Sockets) continue;
    Result<std::vector<Attachments>> all = attachments_up_from(examined.tree->fd(), hook->attach_type);
    if (!all) continue;
    const std::uint32_t ours = examined.found->attached(*hook)->info.program_id;
    for (const std::uint32_t id : programs_after(*all, examined.tree->directory(), ours)) {
      findings.push_back({"foreign-after-ours", Severity::Note,
                          describe_program(id) + " runs after " + hook->program + " and may let a refused call through",
                          "its packets are dropped all the same"});
    }
  }
}

void check_cgroup_namespace(const Examined&, Findings& findings) {
  if (in_initial_cgroup_namespace()) return;
  findings.push_back({"cgroup-namespace", Severity::Problem,
                      "run inside a cgroup namespace: its root is not the root of the host",
                      "run it on the host, or name a subtree with --cgroup-root"});
}

void check_time_namespace(const Examined&, Findings& findings) {
  if (in_initial_time_namespace()) return;
  findings.push_back({"time-namespace", Severity::Warning,
                      "run inside a time namespace: deadlines are asked from the kernel, not from its clock",
                      "run it on the host if deadlines look wrong"});
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

void check_v1_network_controllers(const Examined&, Findings& findings) {
  if (!kernel_older_than(5, 15)) return;
  Result<std::string> text = read_proc_file("/proc/cgroups");
  if (!text || !has_v1_network_controller(*text)) return;
  findings.push_back(
      {"v1-network-controllers", Severity::Problem,
       "net_cls or net_prio is mounted: on kernels before 5.15 the first process that joins a group there "
       "ends the filtering of new sockets everywhere",
       "unmount net_cls and net_prio, or use kernel 5.15"});
}

void check_destroying(const Examined&, Findings& findings) {
  if (can_destroy_sockets()) return;
  findings.push_back(
      {"no-destroy", Severity::Note,
       "this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY): connections that exist when a rule "
       "is made are delayed, not cut",
       "restart the processes after making the rule"});
}

void check_features(const std::vector<Feature>& features, Findings& findings) {
  for (const Feature& feature : features) {
    if (feature.present) continue;
    const bool packets = feature.name == name_of(HookGroup::Packets);
    findings.push_back(
        {"no-" + feature.name, packets ? Severity::Problem : Severity::Warning,
         "the part `" + feature.name + "` does not run" + (feature.why.empty() ? "" : ": " + feature.why),
         "egress load says what this kernel refused"});
  }
}

}  // namespace egress
