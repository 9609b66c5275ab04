// SPDX-License-Identifier: GPL-2.0
#include "engine/strict_target.hpp"

#include <linux/if_arp.h>

#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <set>

#include "core/decimal.hpp"
#include "drop_egress_by_cgroup.h"
#include "sys/network_namespaces.hpp"
#include "sys/process_view.hpp"

namespace egress {
namespace {

Error not_found(std::string object, std::string cause, std::string remedy = {}) {
  return Error{ErrorKind::NotFound, {}, std::move(object), std::move(cause), std::move(remedy), 0};
}

/// The ids of a cgroup and of all above it, from the enforced root down.
Result<std::vector<std::uint64_t>> ids_down_to(const CgroupTree& tree, const std::string& path) {
  std::vector<std::uint64_t> ids{static_cast<std::uint64_t>(tree.id())};
  for (std::size_t end = path.find('/', 1); path.size() > 1; end = path.find('/', end + 1)) {
    const std::optional<CgroupId> id = tree.cgroup_at(path.substr(0, end));
    if (!id) return not_found("cgroup " + path, "no such cgroup", "a device is bound to a cgroup that exists");
    ids.push_back(static_cast<std::uint64_t>(*id));
    if (end == std::string::npos) break;
  }
  if (ids.size() <= EGRESS_LEVELS_MAX) return ids;
  return Error{
      ErrorKind::Failed, {}, "cgroup " + path, "deeper than " + std::to_string(EGRESS_LEVELS_MAX) + " levels", {}, 0};
}

/// A path, or the name of a unit, of which there must be one.
Result<std::string> path_of_subject(const CgroupTree& tree, const std::string& text) {
  if (text.starts_with('/')) return tree.path_from_user(text);
  const std::vector<CgroupId> named = tree.cgroups_named(text);
  if (named.empty()) return not_found("unit " + text, "no such cgroup", "a cgroup path begins with /");
  if (named.size() > 1) return usage_error("unit " + text, "several cgroups have this name", "name one by its path");
  const std::optional<std::string> path = tree.path_of(named.front());
  if (!path) return not_found("unit " + text, "no such cgroup");
  return *path;
}

struct Container {
  std::string cgroup;
  NetworkNamespace netns;
};

Result<Container> find_container(const CgroupTree& tree, const std::string& text) {
  const std::optional<std::uint64_t> given = parse_decimal(text);
  if (given && *given > INT_MAX) return not_found("pid " + text, "no such process");
  int pid = static_cast<int>(given.value_or(0));
  Result<std::string> path = given ? tree.path_of_process(pid) : path_of_subject(tree, text);
  if (!path) return std::move(path).error();
  if (!given) {
    const std::set<int> processes = processes_in(tree, *path, Subject::Scope::Subtree);
    if (processes.empty())
      return not_found("cgroup " + *path, "no process in it, so no network namespace", "start the container");
    pid = *processes.begin();
  }
  Result<NetworkNamespace> netns = network_namespace_of(pid);
  if (!netns) return std::move(netns).error();
  return Container{*std::move(path), *std::move(netns)};
}

/// Devices that lead out by themselves; tunnels and the like send through another one.
bool leads_out(const Device& device) {
  constexpr std::array<std::string_view, 7> kinds{"", "veth", "netkit", "macvlan", "macvtap", "ipvlan", "ipvtap"};
  return device.link_type != ARPHRD_LOOPBACK && std::ranges::find(kinds, device.kind) != kinds.end();
}

/// The devices here that are the other end of a veth there, and those there that have no end here.
Result<void> add_host_side(const NetworkNamespace& container, StrictTarget& target) {
  Result<NetworkNamespace> own = own_network_namespace();
  if (!own) return std::move(own).error();
  if (own->inode == container.inode)
    return usage_error({}, "the process is in this network namespace itself", "guard its devices with --dev");
  std::vector<Device> inside;
  std::optional<std::int32_t> number_of_here;
  Result<std::vector<Device>> devices = list_devices();  // gives the namespaces at the other ends their numbers
  if (!devices) return std::move(devices).error();
  Result<void> entered = enter_namespace(container.fd.get(), [&] {
    if (Result<std::vector<Device>> listed = list_devices()) inside = *std::move(listed);
    if (Result<std::optional<std::int32_t>> number = namespace_number(own->fd.get())) number_of_here = *number;
  });
  if (!entered) return entered;
  Result<std::optional<std::int32_t>> number = namespace_number(container.fd.get());
  if (!number) return std::move(number).error();
  for (Device& device : *devices) {
    if (device.kind == "veth" && *number && device.peer_namespace == *number)
      target.devices.push_back(std::move(device));
  }
  for (const Device& device : inside) {
    const bool carried = device.kind == "veth" && number_of_here && device.peer_namespace == number_of_here;
    if (!carried && leads_out(device)) target.uncovered.push_back(device.name);
  }
  if (!target.devices.empty()) return {};
  return not_found("container", "no device here is the other end of a veth of its network namespace",
                   "run this in the network namespace that has the other ends");
}

Result<void> add_devices(const StrictRequest& request, StrictTarget& target) {
  for (const std::string& name : request.devices) {
    Result<Device> device = find_device(name);
    if (!device) return std::move(device).error();
    target.devices.push_back(*std::move(device));
  }
  return {};
}

}  // namespace

Result<void> check(const StrictRequest& request) {
  if (request.devices.empty() == request.container_of.empty())
    return usage_error({}, "either --dev or --container-of is needed", "egress strict on --dev eth0");
  if (!request.container_of.empty() && !request.as.empty())
    return usage_error("--as", "--container-of says already whose packets these are");
  if (request.strict_l2 && request.as.empty() && request.container_of.empty())
    return usage_error("--strict-l2", "is for received frames", "--container-of, or --dev with --as");
  if (request.as_filter && (!request.as.empty() || !request.container_of.empty()))
    return usage_error("--as-filter", "is for what leaves by a device", "--dev without --as");
  return {};
}

Result<StrictTarget> find_strict_target(const CgroupTree& tree, const StrictRequest& request) {
  if (Result<void> good = check(request); !good) return std::move(good).error();
  StrictTarget target;
  target.strict_l2 = request.strict_l2;
  target.as_filter = request.as_filter;
  std::string path;
  if (!request.container_of.empty()) {
    Result<Container> container = find_container(tree, request.container_of);
    if (!container) return std::move(container).error();
    if (Result<void> done = add_host_side(container->netns, target); !done) return std::move(done).error();
    path = container->cgroup;
  } else {
    if (Result<void> done = add_devices(request, target); !done) return std::move(done).error();
    if (request.as.empty()) return target;
    Result<std::string> named = path_of_subject(tree, request.as);
    if (!named) return std::move(named).error();
    path = *std::move(named);
  }
  Result<std::vector<std::uint64_t>> ids = ids_down_to(tree, path);
  if (!ids) return std::move(ids).error();
  target.ids = *std::move(ids);
  return target;
}

}  // namespace egress
