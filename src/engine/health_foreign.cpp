// SPDX-License-Identifier: GPL-2.0
/// What programs of others mean for an instance (failures G1 to G4, G6).
#include <algorithm>

#include "engine/health_checks.hpp"
#include "sys/foreign_programs.hpp"

namespace egress {
namespace {

/// Programs of this instance that are attached to a cgroup, and where.
struct OwnProgram {
  const Hook* hook;
  std::uint32_t id;
};

std::vector<OwnProgram> own_programs(const Examined& examined) {
  std::vector<OwnProgram> own;
  for (const Hook& hook : hooks) {
    const FoundLink* link = examined.found ? examined.found->attached(hook) : nullptr;
    if (hook.kind == Hook::Kind::Cgroup && link) own.push_back({&hook, link->info.program_id});
  }
  return own;
}

bool is_own(const std::vector<OwnProgram>& own, const Hook& hook) {
  return std::ranges::find(own, &hook, &OwnProgram::hook) != own.end();
}

/// Links and BPF_F_ALLOW_MULTI let others run beside them.
bool runs_beside_others(const Attachments& there) { return (there.flags & BPF_F_ALLOW_MULTI) != 0; }
bool is_replaceable(const Attachments& there) { return (there.flags & BPF_F_ALLOW_OVERRIDE) != 0; }

std::string first_program(const Attachments& there) {
  return describe_program(there.program_ids.front()) + " on " + there.directory;
}

/// On the root or above it, without BPF_F_ALLOW_MULTI.
void tell_of_program_above(const Examined& examined, const Attachments& there, bool ours_is_attached,
                           Findings& findings) {
  const bool on_root = there.directory == examined.tree->directory();
  report(
      findings, "foreign-detachable",
      first_program(there) + " was attached without BPF_F_ALLOW_MULTI: any user may take it off (kernels 6.1 to 6.18)");
  if (ours_is_attached && !on_root && is_replaceable(there)) {
    report(findings, "foreign-displaced",
           first_program(there) + " does not run in the enforced subtree: it gives way to programs further down");
  }
  if (!ours_is_attached && (on_root || !is_replaceable(there))) {
    report(findings, "foreign-blocks", first_program(there) + " allows no other: egress load will fail");
  }
}

}  // namespace

void check_programs_above(const Examined& examined, Findings& findings) {
  if (!examined.tree) return;
  const std::vector<OwnProgram> own = own_programs(examined);
  for (const Hook& hook : hooks) {
    if (hook.kind != Hook::Kind::Cgroup) continue;
    Result<std::vector<Attachments>> all = attachments_up_from(examined.tree->fd(), hook.attach_type);
    if (!all) continue;
    for (const Attachments& there : *all) {
      if (!runs_beside_others(there)) tell_of_program_above(examined, there, is_own(own, hook), findings);
    }
  }
}

namespace {

/// Cgroups of which the same is to be said; one of them is named.
struct Crowd {
  std::size_t cgroups = 0;
  std::string example;

  void add(const Attachments& there) {
    if (cgroups++ == 0) example = first_program(there);
  }
  [[nodiscard]] std::string text() const {
    return example + (cgroups == 1 ? "" : " (and on " + std::to_string(cgroups - 1) + " more cgroups)");
  }
};

}  // namespace

void check_programs_below(const Examined& examined, Findings& findings) {
  if (!examined.tree) return;
  Crowd exclusive;
  Crowd replaceable;
  examined.tree->walk([&](const std::string& path, const std::string&, CgroupId) {
    Result<Fd> cgroup = examined.tree->open_cgroup(path);
    for (const Hook& hook : hooks) {
      if (!cgroup || hook.kind != Hook::Kind::Cgroup) continue;
      Result<Attachments> there = attachments_at(cgroup->get(), hook.attach_type);
      if (!there || there->program_ids.empty() || runs_beside_others(*there)) continue;
      (is_replaceable(*there) ? replaceable : exclusive).add(*there);
      break;
    }
    return true;
  });
  if (exclusive.cgroups > 0) {
    report(findings, "foreign-exclusive",
           exclusive.text() + " keeps all others out of its cgroup and those below, but for what is attached above");
  }
  if (replaceable.cgroups > 0) {
    report(findings, "foreign-replaceable", replaceable.text() + " gives way to whatever is attached further down");
  }
}

void check_places(const Examined& examined, Findings& findings) {
  if (!examined.tree) return;
  const std::vector<OwnProgram> own = own_programs(examined);
  for (const Hook& hook : hooks) {
    if (hook.kind != Hook::Kind::Cgroup) continue;
    Result<Attachments> there = attachments_at(examined.tree->fd(), hook.attach_type);
    if (!there || there->program_ids.size() < programs_per_cgroup) continue;
    const std::string text = std::to_string(there->program_ids.size()) + " programs at the hook of " + hook.program +
                             " on " + there->directory + ", as many as the kernel allows";
    if (is_own(own, hook)) {
      report(findings, "places-full", text);
    } else {
      report(findings, "no-place", text + ", and none is ours");
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
  if (!examined.tree) return;
  for (const OwnProgram& own : own_programs(examined)) {
    if (own.hook->group != HookGroup::Sockets) continue;
    Result<std::vector<Attachments>> all = attachments_up_from(examined.tree->fd(), own.hook->attach_type);
    if (!all) continue;
    for (const std::uint32_t id : programs_after(*all, examined.tree->directory(), own.id)) {
      report(findings, "foreign-after-ours",
             describe_program(id) + " runs after " + own.hook->program + " and may let a refused call through");
    }
  }
}

}  // namespace egress
