// SPDX-License-Identifier: GPL-2.0
#include "egress/health.hpp"

#include <array>
#include <ctime>

#include "engine/health_checks.hpp"
#include "engine/records.hpp"
#include "sys/bpf_map.hpp"
#include "sys/bpffs.hpp"
#include "sys/canary.hpp"
#include "sys/cgroup.hpp"
#include "sys/kernel_ids.hpp"

namespace egress {
namespace {

std::uint64_t boot_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::vector<HookState> hook_states(const FoundInstance& found) {
  std::vector<HookState> states;
  for (const Hook& hook : hooks) {
    if (hook.kind == Hook::Kind::OnCall) continue;
    HookState state{hook.program, 0, 0, false};
    if (const FoundLink* link = found.attached(hook)) {
      state = {hook.program, link->info.program_id, link->info.id, true};
    }
    states.push_back(std::move(state));
  }
  return states;
}

/// Whether every hook of the group runs: links by id, programs that run on call by their traces.
bool is_present(const Examined& examined, HookGroup group) {
  for (const Hook& hook : hooks) {
    if (hook.group != group || hook.kind == Hook::Kind::OnCall) continue;
    if (!examined.found->attached(hook)) return false;
  }
  if (group == HookGroup::Sweep) return examined.control && examined.control->swept_at != 0;
  if (group != HookGroup::Clock) return true;
  Result<PinDirectory> directory = PinDirectory::open(examined.instance.pin_dir);
  return directory && directory->contains("egress_clock");
}

std::vector<Feature> features_of(const Examined& examined) {
  std::vector<Feature> features;
  for (const HookGroup group : hook_groups) {
    features.push_back({std::string(name_of(group)), is_present(examined, group), {}});
  }
  return features;
}

std::vector<MapMemory> memory_of(const FoundInstance& found) {
  std::vector<MapMemory> memory;
  for (const auto& [name, fd] : found.maps) memory.push_back({name, map_memory(fd.get())});
  return memory;
}

/// Whether a trial that was begun, neither confirmed nor over, decides about the rule.
bool waits_for_confirmation(const egress_rule& rule, const egress_control& control, std::uint64_t now) {
  if (control.trial_deadline == EGRESS_FOREVER || control.trial_deadline <= now || unborn(rule, control.epoch)) {
    return false;
  }
  if (rule.flags & EGRESS_RULE_TRIAL_NEW) return true;
  // A change that was broken off marks rules whose end is still to come.
  return (rule.flags & EGRESS_RULE_TRIAL_OLD) != 0 && !visible(rule, control.epoch);
}

void count(const egress_rule& rule, const egress_control& control, std::uint64_t now, RuleStates& states) {
  if (rule.id == 0) return;
  if (waits_for_confirmation(rule, control, now)) ++states.trial;
  const bool live = in_force(rule, control.epoch, control.trial_deadline, now);
  ++(live ? states.live : states.over);
  if (live && (rule.flags & EGRESS_RULE_NO_PACKET_SOCKETS)) ++states.refusing_sockets;
}

void count_doors(const FoundInstance& found, RuleStates& states) {
  const Fd* fd = map_of(found, "drop_configs");
  Result<Fd> copy = fd ? fd->duplicate() : Error{};
  if (!copy) return;
  auto doors = HashMap<std::uint32_t, drop_config>::adopt(std::move(*copy));
  auto entries = doors ? doors->entries() : Error{};
  if (!entries) return;
  states.door_capacity = doors->info().max_entries;
  for (const auto& [id, config] : *entries) {
    if (config.cgroup_id != 0 && !(config.flags & DROP_CONFIG_CANARY)) ++states.door;
  }
}

RuleStates rule_states(const FoundInstance& found, const egress_control& control, std::uint64_t now) {
  RuleStates states;
  const Fd* fd = map_of(found, "rules");
  if (!fd) return states;
  auto rules = MappedArray<egress_rule>::map(*fd, MappedMemory::Access::Read);
  if (!rules) return states;
  states.capacity = rules->span().size();
  for (const egress_rule& rule : rules->span()) count(rule, control, now, states);
  count_doors(found, states);
  return states;
}

void examine_state(Examined& examined) {
  const Fd* control = examined.found ? map_of(*examined.found, "control") : nullptr;
  Result<egress_control> copy = control ? read_control(control->get()) : Error{};
  if (!copy) return;
  examined.control = *copy;
  examined.rules = rule_states(*examined.found, *copy, examined.now);
}

Findings run_checks(const Examined& examined) {
  constexpr std::array checks{check_loaded,
                              check_links,
                              check_pins,
                              check_version,
                              check_bindings,
                              check_pressure,
                              check_counters,
                              check_maintenance,
                              check_creation,
                              check_programs_above,
                              check_programs_below,
                              check_places,
                              check_later_connect_programs,
                              check_strict_devices,
                              check_cgroup_namespace,
                              check_time_namespace,
                              check_v1_network_controllers,
                              check_destroying};
  Findings findings;
  for (const auto check : checks) check(examined, findings);
  return findings;
}

/// Sends the canary and draws the conclusion.
void prove(const Examined& examined, Health& health) {
  const Fd* configs = map_of(*examined.found, "drop_configs");
  const Fd* rules = map_of(*examined.found, "cgroup_rules");
  if (!examined.tree || !configs || !rules) return;
  Result<CanaryReport> sent =
      send_canary({examined.tree->directory(), examined.tree->fd(), configs->get(), rules->get()});
  if (!sent) {
    report(health.findings, "canary-failed", "the self-test could not be made: " + sent.error().message());
  } else if (!sent->enforcing) {
    health.enforcing = false;
    report(health.findings, "canary-passed", "attached, but not enforcing: " + sent->why);
  }
}

void fill_from(const Examined& examined, Health& health) {
  health.loaded = true;
  health.programs = hook_states(*examined.found);
  health.features = features_of(examined);
  health.memory = memory_of(*examined.found);
  check_features(health.features, health.findings);
  for (const Hook& hook : hooks) {
    if (hook.group == HookGroup::Packets) health.enforcing = examined.found->attached(hook) != nullptr;
  }
}

}  // namespace

std::string_view format(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::Note:
      return "note";
    case Finding::Severity::Warning:
      return "warning";
    case Finding::Severity::Problem:
      return "problem";
  }
  return {};
}

std::span<const FindingKind> finding_kinds() { return catalogue::kinds; }

Result<Health> health(const Instance& instance, bool with_canary) {
  Result<std::optional<FoundInstance>> found = find_instance(instance);
  if (!found) return std::move(found).error().in("status");
  Result<CgroupTree> tree = CgroupTree::open(instance.cgroup_root);
  Examined examined{instance, tree ? &*tree : nullptr, *found ? &**found : nullptr, {}, {}, boot_clock()};
  examine_state(examined);
  Health health;
  health.pin_dir = instance.pin_dir;
  health.root = tree ? tree->directory() : instance.cgroup_root;
  health.rules = examined.rules;
  health.findings = run_checks(examined);
  if (!tree) report(health.findings, "root", tree.error().message());
  if (!examined.found) return health;
  fill_from(examined, health);
  if (with_canary) prove(examined, health);
  return health;
}

}  // namespace egress
