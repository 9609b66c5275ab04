// SPDX-License-Identifier: GPL-2.0
#include <algorithm>
#include <cstring>

#include "core/encode.hpp"

namespace egress {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::uint8_t v4_bits = 32;
constexpr auto last_moment = static_cast<std::uint64_t>(nanoseconds::max().count());

/// The end of an entry with an end. What lies beyond the clock becomes its last moment.
BootTime end_of(const drop_config& entry) {
  constexpr std::uint64_t second = 1'000'000'000;
  const std::uint64_t created = std::min<std::uint64_t>(entry.created_at, last_moment);
  const std::uint64_t ends = created + std::min(entry.ttl * second, last_moment - created);  // 2^32 * 10^9 fits 64 bits
  return {nanoseconds{static_cast<std::int64_t>(ends)}};
}

/// Seconds from `created` to `expires`, rounded up: a rule is never over before its end.
std::uint32_t ttl_between(BootTime created, const std::optional<BootTime>& expires) {
  if (!expires) return DROP_CONFIG_NO_END;
  const nanoseconds lifetime = std::max(expires->since_boot - created.since_boot, nanoseconds{});
  const auto whole = std::chrono::ceil<seconds>(lifetime).count();
  return static_cast<std::uint32_t>(std::min<std::int64_t>(whole, DROP_CONFIG_NO_END));
}

/// What `drop_configs` cannot say; empty if it can.
std::string obstacle(const Destination& destination) {
  const auto& prefix = destination.prefix;
  if (!prefix || prefix->address.family != Family::V4 || prefix->length != v4_bits) return "not one IPv4 address";
  if (destination.ports && destination.ports->first != destination.ports->last) return "a range of ports";
  if (destination.protocol) return "a protocol";
  return {};
}

}  // namespace

DoorRule decode_door(const drop_config& entry) {
  DoorRule out;
  out.cgroup = CgroupId{entry.cgroup_id};
  Address address;
  std::memcpy(address.bytes.data(), &entry.dst_ip, sizeof(entry.dst_ip));  // network byte order on both sides
  out.destination.prefix = Prefix{address, v4_bits};
  if (entry.dst_port != 0) out.destination.ports = PortRange{entry.dst_port, entry.dst_port};
  out.created_at = {nanoseconds{static_cast<std::int64_t>(std::min<std::uint64_t>(entry.created_at, last_moment))}};
  if (entry.ttl != DROP_CONFIG_NO_END) out.expires_at = end_of(entry);
  out.canary = (entry.flags & DROP_CONFIG_CANARY) != 0;
  return out;
}

Result<drop_config> encode_door(const DoorRule& rule) {
  if (const std::string what = obstacle(rule.destination); !what.empty()) {
    return usage_error(format(rule.destination), "drop_configs cannot hold it: " + what,
                       "one IPv4 address, with or without one port");
  }
  drop_config out{};
  std::memcpy(&out.dst_ip, rule.destination.prefix->address.bytes.data(), sizeof(out.dst_ip));
  if (rule.destination.ports) out.dst_port = rule.destination.ports->first;
  out.flags = rule.canary ? DROP_CONFIG_CANARY : 0;
  out.cgroup_id = static_cast<std::uint64_t>(rule.cgroup);
  out.ttl = ttl_between(rule.created_at, rule.expires_at);
  out.created_at = static_cast<std::uint64_t>(std::max(rule.created_at.since_boot, nanoseconds{}).count());
  return out;
}

}  // namespace egress
