// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "egress/error.hpp"
#include "egress/filter.hpp"
#include "sys/hooks.hpp"
#include "sys/instance_maps.hpp"
#include "sys/link.hpp"

namespace egress {

/// A link of an instance that the kernel has, whether or not a pin of it can be seen.
struct FoundLink {
  const Hook* hook = nullptr;
  LinkInfo info;
  Link link;
};

/// A link of a strict layer to a device.
struct FoundDeviceLink {
  LinkInfo info;
  Link link;
};

/// What the kernel has of one instance, found by the ids of its objects.
struct FoundInstance {
  egress_meta meta{};
  std::vector<FoundLink> links;
  std::vector<FoundDeviceLink> device_links;
  MapFds maps;  ///< those of the contract that its programs use, and `meta`

  /// The attached cgroup link of a hook; nullptr if there is none.
  [[nodiscard]] const FoundLink* attached(const Hook& hook) const;
};

/// Every instance that has a link or a program in this kernel. Instances whose objects come or go meanwhile may be
/// missed. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<std::vector<FoundInstance>> find_instances();

/// The instance of this pin directory and root; nullopt if the kernel has none.
[[nodiscard]] Result<std::optional<FoundInstance>> find_instance(const Instance& instance);

/// The instance that a program belongs to; nullopt if it is not one of ours.
[[nodiscard]] std::optional<egress_meta> instance_of_program(std::uint32_t program_id);

/// The pin directory as `meta` holds it: absolute, without symbolic links where it exists.
[[nodiscard]] std::string canonical_pin_dir(const std::string& path);

/// Whether a map of this name belongs to the instance and is pinned.
[[nodiscard]] bool is_instance_map(std::string_view name);

/// Whether `meta` was written for this pin directory and root. Without a root in the request the pin directory
/// alone tells; so it does if the root is gone.
[[nodiscard]] bool is_meta_of(const egress_meta& meta, const Instance& instance);

/// Takes everything of the instance off: detaches its links by id, removes its pins, those under another mount
/// included. Takes no lock and reads no rule. NotFound if there is nothing.
[[nodiscard]] Result<void> unload(const Instance& instance);

}  // namespace egress
