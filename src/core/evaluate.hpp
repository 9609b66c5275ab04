// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "egress/destination.hpp"
#include "egress/rule.hpp"

namespace egress {

/// What the datapath reads from one packet: the question that rules answer.
struct Flow {
  Address destination;
  std::uint8_t protocol = 0;
  bool protocol_known = true;         ///< false: header chain longer than the bound
  std::optional<std::uint16_t> port;  ///< host byte order; none = the protocol has none, or unknown
  bool ports_known = true;            ///< false: not the first fragment, or truncated
  bool neighbour_discovery = false;   ///< ICMPv6 130-137 or 143: ND, MLD
  bool malformed = false;             ///< headers cannot be read: dropped where any rule decides
  bool source_routed = false;         ///< LSRR, SSRR or a routing header: dropped where any rule decides

  bool operator==(const Flow&) const = default;
};

/// Reads an IP packet (from its IP header on) as the datapath does: the reference parser.
[[nodiscard]] Flow parse_packet(std::span<const std::byte> packet);

/// The rules of one policy for one subject, of one cgroup on the way from the packet's to the root.
struct JudgedSet {
  std::vector<Rule> rules;
};

struct Judgement {
  enum class Verdict : std::uint8_t { Pass, Drop, Reject };
  Verdict verdict = Verdict::Pass;
  std::optional<RuleId> rule;  ///< none: passed without a match, or dropped for what the packet is
  Rule::Origin origin = Rule::Origin::Command;
  std::vector<RuleId> audits;      ///< matching audit rules, in the order met
  std::optional<std::size_t> set;  ///< index of the set that dropped

  bool operator==(const Judgement&) const = default;
};

/// Judges a flow by the sets that apply to it, in the given order (the packet's cgroup first). The plain
/// restatement of contract section 3: within a set the most specific live rule decides (prefix length,
/// then exact port, range, any; then named protocol; then the narrower range; then the lower id), audit
/// rules only count, and the first set that says drop or reject is final.
[[nodiscard]] Judgement evaluate(std::span<const JudgedSet> sets, const Flow& flow, BootTime now);

}  // namespace egress
