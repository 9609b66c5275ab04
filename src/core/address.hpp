// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "egress/destination.hpp"

namespace egress {

/// Reads an address as it is written: IPv4-mapped IPv6 stays IPv6. nullopt for all that is not one.
[[nodiscard]] std::optional<Address> read_address(std::string_view text);

/// IPv4-mapped IPv6 becomes IPv4, which is what such packets are on the wire.
[[nodiscard]] Address unmapped(const Address& address);

/// The prefix with host bits cleared; one within ::ffff:0:0/96 becomes IPv4. Precondition: length <= bits().
[[nodiscard]] Prefix canonical_prefix(const Address& address, std::uint8_t length);

/// Why `text` is no address, told of `whole`, which it is a part of.
[[nodiscard]] Error address_error(std::string_view whole, std::string_view text);

}  // namespace egress
