// SPDX-License-Identifier: GPL-2.0
// Devices that are made anew: a container's restart takes its veth along, and with it the program.
#include <linux/rtnetlink.h>

#include <algorithm>
#include <map>

#include "core/decimal.hpp"
#include "egress/strict.hpp"
#include "engine/strict_parts.hpp"
#include "engine/strict_target.hpp"
#include "sys/devices.hpp"
#include "sys/netlink.hpp"
#include "sys/network_namespaces.hpp"

namespace egress {
namespace {

constexpr const char* operation = "strict on --follow";

/// A process id as the cgroup it is in: the next process of the container has another one.
Result<StrictRequest> lasting(const CgroupTree& tree, StrictRequest request) {
  const std::optional<std::uint64_t> pid = parse_decimal(request.container_of);
  if (!pid) return request;
  if (*pid > INT32_MAX) return request;  // strict_on() says that there is none
  Result<std::string> path = tree.path_of_process(static_cast<int>(*pid));
  if (!path) return std::move(path).error();
  if (*path == "/")
    return usage_error("pid " + request.container_of, "is in the root of the enforced subtree, with all the others",
                       "name the container's cgroup");
  request.container_of = *std::move(path);
  return request;
}

/// One request for each device, so that one which is missing does not keep the others from being renewed.
std::vector<StrictRequest> split(const StrictRequest& request) {
  if (request.devices.empty()) return {request};
  std::vector<StrictRequest> parts;
  for (const std::string& device : request.devices) {
    parts.push_back(request);
    parts.back().devices = {device};
  }
  return parts;
}

/// Whether the kernel says that this device is guarded as it was asked for.
bool in_force(const std::vector<StrictDevice>& guarded, const StrictDevice& wanted) {
  return std::ranges::any_of(guarded, [&](const StrictDevice& one) {
    return one.attached() && one.netns == wanted.netns && one.ifindex == wanted.ifindex && one.name == wanted.name &&
           one.layer == wanted.layer && one.cgroup == wanted.cgroup;
  });
}

Error unloaded() {
  return Error{ErrorKind::NotFound, operation, {}, "unloaded: nothing is left to follow", "egress load", 0};
}

/// For what fails while pins go: an unload that is at work ends first.
bool is_unloaded(const StrictParts& parts) {
  const Result<DirectoryLock> others_done = DirectoryLock::acquire(parts.directory);
  return !parts.directory.contains("meta");
}

}  // namespace

struct StrictFollower::State {
  struct Followed {
    StrictRequest request;
    std::map<std::uint32_t, std::string> devices;  ///< guarded by it: number, name
    std::string waiting;                           ///< what was told last
  };

  State(Instance which, Netlink listening, std::uint64_t inode)
      : instance(std::move(which)), netlink(std::move(listening)), netns(static_cast<std::uint32_t>(inode)) {}

  Instance instance;
  Netlink netlink;
  std::uint32_t netns;
  std::vector<Followed> all;
  StrictReport report;

  [[nodiscard]] std::vector<StrictDevice> wanted_of(const StrictParts& parts, const StrictTarget& target) const;
  Result<void> renew(StrictParts& parts, Followed& followed, std::vector<StrictChange>& changes);
  Result<void> forget(StrictParts& parts, std::uint32_t ifindex) const;
  Result<void> drop_former(StrictParts& parts, Followed& followed, const std::vector<StrictDevice>* wanted,
                           std::vector<StrictChange>& changes) const;
  static void wait(Followed& followed, const Error& error, std::vector<StrictChange>& changes);
};

/// As strict_status() would tell of them.
std::vector<StrictDevice> StrictFollower::State::wanted_of(const StrictParts& parts, const StrictTarget& target) const {
  std::vector<StrictDevice> wanted;
  for (const Device& device : target.devices) {
    StrictDevice one{device.name, device.ifindex, netns, StrictLayer::Tc, StrictMode::None, true, {}, target.strict_l2};
    if (!target.ids.empty()) {
      one.layer = StrictLayer::Xdp;
      one.cgroup = parts.tree.path_of(CgroupId{target.ids.back()});
    }
    wanted.push_back(one);
  }
  return wanted;
}

Result<void> StrictFollower::State::forget(StrictParts& parts, std::uint32_t ifindex) const {
  Result<DirectoryLock> lock = DirectoryLock::acquire(parts.directory);
  if (!lock) return std::move(lock).error();
  const std::uint64_t key = egress_device_key(netns, ifindex);
  Result<std::optional<egress_device>> entry = parts.devices.get(key);
  if (!entry) return std::move(entry).error();
  return entry->has_value() ? release(parts, {key, **entry}) : Result<void>{};
}

void StrictFollower::State::wait(Followed& followed, const Error& error, std::vector<StrictChange>& changes) {
  const std::string cause = error.object.empty() ? error.cause : error.object + ": " + error.cause;
  if (cause == followed.waiting) return;
  followed.waiting = cause;
  const std::vector<std::string>& devices = followed.request.devices;
  changes.push_back({StrictChange::Kind::Waiting, devices.empty() ? std::string() : devices.front(), {}, cause});
}

/// `wanted` is null where it is not known which devices are the container's: then only what is gone is dropped.
Result<void> StrictFollower::State::drop_former(StrictParts& parts, Followed& followed,
                                                const std::vector<StrictDevice>* wanted,
                                                std::vector<StrictChange>& changes) const {
  Result<std::vector<Device>> present = list_devices();
  if (!present) return std::move(present).error();
  for (auto device = followed.devices.begin(); device != followed.devices.end();) {
    const auto same = [&](const auto& one) { return one.ifindex == device->first && one.name == device->second; };
    if (std::ranges::any_of(*present, same) && (wanted == nullptr || std::ranges::any_of(*wanted, same))) {
      ++device;
      continue;
    }
    if (Result<void> done = forget(parts, device->first); !done) return done;
    changes.push_back({StrictChange::Kind::Off, device->second, {}, {}});
    device = followed.devices.erase(device);
  }
  return {};
}

Result<void> StrictFollower::State::renew(StrictParts& parts, Followed& followed, std::vector<StrictChange>& changes) {
  Result<StrictTarget> target = find_strict_target(parts.tree, followed.request);
  const std::vector<StrictDevice> wanted = target ? wanted_of(parts, *target) : std::vector<StrictDevice>();
  if (Result<void> done = drop_former(parts, followed, target ? &wanted : nullptr, changes); !done) return done;
  if (!target) {
    wait(followed, target.error(), changes);
    return {};
  }
  Result<std::vector<StrictDevice>> guarded = describe_all(parts);
  if (!guarded) return std::move(guarded).error();
  if (std::ranges::all_of(wanted, [&](const StrictDevice& one) { return in_force(*guarded, one); })) {
    followed.waiting.clear();
    return {};
  }
  Result<StrictReport> put_on = strict_on(instance, followed.request);
  if (!put_on && is_unloaded(parts)) return unloaded();
  if (!put_on) {
    wait(followed, put_on.error(), changes);
    return {};
  }
  followed.waiting.clear();
  for (const StrictDevice& device : put_on->devices) {
    followed.devices[device.ifindex] = device.name;
    if (!in_force(*guarded, device)) changes.push_back({StrictChange::Kind::On, device.name, device, {}});
  }
  return {};
}

StrictFollower::StrictFollower(std::unique_ptr<State> state) : state_(std::move(state)) {}
StrictFollower::StrictFollower(StrictFollower&&) noexcept = default;
StrictFollower& StrictFollower::operator=(StrictFollower&&) noexcept = default;
StrictFollower::~StrictFollower() = default;

Result<StrictFollower> StrictFollower::start(const Instance& instance, const StrictRequest& request) {
  if (Result<void> good = check(request); !good) return std::move(good).error().in(operation);
  // Listens first: what happens from here on is told.
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return std::move(netlink).error().in(operation);
  if (Result<void> done = netlink->listen(RTNLGRP_LINK); !done) return std::move(done).error().in(operation);
  Result<NetworkNamespace> here = own_network_namespace();
  if (!here) return std::move(here).error().in(operation);
  Result<StrictParts> parts = open_strict_parts(operation, instance, KernelTables::Access::Read);
  if (!parts) return std::move(parts).error();
  Result<StrictRequest> followed = lasting(parts->tree, request);
  if (!followed) return std::move(followed).error().in(operation);
  Result<StrictReport> report = strict_on(instance, *followed);
  if (!report) return std::move(report).error();
  auto state = std::make_unique<State>(instance, *std::move(netlink), here->inode);
  for (StrictRequest& one : split(*followed)) {
    State::Followed part{std::move(one), {}, {}};
    for (const StrictDevice& device : report->devices) {
      const std::vector<std::string>& names = part.request.devices;
      if (names.empty() || names.front() == device.name) part.devices[device.ifindex] = device.name;
    }
    state->all.push_back(std::move(part));
  }
  state->report = *std::move(report);
  return StrictFollower(std::move(state));
}

const StrictReport& StrictFollower::report() const { return state_->report; }

int StrictFollower::fd() const { return state_->netlink.fd(); }

Result<std::vector<StrictChange>> StrictFollower::renew() {
  state_->netlink.drain();
  Result<StrictParts> parts = open_strict_parts(operation, state_->instance, KernelTables::Access::ReadWrite);
  if (!parts && parts.error().kind == ErrorKind::NotFound) return unloaded();
  if (!parts) return std::move(parts).error();
  std::vector<StrictChange> changes;
  for (State::Followed& followed : state_->all) {
    if (Result<void> done = state_->renew(*parts, followed, changes); !done) {
      if (is_unloaded(*parts)) return unloaded();
      return std::move(done).error().in(operation);
    }
  }
  return changes;
}

}  // namespace egress
