// SPDX-License-Identifier: GPL-2.0
#include "egress/filter.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/cut.hpp"
#include "engine/engine.hpp"
#include "sys/bpffs.hpp"
#include "sys/cgroup.hpp"
#include "sys/kernel_ids.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/kernel_world.hpp"
#include "sys/loader.hpp"

/// The one place where the engine meets the kernel.
namespace egress {

struct Filter::Parts {
  Parts(PinDirectory pins, std::unique_ptr<KernelTables> maps, CgroupTree tree, Fd clock_program)
      : directory(std::move(pins)),
        tables(std::move(maps)),
        world(std::move(tree), std::move(clock_program), tables->control()),
        engine(*tables, world) {}

  /// Runs a change while no other writer can.
  template <typename Change>
  auto change(const char* operation, Change make) -> decltype(make(std::declval<Engine&>())) {
    auto lock = DirectoryLock::acquire(directory);
    if (!lock) return std::move(lock).error().in(operation);
    return make(engine);
  }

  PinDirectory directory;
  std::unique_ptr<KernelTables> tables;
  KernelWorld world;
  Engine engine;
  std::vector<std::string> missing;
};

namespace {

constexpr const char* clock_pin = "egress_clock";
constexpr const char* creation_pin = "link_socket";

Error not_loaded(const Instance& instance) {
  return Error{ErrorKind::NotFound, "open instance", instance.pin_dir, "not loaded", "egress load", 0};
}

std::string text_of_root(const egress_meta& meta) {
  return {meta.root_path, strnlen(meta.root_path, sizeof meta.root_path)};
}

/// The subtree the instance was loaded for. Whoever names one must name that.
Result<CgroupTree> open_tree(const Instance& instance, const egress_meta& meta) {
  const std::string root = instance.cgroup_root.empty() ? text_of_root(meta) : instance.cgroup_root;
  auto tree = CgroupTree::open(root);
  if (!tree) return tree;
  if (static_cast<std::uint64_t>(tree->id()) == meta.root_id) return tree;
  const bool same_place = tree->directory() == text_of_root(meta);
  return Error{ErrorKind::Failed,
               "open instance",
               instance.pin_dir,
               same_place ? "its cgroup root was removed and made anew: " + root
                          : "it was loaded for the cgroup root " + text_of_root(meta) + ", not for " + root,
               same_place ? "egress unload, then egress load" : "choose another --pin-dir or --cgroup-root",
               0};
}

/// Refuses rules that nothing here would carry out. `missing` are the parts that the last load could not bring.
Result<void> require_creation_hook(const PinDirectory& directory, const std::vector<std::string>& missing,
                                   std::span<const RuleSpec> rules) {
  const bool wanted = std::ranges::any_of(rules, &RuleSpec::no_packet_sockets);
  if (!wanted || directory.contains(creation_pin)) return {};
  std::string cause = "nothing that could refuse them is attached";
  for (const std::string& part : missing) {
    if (part.starts_with(name_of(HookGroup::Creation))) cause = "this kernel lacks " + part;
  }
  return Error{ErrorKind::Failed,
               "",
               "packet sockets",
               std::move(cause),
               "egress load attaches it, or says what this kernel refused",
               0};
}

}  // namespace

Filter::Filter(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Filter::Filter(Filter&&) noexcept = default;
Filter& Filter::operator=(Filter&&) noexcept = default;
Filter::~Filter() = default;

Result<Filter> Filter::open(const Instance& instance) {
  auto directory = PinDirectory::open(instance.pin_dir);
  if (!directory) {
    if (directory.error().kind == ErrorKind::NotFound) return not_loaded(instance);
    return std::move(directory).error();
  }
  auto tables = KernelTables::open(*directory, KernelTables::Access::ReadWrite);
  if (!tables) return std::move(tables).error();
  auto tree = open_tree(instance, (*tables)->meta());
  if (!tree) return std::move(tree).error();
  // A kernel that cannot run the clock program has the caller's clock, which must then be the initial one.
  auto pin = directory->open_pin(clock_pin);
  if (!pin && pin.error().kind != ErrorKind::NotFound) return std::move(pin).error();
  Fd clock = pin ? std::move(*pin) : Fd();
  return Filter(std::make_unique<Parts>(std::move(*directory), std::move(*tables), std::move(*tree), std::move(clock)));
}

Result<Filter> Filter::load(const Instance& instance, const LoadSettings& settings) {
  auto loaded = egress::load(instance, settings);
  if (!loaded) return std::move(loaded).error();
  auto filter = open(instance);
  // Loaded and without rules: not taken off again, for another process may have made some by now.
  if (!filter) return filter;
  for (const Feature& feature : loaded->features) {
    if (!feature.present) filter->parts_->missing.push_back(feature.name + ": " + feature.why);
  }
  return filter;
}

std::optional<LoadSettings> Filter::unattached() const {
  for (const Hook& hook : hooks) {
    const bool judges = hook.group == HookGroup::Packets;
    if (judges && !parts_->directory.contains(hook.pin)) return LoadSettings{parts_->tables->meta().max_rules};
  }
  return std::nullopt;
}

const std::vector<std::string>& Filter::missing() const { return parts_->missing; }

Result<void> Filter::unload(const Instance& instance) { return egress::unload(instance); }

Result<std::vector<RuleId>> Filter::add(const Addition& addition) {
  for (const auto& rules : {std::span<const RuleSpec>(addition.rules), std::span(&addition.of_list, 1)}) {
    auto possible = require_creation_hook(parts_->directory, parts_->missing, rules);
    if (!possible) return std::move(possible).error().in("add rule");
  }
  return parts_->change("add rule", [&](Engine& engine) { return engine.add(addition); });
}

Result<std::vector<Rule>> Filter::remove(const Selection& selection) {
  return parts_->change("remove rule", [&](Engine& engine) { return engine.remove(selection); });
}

Result<Removed> Filter::remove(const Selection& selection, std::size_t most_told) {
  return parts_->change("remove rule", [&](Engine& engine) { return engine.remove(selection, most_told); });
}

Result<Rule> Filter::extend(RuleId id, Lifetime lifetime) {
  return parts_->change("extend rule", [&](Engine& engine) { return engine.extend(id, lifetime); });
}

Result<PolicyDiff> Filter::apply(const Policy& policy, const ApplyOptions& options) {
  auto possible = require_creation_hook(parts_->directory, parts_->missing, policy.expand());
  if (!possible) return std::move(possible).error().in("apply policy");
  return parts_->change("apply policy", [&](Engine& engine) { return engine.apply(policy, options); });
}

Result<void> Filter::confirm() {
  return parts_->change("confirm", [](Engine& engine) { return engine.confirm(); });
}

const CutReport& Filter::cut() const { return parts_->engine.cut(); }

Result<Reach> Filter::reach(const Addition& addition, std::span<const Socket> supposed,
                            const std::function<bool()>& wants_stopped) const {
  return parts_->engine.reach(addition, supposed, wants_stopped);
}

Result<Reach> Filter::reach(const Policy& policy, std::span<const Socket> supposed,
                            const std::function<bool()>& wants_stopped) const {
  return parts_->engine.reach(policy, supposed, wants_stopped);
}

CutReport Filter::destroy(std::span<const Socket> sockets) const { return destroy_sockets(parts_->world, sockets); }

Result<std::vector<Rule>> Filter::rules() const { return parts_->engine.rules(); }

Result<Totals> Filter::totals() const { return parts_->engine.totals(); }

Result<Explanation> Filter::explain(const Subject& subject, const Destination& destination) const {
  return parts_->engine.explain(subject, destination);
}

Result<PolicyDiff> Filter::diff(const Policy& policy) const { return parts_->engine.diff(policy); }

Result<std::vector<Policy>> Filter::policies() const { return parts_->engine.policies(); }

Result<BootTime> Filter::now() const { return parts_->world.now(); }

Result<Subject> Filter::subject_of_pid(int pid, Subject::Scope scope) const {
  auto path = parts_->world.tree().path_of_process(pid);
  if (!path) return std::move(path).error();
  const auto id = parts_->world.cgroup_at(*path);
  if (!id) {
    return Error{ErrorKind::NotFound, "", "pid " + std::to_string(pid), "its cgroup has just been removed", "", 0};
  }
  return Subject{Subject::Kind::Id, std::to_string(static_cast<std::uint64_t>(*id)), scope};
}

Result<Subject> Filter::subject_of_path(std::string_view path, Subject::Scope scope) const {
  auto canonical = parts_->world.tree().path_from_user(path);
  if (!canonical) return std::move(canonical).error();
  return Subject{Subject::Kind::Path, std::move(*canonical), scope};
}

std::vector<CgroupId> Filter::cgroups_of(const Subject& subject) const {
  return cgroups_bearing(parts_->world, subject);
}

std::optional<std::string> Filter::path_of(CgroupId id) const { return parts_->world.path_of(id); }

}  // namespace egress
