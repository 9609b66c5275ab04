// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "drop_egress_by_cgroup.h"
#include "egress/destination.hpp"
#include "egress/error.hpp"
#include "egress/rule.hpp"

/// The only border between core values and the structs of the kernel/user contract, byte order included.
namespace egress {

/// The families whose packets a destination can match: both for one without a prefix.
[[nodiscard]] std::vector<Family> families(const Destination& destination);
[[nodiscard]] bool applies_to(const egress_rule& rule, Family family);

/// Where a list stands among `egress_set.lists`.
[[nodiscard]] egress_list list_of(Family family, bool mark);

/// The chains that a rule stands in: plain, and with a port or a protocol also that of the marks.
[[nodiscard]] std::span<const egress_chain> chains_of(const egress_rule& rule);

/// The key under which a rule stands in a chain.
[[nodiscard]] egress_index_key index_key(const egress_rule& rule, egress_chain chain);

/// The shape under which lists of this family name the rules of a chain that are like this one.
[[nodiscard]] egress_shape shape_of(const egress_rule& rule, Family family, egress_chain chain);

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
  std::uint32_t comes = 0;  ///< the epoch from which on it is visible; 0 = now
  BootTime created_at;
  std::uint16_t reason = 0;  ///< key of `reasons`
};

/// The record of a rule that stands in no chain yet. EGRESS_RULE_TRIAL_* are the engine's to add.
[[nodiscard]] egress_rule encode_rule(const RuleSpec& spec, const RulePlace& place);

/// Makes the record of one plain prefix that of another.
void put_prefix(egress_rule& record, const Prefix& prefix);

/// Failed if the record cannot have been written by this library.
[[nodiscard]] Result<void> check_record(const egress_rule& record);

/// The rule of a record: everything but subject, policy, reason, counts and cgroups. Fails as
/// check_record() does.
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
