// SPDX-License-Identifier: GPL-2.0
#include "egress/strict.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "engine/strict_parts.hpp"
#include "engine/strict_target.hpp"
#include "sys/network_namespaces.hpp"
#include "sys/strict_program.hpp"

namespace egress {
namespace {

/// Every map of the instance, for programs to use.
Result<MapFds> open_maps(const PinDirectory& directory) {
  MapFds maps;
  const auto open = [&](std::string_view name) -> Result<void> {
    Result<Fd> fd = directory.open_pin(std::string(name));
    if (!fd) return std::move(fd).error();
    maps.emplace(name, std::move(*fd));
    return {};
  };
  for (const MapLayout& layout : map_layouts()) {
    if (Result<void> done = open(layout.name); !done) return std::move(done).error();
  }
  // `sweeper` is missing where the kernel has no timers.
  if (Result<void> done = open("cache"); !done) return std::move(done).error();
  return maps;
}

/// Puts layers on one device after the other; what it did is undone unless commit() was called.
class Guarding {
 public:
  Guarding(StrictParts& parts, MapFds maps, std::uint32_t netns)
      : parts_(parts), maps_(std::move(maps)), netns_(netns) {}
  Guarding(const Guarding&) = delete;
  Guarding& operator=(const Guarding&) = delete;
  ~Guarding() {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) undo(*step);
  }

  Result<void> add(const Device& device, StrictLayer layer, const StrictTarget& target) {
    Result<std::string_view> program = strict_program_for(layer, device.link_type);
    if (!program) return std::move(program).error();
    Result<int> fd = loaded(*program);
    if (!fd) return std::move(fd).error();
    const StrictPlace place{layer, netns_, device.ifindex};
    const std::uint64_t key = egress_device_key(netns_, device.ifindex);
    Result<std::optional<egress_device>> former = parts_.devices.get(key);
    if (!former) return std::move(former).error();
    egress_device entry = entry_for(device, layer, target, *former);
    // The entry first: a program without one judges nothing, one with it is told of whether it runs or not.
    if (Result<void> done = parts_.devices.put(key, entry); !done) return done;
    const bool was_on = strict_state(parts_.directory, place).mode != StrictMode::None;
    steps_.push_back({key, *former, place, was_on});
    Result<StrictAttached> attached =
        attach_strict(parts_.directory, place, *fd, target.as_filter ? TcWay::Clsact : TcWay::Best);
    if (!attached) return std::move(attached).error();
    if (!attached->made_qdisc) return {};
    entry.flags |= EGRESS_DEVICE_OUR_QDISC;
    return parts_.devices.put(key, entry);
  }

  void commit() { steps_.clear(); }

 private:
  struct Step {
    std::uint64_t key;
    std::optional<egress_device> former;
    StrictPlace place;
    bool was_on;  ///< then only the program was renewed
  };

  Result<int> loaded(std::string_view program) {
    const auto known = programs_.find(program);
    if (known != programs_.end()) return known->second.get();
    Result<Fd> fd = load_strict_program(program, parts_.maps->meta(), maps_);
    if (!fd) return std::move(fd).error();
    return programs_.emplace(program, std::move(*fd)).first->second.get();
  }

  static egress_device entry_for(const Device& device, StrictLayer layer, const StrictTarget& target,
                                 const std::optional<egress_device>& former) {
    egress_device entry = former && name_in(*former) == device.name ? *former : egress_device{};
    device.name.copy(entry.name, sizeof(entry.name) - 1);
    entry.flags |= flag_of(layer);
    if (layer == StrictLayer::Tc) return entry;
    entry.cgroup_id = target.ids.back();
    entry.levels = static_cast<std::uint32_t>(target.ids.size());
    std::ranges::copy(target.ids, entry.ids);
    entry.flags &= ~static_cast<std::uint32_t>(EGRESS_DEVICE_STRICT_L2);
    if (target.strict_l2) entry.flags |= EGRESS_DEVICE_STRICT_L2;
    return entry;
  }

  void undo(const Step& step) {
    if (!step.was_on) (void)detach_strict(parts_.directory, step.place, /*with_qdisc=*/true);
    if (step.former) {
      (void)parts_.devices.put(step.key, *step.former);
    } else {
      (void)parts_.devices.erase(step.key);
    }
  }

  StrictParts& parts_;
  MapFds maps_;
  std::uint32_t netns_;
  std::map<std::string, Fd, std::less<>> programs_;
  std::vector<Step> steps_;
};

/// Takes away entries of a device of this name that was there before and is gone. One that stays is told as lost.
void forget_former(StrictParts& parts, std::uint32_t netns, const Device& device) {
  Result<std::vector<DeviceEntry>> entries = parts.devices.entries();
  if (!entries) return;
  for (const DeviceEntry& entry : *entries) {
    const StrictPlace place = place_of(entry.first, StrictLayer::Tc);
    const bool former = place.netns == netns && place.ifindex != device.ifindex && name_in(entry.second) == device.name;
    if (former) (void)release(parts, entry);
  }
}

Result<StrictReport> guard(StrictParts& parts, const StrictTarget& target) {
  Result<NetworkNamespace> here = own_network_namespace();
  if (!here) return std::move(here).error();
  const auto netns = static_cast<std::uint32_t>(here->inode);
  Result<MapFds> maps = open_maps(parts.directory);
  if (!maps) return std::move(maps).error();
  const StrictLayer layer = target.ids.empty() ? StrictLayer::Tc : StrictLayer::Xdp;
  Guarding guarding(parts, std::move(*maps), netns);
  for (const Device& device : target.devices) {
    Result<void> added = guarding.add(device, layer, target);
    if (added) continue;
    Error error = std::move(added).error();
    error.object = device.name + (error.object.empty() ? "" : ": " + error.object);
    return error;
  }
  guarding.commit();
  for (const Device& device : target.devices) forget_former(parts, netns, device);
  StrictReport report{{}, target.uncovered};
  for (const Device& device : target.devices) {
    const std::uint64_t key = egress_device_key(netns, device.ifindex);
    Result<std::optional<egress_device>> entry = parts.devices.get(key);
    if (entry && entry->has_value()) report.devices.push_back(describe(parts, {key, **entry}, layer));
  }
  return report;
}

}  // namespace

std::string_view format(StrictLayer layer) { return layer == StrictLayer::Tc ? "tc" : "xdp"; }

std::string_view format(StrictMode mode) {
  switch (mode) {
    case StrictMode::None:
      return "lost";
    case StrictMode::Tcx:
      return "tcx link";
    case StrictMode::Clsact:
      return "clsact filter";
    case StrictMode::XdpDriver:
      return "xdp in the driver";
    case StrictMode::XdpGeneric:
      return "xdp behind the driver";
  }
  return {};
}

Result<StrictReport> strict_on(const Instance& instance, const StrictRequest& request) {
  constexpr const char* operation = "strict on";
  Result<StrictParts> parts = open_strict_parts(operation, instance, KernelTables::Access::ReadWrite);
  if (!parts) return std::move(parts).error();
  Result<StrictTarget> target = find_strict_target(parts->tree, request);
  if (!target) return std::move(target).error().in(operation);
  Result<DirectoryLock> lock = DirectoryLock::acquire(parts->directory);
  if (!lock) return std::move(lock).error().in(operation);
  Result<StrictReport> report = guard(*parts, *target);
  if (report) return report;
  Error error = std::move(report).error();
  error.operation = operation;
  return error;
}

Result<std::vector<StrictDevice>> strict_status(const Instance& instance) {
  Result<StrictParts> parts = open_strict_parts("strict status", instance, KernelTables::Access::Read);
  if (!parts) return std::move(parts).error();
  return describe_all(*parts);
}

Result<std::vector<StrictDevice>> strict_off(const Instance& instance, const std::vector<std::string>& devices) {
  constexpr const char* operation = "strict off";
  Result<StrictParts> parts = open_strict_parts(operation, instance, KernelTables::Access::ReadWrite);
  if (!parts) return std::move(parts).error();
  Result<DirectoryLock> lock = DirectoryLock::acquire(parts->directory);
  if (!lock) return std::move(lock).error().in(operation);
  Result<std::vector<StrictDevice>> before = describe_all(*parts);
  Result<std::vector<DeviceEntry>> entries = parts->devices.entries();
  if (!before || !entries) return before ? std::move(entries).error() : std::move(before).error();
  for (const std::string& name : devices) {
    const bool known = std::ranges::any_of(*before, [&](const StrictDevice& one) { return one.name == name; });
    if (!known) return Error{ErrorKind::NotFound, operation, name, "not guarded", "see egress strict status", 0};
  }
  const auto wanted = [&](const std::string& name) {
    return devices.empty() || std::ranges::find(devices, name) != devices.end();
  };
  for (const DeviceEntry& entry : *entries) {
    if (!wanted(name_in(entry.second))) continue;
    if (Result<void> done = release(*parts, entry); !done) return std::move(done).error().in(operation);
  }
  std::erase_if(*before, [&](const StrictDevice& one) { return !wanted(one.name); });
  return before;
}

}  // namespace egress
