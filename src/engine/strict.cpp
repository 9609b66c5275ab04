// SPDX-License-Identifier: GPL-2.0
#include "egress/strict.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "engine/strict_target.hpp"
#include "sys/bpf_map.hpp"
#include "sys/bpffs.hpp"
#include "sys/cgroup.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/network_namespaces.hpp"
#include "sys/strict_attachment.hpp"
#include "sys/strict_program.hpp"

namespace egress {
namespace {

using DeviceTable = HashMap<std::uint64_t, egress_device>;
using DeviceEntry = std::pair<std::uint64_t, egress_device>;

/// The parts of an instance that the strict layers need.
struct Opened {
  PinDirectory directory;
  std::unique_ptr<KernelTables> maps;
  DeviceTable devices;
};

Result<Opened> open_parts(const Instance& instance, KernelTables::Access access) {
  Result<PinDirectory> directory = PinDirectory::open(instance.pin_dir);
  if (!directory) return std::move(directory).error();
  Result<std::unique_ptr<KernelTables>> maps = KernelTables::open(*directory, access);
  if (!maps) return std::move(maps).error();
  Result<Fd> fd = duplicate((*maps)->fd_of("devices"));
  if (!fd) return std::move(fd).error();
  Result<DeviceTable> devices = DeviceTable::adopt(std::move(*fd));
  if (!devices) return std::move(devices).error();
  return Opened{*std::move(directory), *std::move(maps), *std::move(devices)};
}

Result<Opened> open_parts_in(const char* operation, const Instance& instance, KernelTables::Access access) {
  Result<Opened> opened = open_parts(instance, access);
  if (opened) return opened;
  Error error = std::move(opened).error();
  if (error.kind == ErrorKind::NotFound) error.remedy = "egress load";
  error.operation = operation;
  return error;
}

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

std::uint32_t flag_of(StrictLayer layer) { return layer == StrictLayer::Tc ? EGRESS_DEVICE_TC : EGRESS_DEVICE_XDP; }

StrictPlace place_of(std::uint64_t key, StrictLayer layer) {
  return {layer, static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key)};
}

std::string name_in(const egress_device& entry) { return {entry.name, strnlen(entry.name, sizeof(entry.name))}; }

std::string cgroup_text(const CgroupTree& tree, std::uint64_t id) {
  const std::optional<std::string> path = tree.path_of(CgroupId{id});
  return path ? *path : "id " + std::to_string(id);
}

StrictDevice describe(const Opened& opened, const CgroupTree& tree, const DeviceEntry& entry, StrictLayer layer) {
  const StrictPlace place = place_of(entry.first, layer);
  const StrictState state = strict_state(opened.directory, place);
  StrictDevice device{name_in(entry.second), place.ifindex, place.netns, layer, state.mode, state.first, {}, false};
  if (layer == StrictLayer::Xdp) {
    device.cgroup = cgroup_text(tree, entry.second.cgroup_id);
    device.strict_l2 = (entry.second.flags & EGRESS_DEVICE_STRICT_L2) != 0;
  }
  return device;
}

/// Puts layers on one device after the other; what it did is undone unless commit() was called.
class Guarding {
 public:
  Guarding(Opened& opened, MapFds maps, std::uint32_t netns) : opened_(opened), maps_(std::move(maps)), netns_(netns) {}
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
    Result<std::optional<egress_device>> former = opened_.devices.get(key);
    if (!former) return std::move(former).error();
    egress_device entry = entry_for(device, layer, target, *former);
    // The entry first: a program without one judges nothing, one with it is told of whether it runs or not.
    if (Result<void> done = opened_.devices.put(key, entry); !done) return done;
    const bool was_on = strict_state(opened_.directory, place).mode != StrictMode::None;
    steps_.push_back({key, *former, place, was_on});
    Result<StrictAttached> attached =
        attach_strict(opened_.directory, place, *fd, target.as_filter ? TcWay::Clsact : TcWay::Best);
    if (!attached) return std::move(attached).error();
    if (!attached->made_qdisc) return {};
    entry.flags |= EGRESS_DEVICE_OUR_QDISC;
    return opened_.devices.put(key, entry);
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
    Result<Fd> fd = load_strict_program(program, opened_.maps->meta(), maps_);
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
    if (!step.was_on) (void)detach_strict(opened_.directory, step.place, /*with_qdisc=*/true);
    if (step.former) {
      (void)opened_.devices.put(step.key, *step.former);
    } else {
      (void)opened_.devices.erase(step.key);
    }
  }

  Opened& opened_;
  MapFds maps_;
  std::uint32_t netns_;
  std::map<std::string, Fd, std::less<>> programs_;
  std::vector<Step> steps_;
};

/// Takes all layers off one device.
Result<void> release(Opened& opened, const DeviceEntry& entry) {
  for (const StrictLayer layer : {StrictLayer::Tc, StrictLayer::Xdp}) {
    if (!(entry.second.flags & flag_of(layer))) continue;
    const bool qdisc = (entry.second.flags & EGRESS_DEVICE_OUR_QDISC) != 0;
    if (Result<void> done = detach_strict(opened.directory, place_of(entry.first, layer), qdisc); !done) return done;
  }
  return opened.devices.erase(entry.first);
}

/// Takes away entries of a device of this name that was there before and is gone. One that stays is told as lost.
void forget_former(Opened& opened, std::uint32_t netns, const Device& device) {
  Result<std::vector<DeviceEntry>> entries = opened.devices.entries();
  if (!entries) return;
  for (const DeviceEntry& entry : *entries) {
    const StrictPlace place = place_of(entry.first, StrictLayer::Tc);
    const bool former = place.netns == netns && place.ifindex != device.ifindex && name_in(entry.second) == device.name;
    if (former) (void)release(opened, entry);
  }
}

Result<StrictReport> guard(Opened& opened, const CgroupTree& tree, const StrictTarget& target) {
  Result<NetworkNamespace> here = own_network_namespace();
  if (!here) return std::move(here).error();
  const auto netns = static_cast<std::uint32_t>(here->inode);
  Result<MapFds> maps = open_maps(opened.directory);
  if (!maps) return std::move(maps).error();
  const StrictLayer layer = target.ids.empty() ? StrictLayer::Tc : StrictLayer::Xdp;
  Guarding guarding(opened, std::move(*maps), netns);
  for (const Device& device : target.devices) {
    Result<void> added = guarding.add(device, layer, target);
    if (added) continue;
    Error error = std::move(added).error();
    error.object = device.name + (error.object.empty() ? "" : ": " + error.object);
    return error;
  }
  guarding.commit();
  for (const Device& device : target.devices) forget_former(opened, netns, device);
  StrictReport report{{}, target.uncovered};
  for (const Device& device : target.devices) {
    const std::uint64_t key = egress_device_key(netns, device.ifindex);
    Result<std::optional<egress_device>> entry = opened.devices.get(key);
    if (entry && entry->has_value()) report.devices.push_back(describe(opened, tree, {key, **entry}, layer));
  }
  return report;
}

Result<CgroupTree> tree_of(const Instance& instance, const KernelTables& maps) {
  const egress_meta& meta = maps.meta();
  return CgroupTree::open(instance.cgroup_root.empty() ? std::string(meta.root_path) : instance.cgroup_root);
}

Result<std::vector<StrictDevice>> describe_all(const Opened& opened, const CgroupTree& tree) {
  Result<std::vector<DeviceEntry>> entries = opened.devices.entries();
  if (!entries) return std::move(entries).error();
  std::vector<StrictDevice> devices;
  for (const DeviceEntry& entry : *entries) {
    for (const StrictLayer layer : {StrictLayer::Tc, StrictLayer::Xdp}) {
      if (entry.second.flags & flag_of(layer)) devices.push_back(describe(opened, tree, entry, layer));
    }
  }
  std::ranges::sort(devices, {}, [](const StrictDevice& one) { return std::pair(one.name, one.layer); });
  return devices;
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
  Result<Opened> opened = open_parts_in(operation, instance, KernelTables::Access::ReadWrite);
  if (!opened) return std::move(opened).error();
  Result<CgroupTree> tree = tree_of(instance, *opened->maps);
  if (!tree) return std::move(tree).error().in(operation);
  Result<StrictTarget> target = find_strict_target(*tree, request);
  if (!target) return std::move(target).error().in(operation);
  Result<DirectoryLock> lock = DirectoryLock::acquire(opened->directory);
  if (!lock) return std::move(lock).error().in(operation);
  Result<StrictReport> report = guard(*opened, *tree, *target);
  if (report) return report;
  Error error = std::move(report).error();
  error.operation = operation;
  return error;
}

Result<std::vector<StrictDevice>> strict_status(const Instance& instance) {
  constexpr const char* operation = "strict status";
  Result<Opened> opened = open_parts_in(operation, instance, KernelTables::Access::Read);
  if (!opened) return std::move(opened).error();
  Result<CgroupTree> tree = tree_of(instance, *opened->maps);
  if (!tree) return std::move(tree).error().in(operation);
  return describe_all(*opened, *tree);
}

Result<std::vector<StrictDevice>> strict_off(const Instance& instance, const std::vector<std::string>& devices) {
  constexpr const char* operation = "strict off";
  Result<Opened> opened = open_parts_in(operation, instance, KernelTables::Access::ReadWrite);
  if (!opened) return std::move(opened).error();
  Result<CgroupTree> tree = tree_of(instance, *opened->maps);
  if (!tree) return std::move(tree).error().in(operation);
  Result<DirectoryLock> lock = DirectoryLock::acquire(opened->directory);
  if (!lock) return std::move(lock).error().in(operation);
  Result<std::vector<StrictDevice>> before = describe_all(*opened, *tree);
  Result<std::vector<DeviceEntry>> entries = opened->devices.entries();
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
    if (Result<void> done = release(*opened, entry); !done) return std::move(done).error().in(operation);
  }
  std::erase_if(*before, [&](const StrictDevice& one) { return !wanted(one.name); });
  return before;
}

}  // namespace egress
