// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <memory>
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

/// What a StrictFollower did or waits for.
struct StrictChange {
  enum class Kind : std::uint8_t {
    On,       ///< guarded (again): the device or the cgroup is new, or somebody took the layer off
    Off,      ///< no longer guarded: the device is gone, or is not the container's any more
    Waiting,  ///< not guarded: `cause` says what is missing or in the way
  };
  Kind kind = Kind::On;
  std::string device;                 ///< of Waiting: empty, or the device that is missing
  std::optional<StrictDevice> state;  ///< of On
  std::string cause;                  ///< of Waiting
};

/// Keeps a request in force while devices, containers and cgroups are made anew. It has no thread: its owner calls
/// renew() when fd() is readable, and four times a second besides, because nothing tells of a cgroup that is made anew
/// or of a layer that was taken off. Frames that a new device receives before that are not judged.
/// Destroying it leaves the layers in place.
class StrictFollower {
 public:
  /// Puts the layers on as strict_on() does, with its errors. A process id is followed as the cgroup it is in now;
  /// Usage if that is the root of the enforced subtree.
  [[nodiscard]] static Result<StrictFollower> start(const Instance& instance, const StrictRequest& request);
  StrictFollower(StrictFollower&&) noexcept;
  StrictFollower& operator=(StrictFollower&&) noexcept;
  ~StrictFollower();

  /// What start() put on.
  [[nodiscard]] const StrictReport& report() const;
  /// Readable when a device of the network namespace came, went or changed.
  [[nodiscard]] int fd() const;
  /// Guards what is new, forgets what is gone. What it waits for is told once. In the network namespace of start().
  /// NotFound if the instance was unloaded.
  [[nodiscard]] Result<std::vector<StrictChange>> renew();

 private:
  struct State;
  explicit StrictFollower(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace egress
