// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"
#include "egress/filter.hpp"

namespace egress {

/// The strict layers: the rules of an instance judged once more at network devices, where frames pass that no socket
/// hook sees (packet sockets, TUN, answers with SYN cookies, outer packets of tunnels).
enum class StrictLayer : std::uint8_t {
  Tc,   ///< what leaves by the device, by the cgroup of its socket
  Xdp,  ///< what the device receives, whoever made it, as packets of one cgroup
};

/// How a layer is attached.
enum class StrictMode : std::uint8_t {
  None,        ///< not any more: the device is gone, or somebody took it off
  Tcx,         ///< a link, first in line when it was made (kernel 6.6)
  Clsact,      ///< a filter of preference 1; it has no owner in the kernel
  XdpDriver,   ///< in the driver
  XdpGeneric,  ///< behind the driver: it has no XDP
};

[[nodiscard]] std::string_view format(StrictLayer layer);
[[nodiscard]] std::string_view format(StrictMode mode);

/// One device that is guarded strictly.
struct StrictDevice {
  std::string name;           ///< when it was put on
  std::uint32_t ifindex = 0;  ///< in its network namespace
  std::uint32_t netns = 0;    ///< inode of that
  StrictLayer layer = StrictLayer::Tc;
  StrictMode mode = StrictMode::None;
  bool first = true;                  ///< no program of others runs before ours on this device
  std::optional<std::string> cgroup;  ///< of StrictLayer::Xdp: whose packets these are; "id N" if the cgroup is gone
  bool strict_l2 = false;

  [[nodiscard]] bool attached() const { return mode != StrictMode::None; }
};

/// What to guard. Devices are those of the caller's network namespace.
struct StrictRequest {
  std::vector<std::string> devices;
  /// Empty: StrictLayer::Tc on the devices. A cgroup path, or the name of a unit: what the devices receive is its.
  std::string as;
  /// Instead of devices: the host side of every veth of this process' network namespace, as its cgroup. A process
  /// id, or a cgroup path, of which any process will do.
  std::string container_of;
  bool strict_l2 = false;  ///< StrictLayer::Xdp: frames that are neither IP nor ARP are dropped where a rule decides
  bool as_filter = false;  ///< StrictLayer::Tc: StrictMode::Clsact even where the kernel has links
};

struct StrictReport {
  std::vector<StrictDevice> devices;
  /// Devices of the container that no veth to here carries: what leaves by them is not judged.
  std::vector<std::string> uncovered;
};

/// Usage if the request asks for nothing, or for too much at once. Looks at nothing but the request.
[[nodiscard]] Result<void> check(const StrictRequest& request);

/// Guards devices, or renews the program on those that are guarded. All of them, or none and an error. Programs of
/// others stay: where one is in the way, the error says whose. The instance must be loaded.
/// Needs CAP_NET_ADMIN beside what loading needs.
[[nodiscard]] Result<StrictReport> strict_on(const Instance& instance, const StrictRequest& request);

/// What is guarded, as the kernel tells it.
[[nodiscard]] Result<std::vector<StrictDevice>> strict_status(const Instance& instance);

/// Takes the layers off these devices, or off all. NotFound if a named one is not guarded. Nothing is left behind.
[[nodiscard]] Result<std::vector<StrictDevice>> strict_off(const Instance& instance,
                                                           const std::vector<std::string>& devices);

}  // namespace egress
