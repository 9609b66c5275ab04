// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "egress/error.hpp"

namespace egress {

enum class Family : std::uint8_t { V4, V6 };

/// An IP address. `bytes` is in network byte order; an IPv4 address fills the first four and the
/// rest are zero.
struct Address {
  Family family = Family::V4;
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const Address&) const = default;

  /// 32 or 128.
  [[nodiscard]] unsigned bits() const { return family == Family::V4 ? 32 : 128; }
};

/// An address and a prefix length in bits. Host bits are zero in every Prefix that this library makes.
struct Prefix {
  Address address;
  std::uint8_t length = 0;

  auto operator<=>(const Prefix&) const = default;
  [[nodiscard]] bool contains(const Address& other) const;
};

/// Ports `first` to `last`, both included, host byte order, 1 to 65535.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  auto operator<=>(const PortRange&) const = default;
  [[nodiscard]] bool contains(std::uint16_t port) const { return first <= port && port <= last; }
};

/// IP protocol numbers that have names in destinations (IANA protocol numbers).
namespace protocol {
inline constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, dccp = 33, icmpv6 = 58, sctp = 132, udplite = 136;
/// Whether packets of this protocol carry a destination port that rules can match.
[[nodiscard]] constexpr bool has_ports(std::uint8_t number) {
  return number == tcp || number == udp || number == udplite || number == sctp || number == dccp;
}
}  // namespace protocol

/// Where a packet goes: `ADDR[/LEN][:PORT[-PORT]][/PROTO]` or `any[:PORT[-PORT]][/PROTO]`.
///
/// Without `prefix` every address of both families. `protocol` is the IP protocol number;
/// protocol::icmp means ICMP for IPv4 and ICMPv6 for IPv6 alike and is how `icmp` is stored.
/// A destination with ports and without protocol means TCP, UDP, UDP-Lite, SCTP and DCCP.
struct Destination {
  std::optional<Prefix> prefix;
  std::optional<PortRange> ports;
  std::optional<std::uint8_t> protocol;

  auto operator<=>(const Destination&) const = default;
};

/// Reads one destination. Host bits are cleared, IPv4-mapped IPv6 becomes IPv4.
/// An IPv6 address stands in brackets when a port follows: `[2001:db8::1]:443`, `[2001:db8::/32]:443`.
/// Errors (Usage) name the offending part and what is allowed.
[[nodiscard]] Result<Destination> parse_destination(std::string_view text);

/// The canonical text of a destination; parse_destination(format(d)) == d.
[[nodiscard]] std::string format(const Destination& destination);
[[nodiscard]] std::string format(const Address& address);
[[nodiscard]] std::string format(const Prefix& prefix);

/// Reads a plain IPv4 or IPv6 address; IPv4-mapped IPv6 becomes IPv4.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

}  // namespace egress
