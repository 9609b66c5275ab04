// SPDX-License-Identifier: GPL-2.0
#include "egress/destination.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/address.hpp"
#include "core/decimal.hpp"
#include "core/escape.hpp"

namespace egress {
namespace {

constexpr std::string_view any = "any";
constexpr std::size_t longest_text = 128;  // the longest correct one has 73 bytes
constexpr std::string_view port_protocols = "ports go with tcp, udp, udplite, sctp, dccp, or no protocol";
constexpr std::string_view plain_number = "a decimal number without sign, blank or leading zero";

struct ProtocolName {
  std::string_view name;
  std::uint8_t number;
};
constexpr std::array<ProtocolName, 6> protocol_names{{{"tcp", protocol::tcp},
                                                      {"udp", protocol::udp},
                                                      {"icmp", protocol::icmp},
                                                      {"sctp", protocol::sctp},
                                                      {"udplite", protocol::udplite},
                                                      {"dccp", protocol::dccp}}};

std::optional<std::string_view> name_of(std::uint8_t number) {
  const auto* const found = std::find_if(protocol_names.begin(), protocol_names.end(),
                                         [number](const ProtocolName& p) { return p.number == number; });
  if (found == protocol_names.end()) return std::nullopt;
  return found->name;
}

std::string protocol_text(std::uint8_t number) {
  const auto name = name_of(number);
  return name ? std::string(*name) : std::to_string(number);
}

/// A destination cut into its parts; nothing is checked but the order of the separators.
struct Parts {
  std::string_view address;
  std::optional<std::string_view> length;
  std::optional<std::string_view> ports;
  std::optional<std::string_view> protocol;
};

/// Reads one text; `whole_` is what errors quote.
class Reader {
 public:
  explicit Reader(std::string_view whole) : whole_(whole) {}
  [[nodiscard]] Result<Destination> read() const;

 private:
  [[nodiscard]] Error fail(std::string cause, std::string_view remedy = {}) const {
    return usage_error(quote(whole_), std::move(cause), std::string(remedy));
  }
  [[nodiscard]] Error out_of_range(std::string_view what, std::string_view text, unsigned first, unsigned last) const;
  [[nodiscard]] std::optional<Error> check_characters() const;

  [[nodiscard]] Result<Parts> split() const;
  [[nodiscard]] Result<Parts> split_brackets() const;
  [[nodiscard]] Result<Parts> split_tail(Parts parts, std::string_view rest) const;

  [[nodiscard]] Result<std::optional<Prefix>> read_prefix(const Parts& parts) const;
  [[nodiscard]] Result<std::uint16_t> read_port(std::string_view text) const;
  [[nodiscard]] Result<PortRange> read_ports(std::string_view text) const;
  [[nodiscard]] Result<std::uint8_t> read_protocol(std::string_view text) const;

  std::string_view whole_;
};

Error Reader::out_of_range(std::string_view what, std::string_view text, unsigned first, unsigned last) const {
  if (text.empty()) return fail(fmt::format("the {} is missing", what), fmt::format("{} to {}", first, last));
  const std::string_view remedy = parse_decimal(text) ? std::string_view{} : plain_number;
  return fail(fmt::format("{} {} is not between {} and {}", what, quote(text), first, last), remedy);
}

std::optional<Error> Reader::check_characters() const {
  if (whole_.empty()) return fail("an empty destination", "any is written any");
  const bool printable = std::all_of(whole_.begin(), whole_.end(), [](char c) { return '!' <= c && c <= '~'; });
  if (!printable) return fail("a blank, control or non-ASCII character", "ADDR[/LEN][:PORT[-PORT]][/PROTO] or any");
  if (whole_.size() > longest_text) return fail(fmt::format("{} characters are too long", whole_.size()));
  return std::nullopt;
}

/// [LENGTH][:PORTS][/PROTOCOL], where the length has its slash. What follows the first slash is the length
/// if it starts with a digit, for `any` and for a prefix whose length stood in the brackets the protocol.
Result<Parts> Reader::split_tail(Parts parts, std::string_view rest) const {
  const bool may_have_length = !parts.length && parts.address != any;
  if (may_have_length && rest.size() > 1 && rest[0] == '/' && is_digit(rest[1])) {
    const std::size_t end = rest.find_first_of(":/", 1);
    parts.length = rest.substr(1, end == std::string_view::npos ? end : end - 1);
    rest.remove_prefix(std::min(end, rest.size()));
  }
  if (!rest.empty() && rest[0] == ':') {
    const std::size_t end = rest.find('/');
    parts.ports = rest.substr(1, end == std::string_view::npos ? end : end - 1);
    rest.remove_prefix(std::min(end, rest.size()));
  }
  if (!rest.empty() && rest[0] == '/') {
    parts.protocol = rest.substr(1);
    rest = {};
  }
  if (!rest.empty()) return fail(quote(rest) + " cannot follow the address", "a port needs :, a protocol needs /");
  return parts;
}

Result<Parts> Reader::split_brackets() const {
  const std::size_t close = whole_.find(']');
  if (close == std::string_view::npos) return fail("the closing ] is missing", "[2001:db8::1]:443");
  const std::string_view inside = whole_.substr(1, close - 1);
  const std::size_t slash = inside.find('/');
  Parts parts{.address = inside.substr(0, slash), .length = {}, .ports = {}, .protocol = {}};
  if (slash != std::string_view::npos) parts.length = inside.substr(slash + 1);
  if (parts.address.find(':') == std::string_view::npos) {
    return fail("only an IPv6 address stands in brackets", "8.8.8.8:53, any:53, [2001:db8::1]:53");
  }
  return split_tail(parts, whole_.substr(close + 1));
}

Result<Parts> Reader::split() const {
  if (whole_.front() == '[') return split_brackets();
  const std::string_view head = whole_.substr(0, whole_.find('/'));
  const bool v6 = std::count(head.begin(), head.end(), ':') > 1;
  const std::string_view address = v6 ? head : head.substr(0, head.find(':'));
  auto parts =
      split_tail({.address = address, .length = {}, .ports = {}, .protocol = {}}, whole_.substr(address.size()));
  if (parts && v6 && parts->ports) {
    return fail("an IPv6 address with a port stands in brackets", "[2001:db8::/32]:443");
  }
  return parts;
}

Result<std::optional<Prefix>> Reader::read_prefix(const Parts& parts) const {
  if (parts.address == any) return std::optional<Prefix>{};
  const std::optional<Address> address = read_address(parts.address);
  if (!address) return address_error(whole_, parts.address);
  if (!parts.length) return std::optional{canonical_prefix(*address, static_cast<std::uint8_t>(address->bits()))};
  const auto length = parse_decimal(*parts.length);
  if (!length || *length > address->bits()) return out_of_range("prefix length", *parts.length, 0, address->bits());
  return std::optional{canonical_prefix(*address, static_cast<std::uint8_t>(*length))};
}

Result<std::uint16_t> Reader::read_port(std::string_view text) const {
  const auto port = parse_decimal(text);
  if (!port || *port < 1 || *port > 65535) return out_of_range("port", text, 1, 65535);
  return static_cast<std::uint16_t>(*port);
}

Result<PortRange> Reader::read_ports(std::string_view text) const {
  const std::size_t dash = text.find('-');
  const auto first = read_port(text.substr(0, dash));
  if (!first) return first.error();
  if (dash == std::string_view::npos) return PortRange{*first, *first};
  const auto last = read_port(text.substr(dash + 1));
  if (!last) return last.error();
  if (*last < *first) {
    return fail(fmt::format("port range {} is reversed", text), fmt::format("{}-{}", *last, *first));
  }
  return PortRange{*first, *last};
}

Result<std::uint8_t> Reader::read_protocol(std::string_view text) const {
  constexpr std::string_view allowed = "tcp, udp, icmp, sctp, udplite, dccp or a number from 0 to 255";
  if (text.empty()) return fail("the protocol is missing", allowed);
  const auto* const named = std::find_if(protocol_names.begin(), protocol_names.end(),
                                         [text](const ProtocolName& p) { return p.name == text; });
  if (named != protocol_names.end()) return named->number;
  if (is_digit(text.front()) && text.find(':') == std::string_view::npos) {
    const auto number = parse_decimal(text);
    if (!number || *number > 255) return out_of_range("protocol", text, 0, 255);
    return static_cast<std::uint8_t>(*number);
  }
  if (text.find(':') != std::string_view::npos) {
    return fail("the port stands behind the protocol", "ADDR[/LEN][:PORT[-PORT]][/PROTO]");
  }
  return fail("unknown protocol " + quote(text), allowed);
}

Result<Destination> Reader::read() const {
  if (auto error = check_characters()) return *std::move(error);
  const auto parts = split();
  if (!parts) return parts.error();
  Destination out;
  const auto prefix = read_prefix(*parts);
  if (!prefix) return prefix.error();
  out.prefix = *prefix;
  if (parts->ports) {
    const auto ports = read_ports(*parts->ports);
    if (!ports) return ports.error();
    out.ports = *ports;
  }
  if (parts->protocol) {
    const auto number = read_protocol(*parts->protocol);
    if (!number) return number.error();
    out.protocol = *number;
  }
  if (out.ports && out.protocol && !protocol::has_ports(*out.protocol)) {
    return fail(fmt::format("protocol {} has no ports", protocol_text(*out.protocol)), port_protocols);
  }
  return out;
}

/// The address with the length where it must be said: always but for one host, and for one host where a
/// protocol number would be read as the length.
std::string prefix_text(const Destination& destination) {
  const Prefix& prefix = *destination.prefix;
  const bool number_follows = !destination.ports && destination.protocol && !name_of(*destination.protocol);
  return number_follows ? fmt::format("{}/{}", format(prefix.address), prefix.length) : format(prefix);
}

}  // namespace

Result<Destination> parse_destination(std::string_view text) { return Reader(text).read(); }

std::string format(const Destination& destination) {
  std::string out(any);
  if (destination.prefix) {
    const bool brackets = destination.ports && destination.prefix->address.family == Family::V6;
    const std::string text = prefix_text(destination);
    out = brackets ? "[" + text + "]" : text;
  }
  if (const auto& ports = destination.ports) {
    out += ports->first == ports->last ? fmt::format(":{}", ports->first)
                                       : fmt::format(":{}-{}", ports->first, ports->last);
  }
  if (destination.protocol) out += "/" + protocol_text(*destination.protocol);
  return out;
}

}  // namespace egress
