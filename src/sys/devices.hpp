// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "egress/error.hpp"

namespace egress {

/// A network device of the caller's network namespace.
struct Device {
  std::uint32_t ifindex = 0;
  std::string name;
  std::uint16_t link_type = 0;  ///< ARPHRD_*
  std::string kind;             ///< "veth"; empty for hardware
  /// Of a veth whose other end is in another network namespace: that namespace's number here.
  std::optional<std::int32_t> peer_namespace;
};

/// Every device of the caller's network namespace.
[[nodiscard]] Result<std::vector<Device>> list_devices();

/// NotFound, with names that exist, if there is none of this name.
[[nodiscard]] Result<Device> find_device(const std::string& name);

/// The number by which the caller's network namespace knows another one; nullopt if it has none.
[[nodiscard]] Result<std::optional<std::int32_t>> namespace_number(int netns_fd);

}  // namespace egress
