// SPDX-License-Identifier: GPL-2.0
#include "cli/rails.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sys/cgroup.hpp"

namespace egress::cli {
namespace {

bool closes(Action action) { return action == Action::Drop || action == Action::Reject; }

bool is_wide(const Destination& destination) {
  if (!destination.prefix) return true;
  const unsigned least = destination.prefix->address.family == Family::V4 ? 8 : 16;
  return destination.prefix->length < least;
}

bool overlap(const Prefix& a, const Prefix& b) { return a.contains(b.address) || b.contains(a.address); }

Prefix v6_prefix(std::uint8_t first, std::uint8_t second, std::uint8_t length) {
  Prefix prefix;
  prefix.address.family = Family::V6;
  prefix.address.bytes[0] = first;
  prefix.address.bytes[1] = second;
  prefix.length = length;
  return prefix;
}

/// Whether neighbour discovery goes there.
bool is_link_local(const Prefix& prefix) {
  static const Prefix multicast = v6_prefix(0xFF, 0x02, 16);
  static const Prefix unicast = v6_prefix(0xFE, 0x80, 10);
  return prefix.address.family == Family::V6 && (overlap(prefix, multicast) || overlap(prefix, unicast));
}

}  // namespace

bool is_root(const Subject& subject, std::optional<CgroupId> root) {
  if (subject.kind == Subject::Kind::Path) return subject.name == "/";
  return subject.kind == Subject::Kind::Id && root &&
         subject.name == fmt::format("{}", static_cast<std::uint64_t>(*root));
}

std::vector<RuleSpec> noteworthy(const Addition& addition) {
  std::vector<RuleSpec> noted = addition.rules;
  const auto note = [&](const Destination& destination) {
    noted.push_back(addition.of_list);
    noted.back().destination = destination;
  };
  for (const Destination& destination : addition.list) {
    if (is_wide(destination) || is_link_local(*destination.prefix)) note(destination);
  }
  if (addition.of_list.no_packet_sockets && !addition.list.empty()) note(addition.list.front());
  return noted;
}

std::optional<Error> rail(const Subject& subject, bool on_root, std::span<const RuleSpec> rules) {
  if (!on_root) return std::nullopt;
  if (std::ranges::any_of(rules, &RuleSpec::no_packet_sockets)) {
    return Error{.kind = ErrorKind::Refused,
                 .operation = {},
                 .object = fmt::format("--no-packet-sockets for {}", format(subject)),
                 .cause = "would keep every process of the enforced subtree from them, DHCP clients for example",
                 .remedy = "name a cgroup, or add --yes-really",
                 .code = 0};
  }
  const auto wide = std::ranges::find_if(
      rules, [](const RuleSpec& rule) { return closes(rule.action) && is_wide(rule.destination); });
  if (wide == rules.end()) return std::nullopt;
  return Error{.kind = ErrorKind::Refused,
               .operation = {},
               .object = fmt::format("{} {} to {}", format(wide->action), format(subject), format(wide->destination)),
               .cause = "would cut off the root of the enforced subtree, every process of it",
               .remedy = "name a cgroup or a narrower destination, or add --yes-really",
               .code = 0};
}

std::vector<std::string> neighbour_warnings(std::span<const RuleSpec> rules) {
  std::vector<std::string> warnings;
  for (const RuleSpec& rule : rules) {
    const auto& prefix = rule.destination.prefix;
    if (!closes(rule.action) || !prefix || !is_link_local(*prefix)) continue;
    const std::string_view effect =
        rule.include_nd
            ? "--include-nd cuts neighbour discovery: all IPv6 of network namespaces made by this cgroup may stop"
            : "neighbour discovery and MLD still pass, other link-local traffic does not";
    warnings.push_back(fmt::format("{}: reaches into ff02::/16 or fe80::/10; {}", format(rule.destination), effect));
  }
  return warnings;
}

std::optional<CgroupId> root_of(const Instance& instance) {
  const auto tree = CgroupTree::open(instance.cgroup_root);
  return tree ? std::optional{tree->id()} : std::nullopt;
}

}  // namespace egress::cli
