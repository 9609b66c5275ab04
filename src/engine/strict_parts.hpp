// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "egress/error.hpp"
#include "egress/filter.hpp"
#include "egress/strict.hpp"
#include "sys/bpf_map.hpp"
#include "sys/bpffs.hpp"
#include "sys/cgroup.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/strict_attachment.hpp"

namespace egress {

/// A device that is guarded: its key, which is its network namespace and number there, and what the XDP program reads.
using DeviceEntry = std::pair<std::uint64_t, egress_device>;

/// The parts of an instance that the strict layers need.
struct StrictParts {
  PinDirectory directory;
  std::unique_ptr<KernelTables> maps;
  HashMap<std::uint64_t, egress_device> devices;
  CgroupTree tree;
};

/// NotFound, in the name of `operation`, if nothing is loaded.
[[nodiscard]] Result<StrictParts> open_strict_parts(const char* operation, const Instance& instance,
                                                    KernelTables::Access access);

/// The layer's flag in an entry.
[[nodiscard]] std::uint32_t flag_of(StrictLayer layer);
[[nodiscard]] StrictPlace place_of(std::uint64_t key, StrictLayer layer);
[[nodiscard]] std::string name_in(const egress_device& entry);

/// What the kernel says of one layer of a device; of all.
[[nodiscard]] StrictDevice describe(const StrictParts& parts, const DeviceEntry& entry, StrictLayer layer);
[[nodiscard]] Result<std::vector<StrictDevice>> describe_all(const StrictParts& parts);

/// Takes all layers off one device, and its entry away. Under the lock of the directory.
[[nodiscard]] Result<void> release(StrictParts& parts, const DeviceEntry& entry);

}  // namespace egress
