// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "egress/error.hpp"
#include "egress/strict.hpp"
#include "sys/bpffs.hpp"

namespace egress {

/// A device, by the inode of its network namespace and its number there, and the layer that guards it.
struct StrictPlace {
  StrictLayer layer = StrictLayer::Tc;
  std::uint32_t netns = 0;
  std::uint32_t ifindex = 0;
};

/// Under which its link is pinned, or the program of its clsact filter.
[[nodiscard]] std::string link_pin(const StrictPlace& place);
[[nodiscard]] std::string filter_pin(const StrictPlace& place);
[[nodiscard]] std::optional<StrictPlace> place_of_pin(std::string_view name);

/// Whether the kernel is asked for a tcx link first.
enum class TcWay : std::uint8_t { Best, Clsact };

struct StrictAttached {
  bool made_qdisc = false;
};

/// Attaches a program there and pins what holds it, or gives what is attached there another program; no frame
/// passes unjudged meanwhile. The place is in the caller's network namespace. Programs of others are left alone; if
/// one is in the way, the error names it.
[[nodiscard]] Result<StrictAttached> attach_strict(const PinDirectory& directory, const StrictPlace& place,
                                                   int program_fd, TcWay way = TcWay::Best);

struct StrictState {
  StrictMode mode = StrictMode::None;
  bool first = true;
};

/// What the kernel says of the place, whatever network namespace it is in.
[[nodiscard]] StrictState strict_state(const PinDirectory& directory, const StrictPlace& place);

/// Takes it off and removes the pin. What is gone already is no error.
[[nodiscard]] Result<void> detach_strict(const PinDirectory& directory, const StrictPlace& place, bool with_qdisc);

}  // namespace egress
