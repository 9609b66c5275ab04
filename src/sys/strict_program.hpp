// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <string_view>

#include "egress/error.hpp"
#include "egress/strict.hpp"
#include "sys/fd.hpp"
#include "sys/instance_maps.hpp"

namespace egress {

/// The programs of the strict layers, by whose names the kernel's objects are known as ours.
inline constexpr std::array<std::string_view, 3> strict_programs{"egress_tc_eth", "egress_tc_ip", "egress_xdp"};

/// Which of them fits a device with this link type (ARPHRD_*). Failed for types whose frames cannot be read.
[[nodiscard]] Result<std::string_view> strict_program_for(StrictLayer layer, std::uint16_t link_type);

/// Loads one, on the maps of an instance. The settings are those of its `meta`.
[[nodiscard]] Result<Fd> load_strict_program(std::string_view program, const egress_meta& meta, const MapFds& maps);

}  // namespace egress
