// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "egress/destination.hpp"
#include "egress/error.hpp"
#include "egress/rule.hpp"

/// The only border between core values and the structs of the kernel/user contract, byte order included.
namespace egress {

/// The families whose packets a destination can match: both for one without a prefix.
[[nodiscard]] std::vector<Family> families(const Destination& destination);

/// Whether rules of this destination stand in the mark chain of their prefix, too: those that name a port
/// or a protocol.
[[nodiscard]] bool has_mark(const Destination& destination);

/// Where a rule stands among `egress_rule.next` and a list among `egress_set.lists`.
[[nodiscard]] egress_chain chain_of(Family family, bool mark);
[[nodiscard]] egress_list list_of(Family family, bool mark);

/// The key in `members` under which a set has this destination. `icmp` has number 1 in keys of IPv4 and 58
/// in keys of IPv6. Precondition: `family` is one of families(destination), set < 2^24.
[[nodiscard]] egress_member_key member_key(std::uint32_t set, const Destination& destination, Family family);

/// The key of the mark chain of the destination's prefix. Same preconditions, and has_mark(destination).
[[nodiscard]] egress_member_key mark_key(std::uint32_t set, const Destination& destination, Family family);

/// The shape under which a list of the set names keys like this one.
[[nodiscard]] egress_shape shape_of(const egress_member_key& key);

/// Whether shape `a` is looked at before `b` in one list: longer prefix; at one prefix the mark chain; then
/// exact port, range, none; then a named protocol.
[[nodiscard]] bool comes_before(const egress_shape& a, const egress_shape& b);

/// Whether rule `a` stands before `b` in a chain: longer prefix; then exact port, range, none; then a named
/// protocol; then the narrower range; then the lower id.
[[nodiscard]] bool comes_before(const egress_rule& a, const egress_rule& b);

/// The deadline on the boot clock; EGRESS_FOREVER for no end. A sum beyond the clock is its last moment.
[[nodiscard]] std::uint64_t encode_expiry(BootTime created_at, Lifetime lifetime);
[[nodiscard]] std::uint64_t encode_expiry(const std::optional<BootTime>& expires_at);
[[nodiscard]] std::optional<BootTime> decode_expiry(std::uint64_t expires_at);

/// What a rule's record holds beside its RuleSpec.
struct RulePlace {
  RuleId id{};
  std::uint32_t set = 0;
  std::uint32_t born = 0;  ///< epoch
  BootTime created_at;
};

/// The record of a rule that stands in no chain yet. EGRESS_RULE_TRIAL_* are the engine's to add.
[[nodiscard]] egress_rule encode_rule(const RuleSpec& spec, const RulePlace& place);

/// The rule of a record: everything but subject, policy, reason, counts and cgroups. Failed if the record
/// cannot have been written by this library.
[[nodiscard]] Result<Rule> decode_rule(const egress_rule& record);

/// What would make this rule again; its lifetime is the whole one, from creation to end.
[[nodiscard]] RuleSpec spec_of(const Rule& rule);

/// An entry of `drop_configs`, in core values.
struct DoorRule {
  CgroupId cgroup{};
  Destination destination;  ///< one IPv4 address; with a port or not; no protocol
  BootTime created_at;
  std::optional<BootTime> expires_at;  ///< nullopt = no end; equal to created_at: over at once
  bool canary = false;

  bool operator==(const DoorRule&) const = default;
};

[[nodiscard]] DoorRule decode_door(const drop_config& entry);

/// The entry of a door rule; its ttl is rounded up to whole seconds, and beyond 32 bits it has no end.
/// Usage if the destination is not one IPv4 address, names a range of ports, or a protocol.
[[nodiscard]] Result<drop_config> encode_door(const DoorRule& rule);

}  // namespace egress
