// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "drop_egress_by_cgroup.h"
#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress {

/// Maps that only the datapath reads, pinned so that an upgrade keeps what they hold. The maps of the
/// contract are in map_layouts().
inline constexpr std::array<std::string_view, 2> private_maps{"cache", "sweeper"};

/// Open maps by name.
using MapFds = std::map<std::string, Fd>;

/// For how many rules an instance is made.
struct Room {
  std::uint32_t rules = EGRESS_DEFAULT_MAX_RULES;
  std::uint32_t map_rules = EGRESS_DEFAULT_MAX_MAP_RULES;  ///< of other tools, in the template's maps
};

/// Entries that a map of the contract has; nullopt = as the object says.
[[nodiscard]] std::optional<std::uint32_t> entries_for(std::string_view map, const Room& room);

/// Places of the plain part of `heads` minus one.
[[nodiscard]] std::uint32_t heads_mask(std::uint32_t max_rules);

/// Words of `sieve` minus one.
[[nodiscard]] std::uint32_t sieve_mask(std::uint32_t max_rules);

/// The log of the words of a unit of `covers`.
[[nodiscard]] std::uint32_t cover_unit_log(std::uint32_t max_rules);

/// A descriptor of a map by its kernel id. NotFound if there is none (any more). Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<Fd> open_map_id(std::uint32_t id);

/// Bytes of kernel memory that a map takes, as its fdinfo has it; 0 if that does not say.
[[nodiscard]] std::uint64_t map_memory(int map_fd);

/// Reads `meta`. Failed if it was not made by egress.
[[nodiscard]] Result<egress_meta> read_meta(int map_fd);

/// A copy of `control`, for looking at.
[[nodiscard]] Result<egress_control> read_control(int map_fd);

/// Writes the one entry of an array.
[[nodiscard]] Result<void> write_meta_and_freeze(int map_fd, const egress_meta& meta);
[[nodiscard]] Result<void> write_control(int map_fd, const egress_control& control);

}  // namespace egress
