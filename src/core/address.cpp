// SPDX-License-Identifier: GPL-2.0
#include "core/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/decimal.hpp"
#include "core/escape.hpp"

namespace egress {
namespace {

constexpr std::uint8_t mapped_bits = 96;  // RFC 4291, 2.5.5.2: ::ffff:0:0/96

bool is_mapped(const Address& address) {
  static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return address.family == Family::V6 && std::equal(mapped.begin(), mapped.end(), address.bytes.begin());
}

Address masked(Address address, unsigned length) {
  for (unsigned i = 0; i < address.bytes.size(); ++i) {
    const unsigned kept = std::clamp(length, 8 * i, 8 * i + 8) - 8 * i;
    address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] & (0xFF00u >> kept));
  }
  return address;
}

/// The longest run of zero groups, the first of equals; runs of one do not count (RFC 5952, 4.2).
struct Run {
  std::size_t first = 0;
  std::size_t length = 0;
};

Run longest_zero_run(const std::array<unsigned, 8>& groups) {
  Run longest;
  Run current;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    current = groups[i] == 0 ? Run{i + 1 - (current.length + 1), current.length + 1} : Run{};
    if (current.length > longest.length) longest = current;
  }
  return longest.length > 1 ? longest : Run{};
}

std::string format_v6(const std::array<std::uint8_t, 16>& bytes) {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = bytes[2 * i] * 256u + bytes[2 * i + 1];
  const Run zeros = longest_zero_run(groups);
  std::string out;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (zeros.length > 0 && i == zeros.first) {
      out += "::";
      i += zeros.length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    out += fmt::format("{:x}", groups[i]);
  }
  return out;
}

bool looks_like_v4(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
}

}  // namespace

std::optional<Address> read_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer.begin());
  Address address;
  const bool v6 = text.find(':') != std::string_view::npos;
  address.family = v6 ? Family::V6 : Family::V4;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, buffer.data(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

Prefix canonical_prefix(const Address& address, std::uint8_t length) {
  if (is_mapped(address) && length >= mapped_bits) {
    return canonical_prefix(unmapped(address), static_cast<std::uint8_t>(length - mapped_bits));
  }
  return {masked(address, length), length};
}

Error address_error(std::string_view whole, std::string_view text) {
  const auto fail = [&](std::string cause, std::string remedy) {
    return usage_error(quote(whole), std::move(cause), std::move(remedy));
  };
  if (text.empty()) return fail("the address is missing", "give an IPv4 or IPv6 address, or any");
  if (text.find('%') != std::string_view::npos) {
    return fail("an address with a scope id cannot be matched", "leave out % and what follows");
  }
  if (looks_like_v4(text)) {
    return fail(quote(text) + " is not an IPv4 address", "four decimal numbers from 0 to 255 without leading zeros");
  }
  if (text.find(':') != std::string_view::npos) {
    return fail(quote(text) + " is not an IPv6 address", "with a port it stands in brackets: [2001:db8::1]:443");
  }
  return fail(quote(text) + " is not an IP address", "names are not looked up: give an IPv4 or IPv6 address, or any");
}

Address unmapped(const Address& address) {
  if (!is_mapped(address)) return address;
  Address out;
  std::copy(address.bytes.begin() + 12, address.bytes.end(), out.bytes.begin());
  return out;
}

bool Prefix::contains(const Address& other) const {
  return other.family == address.family && masked(other, length) == masked(address, length);
}

Result<Address> parse_address(std::string_view text) {
  const std::optional<Address> address = read_address(text);
  if (!address) return address_error(text, text);
  return unmapped(*address);
}

std::string format(const Address& address) {
  const auto& b = address.bytes;
  if (address.family == Family::V4) return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);
  return format_v6(b);
}

std::string format(const Prefix& prefix) {
  const std::string address = format(prefix.address);
  return prefix.length == prefix.address.bits() ? address : fmt::format("{}/{}", address, prefix.length);
}

}  // namespace egress
