// SPDX-License-Identifier: GPL-2.0
#include "core/encode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "core/address.hpp"

namespace egress {
namespace {

using std::chrono::nanoseconds;

constexpr unsigned port_kinds = EGRESS_KIND_EXACT | EGRESS_KIND_RANGE;

std::uint8_t prefix_length(const Destination& destination) {
  return destination.prefix ? destination.prefix->length : std::uint8_t{0};
}

/// Both sides are in network byte order: the bytes stand in memory as they do on the wire.
template <std::size_t Words>
void copy_address(std::uint32_t (&to)[Words], const Address& from) {
  static_assert(sizeof(to) == sizeof(from.bytes));
  std::memcpy(to, from.bytes.data(), sizeof(to));
}

Address address_from(Family family, const void* bytes) {
  Address out;
  out.family = family;
  std::memcpy(out.bytes.data(), bytes, family == Family::V4 ? 4 : 16);
  return out;
}

/// The higher, the more a port says: exact, range, none.
int port_rank(unsigned kind) {
  if (kind & EGRESS_KIND_EXACT) return 2;
  return kind & EGRESS_KIND_RANGE ? 1 : 0;
}

unsigned port_kind(const egress_rule& rule) {
  if (rule.port_first == 0) return 0;
  return rule.port_first == rule.port_last ? EGRESS_KIND_EXACT : EGRESS_KIND_RANGE;
}

int port_rank(const egress_rule& rule) { return port_rank(port_kind(rule)); }

bool names_protocol(const egress_rule& rule) { return (rule.flags & EGRESS_RULE_PROTO) != 0; }

std::uint8_t family_flags(const Destination& destination) {
  if (!destination.prefix) return EGRESS_RULE_V4 | EGRESS_RULE_V6;
  return destination.prefix->address.family == Family::V4 ? EGRESS_RULE_V4 : EGRESS_RULE_V6;
}

std::uint8_t rule_flags(const RuleSpec& spec) {
  unsigned flags = family_flags(spec.destination);
  if (spec.destination.protocol) flags |= EGRESS_RULE_PROTO;
  if (spec.include_nd) flags |= EGRESS_RULE_INCLUDE_ND;
  if (spec.is_default || spec.is_loopback) flags |= EGRESS_RULE_ISOLATE;
  if (spec.no_packet_sockets) flags |= EGRESS_RULE_NO_PACKET_SOCKETS;
  return static_cast<std::uint8_t>(flags);
}

std::uint64_t clock_value(nanoseconds time) {
  return static_cast<std::uint64_t>(std::max(time, nanoseconds{}).count());
}

/// Moments beyond the 292 years that nanoseconds can count become the last of them.
BootTime boot_time(std::uint64_t value) {
  const auto last = static_cast<std::uint64_t>(nanoseconds::max().count());
  return {nanoseconds{static_cast<std::int64_t>(std::min(value, last))}};
}

/// Lifetimes are whole seconds, nearly all: then the end tells the moment that the unit has cut.
BootTime decode_creation(std::uint32_t created, const std::optional<BootTime>& expires_at) {
  constexpr nanoseconds unit(EGRESS_CREATED_UNIT);
  const nanoseconds first = created * unit;
  if (!expires_at) return {first};
  const nanoseconds cut = (expires_at->since_boot - first) % std::chrono::seconds(1);
  return {cut >= nanoseconds{} && cut < unit ? first + cut : first};
}

/// What is wrong with a record; empty if nothing is.
std::string damage(const egress_rule& record) {
  const unsigned family = record.flags & (EGRESS_RULE_V4 | EGRESS_RULE_V6);
  const unsigned longest = family == EGRESS_RULE_V4 ? 32 : family == EGRESS_RULE_V6 ? 128 : 0;
  if (record.id == 0) return "no id";
  if (record.action < EGRESS_ACTION_DROP || record.action > EGRESS_ACTION_ALLOW) {
    return fmt::format("action {}", record.action);
  }
  if (family == 0) return "no address family";
  if (record.plen > longest) return fmt::format("prefix length {}", record.plen);
  if (record.port_last < record.port_first || (record.port_first == 0) != (record.port_last == 0)) {
    return fmt::format("ports {}-{}", record.port_first, record.port_last);
  }
  return {};
}

std::optional<Prefix> prefix_of(const egress_rule& record) {
  const unsigned family = record.flags & (EGRESS_RULE_V4 | EGRESS_RULE_V6);
  if (family == (EGRESS_RULE_V4 | EGRESS_RULE_V6)) return std::nullopt;
  return canonical_prefix(address_from(family == EGRESS_RULE_V4 ? Family::V4 : Family::V6, record.addr), record.plen);
}

}  // namespace

std::vector<Family> families(const Destination& destination) {
  if (destination.prefix) return {destination.prefix->address.family};
  return {Family::V4, Family::V6};
}

bool applies_to(const egress_rule& rule, Family family) {
  return (rule.flags & (family == Family::V4 ? EGRESS_RULE_V4 : EGRESS_RULE_V6)) != 0;
}

egress_list list_of(Family family, bool mark) {
  if (family == Family::V4) return mark ? EGRESS_LIST_V4_MARK : EGRESS_LIST_V4;
  return mark ? EGRESS_LIST_V6_MARK : EGRESS_LIST_V6;
}

std::span<const egress_chain> chains_of(const egress_rule& rule) {
  static constexpr std::array chains{EGRESS_CHAIN_PLAIN, EGRESS_CHAIN_MARK};
  return std::span(chains).first(rule.port_first != 0 || names_protocol(rule) ? 2 : 1);
}

egress_index_key index_key(const egress_rule& rule, egress_chain chain) {
  egress_index_key key{};
  key.set = rule.set;
  key.plen = rule.plen;
  std::copy(std::begin(rule.addr), std::end(rule.addr), key.addr);
  if (chain == EGRESS_CHAIN_MARK) return key;
  if (port_kind(rule) == EGRESS_KIND_EXACT) key.port = rule.port_first;
  if (names_protocol(rule)) key.proto = rule.proto == protocol::icmpv6 ? protocol::icmp : rule.proto;
  return key;
}

egress_shape shape_of(const egress_rule& rule, Family family, egress_chain chain) {
  unsigned kind = family == Family::V6 ? EGRESS_KIND_V6 : 0u;
  if (chain == EGRESS_CHAIN_MARK) {
    kind |= EGRESS_KIND_MARK;
  } else {
    kind |= port_kind(rule) | (names_protocol(rule) ? EGRESS_KIND_PROTO : 0u);
  }
  return {.kind = static_cast<std::uint8_t>(kind), .plen = rule.plen, .zero = 0, .rule = 0};
}

bool comes_before(const egress_shape& a, const egress_shape& b) {
  const auto rank = [](const egress_shape& shape) {
    return std::tuple{static_cast<int>(shape.plen), (shape.kind & EGRESS_KIND_MARK) != 0,
                      port_rank(shape.kind & port_kinds), (shape.kind & EGRESS_KIND_PROTO) != 0};
  };
  return rank(a) > rank(b);
}

bool comes_before(const egress_rule& a, const egress_rule& b) {
  const auto rank = [](const egress_rule& rule) {
    return std::tuple{-rule.plen, -port_rank(rule), (rule.flags & EGRESS_RULE_PROTO) == 0,
                      rule.port_last - rule.port_first, rule.id};
  };
  return rank(a) < rank(b);
}

std::uint64_t encode_expiry(BootTime created_at, Lifetime lifetime) {
  if (!lifetime) return EGRESS_FOREVER;
  // Each term is below 2^63, so the sum is neither beyond 64 bits nor EGRESS_FOREVER.
  return clock_value(created_at.since_boot) + clock_value(*lifetime);
}

std::uint64_t encode_expiry(const std::optional<BootTime>& expires_at) {
  return expires_at ? clock_value(expires_at->since_boot) : EGRESS_FOREVER;
}

std::optional<BootTime> decode_expiry(std::uint64_t expires_at) {
  if (expires_at == EGRESS_FOREVER) return std::nullopt;
  return boot_time(expires_at);
}

egress_rule encode_rule(const RuleSpec& spec, const RulePlace& place) {
  egress_rule out{};
  out.id = static_cast<std::uint32_t>(place.id);
  out.set = static_cast<std::uint16_t>(place.set);
  out.reason = place.reason;
  out.action = static_cast<std::uint8_t>(spec.action);
  out.flags = rule_flags(spec);
  out.proto = spec.destination.protocol.value_or(0);
  out.plen = prefix_length(spec.destination);
  if (const auto& ports = spec.destination.ports) {
    out.port_first = ports->first;
    out.port_last = ports->last;
  }
  out.turn = place.comes & ~EGRESS_TURN_GOES;
  out.created = static_cast<std::uint32_t>(clock_value(place.created_at.since_boot) / EGRESS_CREATED_UNIT);
  out.expires_at = encode_expiry(place.created_at, spec.lifetime);
  if (spec.destination.prefix) copy_address(out.addr, spec.destination.prefix->address);
  return out;
}

void put_prefix(egress_rule& record, const Prefix& prefix) {
  constexpr unsigned families = EGRESS_RULE_V4 | EGRESS_RULE_V6;
  const unsigned family = prefix.address.family == Family::V4 ? EGRESS_RULE_V4 : EGRESS_RULE_V6;
  record.flags = static_cast<std::uint8_t>((record.flags & ~families) | family);
  record.plen = prefix.length;
  copy_address(record.addr, prefix.address);
}

Result<void> check_record(const egress_rule& record) {
  const std::string what = damage(record);
  if (what.empty()) return {};
  return Error{.kind = ErrorKind::Failed,
               .operation = {},
               .object = fmt::format("rule {}", record.id),
               .cause = "its record in the kernel is damaged: " + what,
               .remedy = {},
               .code = 0};
}

Result<Rule> decode_rule(const egress_rule& record) {
  if (auto good = check_record(record); !good) return std::move(good).error();
  Rule out;
  out.id = RuleId{record.id};
  out.action = static_cast<Action>(record.action);
  out.destination.prefix = prefix_of(record);
  if (record.port_first != 0) out.destination.ports = PortRange{record.port_first, record.port_last};
  if (record.flags & EGRESS_RULE_PROTO) out.destination.protocol = record.proto;
  out.expires_at = decode_expiry(record.expires_at);
  out.created_at = decode_creation(record.created, out.expires_at);
  out.include_nd = (record.flags & EGRESS_RULE_INCLUDE_ND) != 0;
  const bool of_isolate = (record.flags & EGRESS_RULE_ISOLATE) != 0;
  out.is_default = of_isolate && out.action != Action::Allow;
  out.is_loopback = of_isolate && out.action == Action::Allow;
  out.no_packet_sockets = (record.flags & EGRESS_RULE_NO_PACKET_SOCKETS) != 0;
  return out;
}

RuleSpec spec_of(const Rule& rule) {
  RuleSpec out{.action = rule.action,
               .destination = rule.destination,
               .lifetime = std::nullopt,
               .reason = rule.reason,
               .include_nd = rule.include_nd,
               .is_default = rule.is_default,
               .is_loopback = rule.is_loopback,
               .no_packet_sockets = rule.no_packet_sockets};
  if (rule.expires_at) out.lifetime = rule.expires_at->since_boot - rule.created_at.since_boot;
  return out;
}

}  // namespace egress
