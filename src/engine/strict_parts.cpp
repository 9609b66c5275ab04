// SPDX-License-Identifier: GPL-2.0
#include "engine/strict_parts.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace egress {
namespace {

Result<StrictParts> open_parts(const Instance& instance, KernelTables::Access access) {
  Result<PinDirectory> directory = PinDirectory::open(instance.pin_dir);
  if (!directory) return std::move(directory).error();
  Result<std::unique_ptr<KernelTables>> maps = KernelTables::open(*directory, access);
  if (!maps) return std::move(maps).error();
  Result<Fd> fd = duplicate((*maps)->fd_of("devices"));
  if (!fd) return std::move(fd).error();
  auto devices = HashMap<std::uint64_t, egress_device>::adopt(std::move(*fd));
  if (!devices) return std::move(devices).error();
  const std::string& given = instance.cgroup_root;
  Result<CgroupTree> tree = CgroupTree::open(given.empty() ? std::string((*maps)->meta().root_path) : given);
  if (!tree) return std::move(tree).error();
  return StrictParts{*std::move(directory), *std::move(maps), *std::move(devices), *std::move(tree)};
}

std::string cgroup_text(const CgroupTree& tree, std::uint64_t id) {
  const std::optional<std::string> path = tree.path_of(CgroupId{id});
  return path ? *path : "id " + std::to_string(id);
}

}  // namespace

Result<StrictParts> open_strict_parts(const char* operation, const Instance& instance, KernelTables::Access access) {
  Result<StrictParts> parts = open_parts(instance, access);
  if (parts) return parts;
  Error error = std::move(parts).error();
  if (error.kind == ErrorKind::NotFound && error.remedy.empty()) error.remedy = "egress load";
  error.operation = operation;
  return error;
}

std::uint32_t flag_of(StrictLayer layer) { return layer == StrictLayer::Tc ? EGRESS_DEVICE_TC : EGRESS_DEVICE_XDP; }

StrictPlace place_of(std::uint64_t key, StrictLayer layer) {
  return {layer, static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key)};
}

std::string name_in(const egress_device& entry) { return {entry.name, strnlen(entry.name, sizeof(entry.name))}; }

StrictDevice describe(const StrictParts& parts, const DeviceEntry& entry, StrictLayer layer) {
  const StrictPlace place = place_of(entry.first, layer);
  const StrictState state = strict_state(parts.directory, place);
  StrictDevice device{name_in(entry.second), place.ifindex, place.netns, layer, state.mode, state.first, {}, false};
  if (layer == StrictLayer::Xdp) {
    device.cgroup = cgroup_text(parts.tree, entry.second.cgroup_id);
    device.strict_l2 = (entry.second.flags & EGRESS_DEVICE_STRICT_L2) != 0;
  }
  return device;
}

Result<std::vector<StrictDevice>> describe_all(const StrictParts& parts) {
  Result<std::vector<DeviceEntry>> entries = parts.devices.entries();
  if (!entries) return std::move(entries).error();
  std::vector<StrictDevice> devices;
  for (const DeviceEntry& entry : *entries) {
    for (const StrictLayer layer : {StrictLayer::Tc, StrictLayer::Xdp}) {
      if (entry.second.flags & flag_of(layer)) devices.push_back(describe(parts, entry, layer));
    }
  }
  std::ranges::sort(devices, {}, [](const StrictDevice& one) { return std::pair(one.name, one.layer); });
  return devices;
}

Result<void> release(StrictParts& parts, const DeviceEntry& entry) {
  for (const StrictLayer layer : {StrictLayer::Tc, StrictLayer::Xdp}) {
    if (!(entry.second.flags & flag_of(layer))) continue;
    const bool qdisc = (entry.second.flags & EGRESS_DEVICE_OUR_QDISC) != 0;
    if (Result<void> done = detach_strict(parts.directory, place_of(entry.first, layer), qdisc); !done) return done;
  }
  return parts.devices.erase(entry.first);
}

}  // namespace egress
