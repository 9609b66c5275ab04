// SPDX-License-Identifier: GPL-2.0
#include "support/model_datapath.hpp"

#include <arpa/inet.h>

#include <bit>
#include <cstring>
#include <optional>

#include "core/encode.hpp"
#include "engine/index.hpp"
#include "engine/names.hpp"
#include "engine/records.hpp"

namespace egress::test {

namespace {

struct Walk {
  Tables& tables;
  const Flow& flow;
  std::uint32_t epoch;
  std::uint64_t now;

  [[nodiscard]] bool is_v6() const { return flow.destination.family == Family::V6; }
  [[nodiscard]] bool has_port() const { return flow.port.has_value(); }
};

bool fits(const Walk& walk, const egress_rule& rule, bool mark) {
  const Flow& flow = walk.flow;
  const bool allow = rule.action == EGRESS_ACTION_ALLOW;
  if (flow.neighbour_discovery && (rule.flags & EGRESS_RULE_INCLUDE_ND) == 0) return false;
  if (mark && flow.protocol_known && rule.port_first == 0) return false;  // met in its own shape
  if ((rule.flags & EGRESS_RULE_PROTO) != 0) {
    const std::uint8_t proto = walk.is_v6() && rule.proto == protocol::icmp ? protocol::icmpv6 : rule.proto;
    if (!flow.protocol_known && allow) return false;
    if (flow.protocol_known && proto != flow.protocol) return false;
  }
  if (rule.port_first == 0) return true;
  if (walk.has_port()) return rule.port_first <= *flow.port && *flow.port <= rule.port_last;
  return !flow.ports_known && !allow;
}

egress_index_key key_of(const Walk& walk, std::uint32_t set, const egress_shape& shape) {
  egress_index_key key{};
  key.set = set;
  key.port = (shape.kind & EGRESS_KIND_EXACT) != 0 ? *walk.flow.port : std::uint16_t{0};
  key.plen = shape.plen;
  if ((shape.kind & EGRESS_KIND_PROTO) != 0) {
    key.proto = walk.flow.protocol == protocol::icmpv6 ? protocol::icmp : walk.flow.protocol;
  }
  auto bytes = walk.flow.destination.bytes;
  for (unsigned bit = shape.plen; bit < 128; ++bit) bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> bit % 8));
  std::memcpy(key.addr, bytes.data(), sizeof key.addr);
  return key;
}

bool worth_a_look(const Walk& walk, const egress_shape& shape) {
  if ((shape.kind & (EGRESS_KIND_EXACT | EGRESS_KIND_RANGE)) != 0 && !walk.has_port()) return false;
  return (shape.kind & EGRESS_KIND_PROTO) == 0 || walk.flow.protocol_known;
}

/// Whether a rule of a chain is of this key and shape.
bool belongs(const egress_rule& rule, const egress_index_key& key, const egress_shape& shape) {
  const Family family = (shape.kind & EGRESS_KIND_V6) != 0 ? Family::V6 : Family::V4;
  const egress_chain chain = (shape.kind & EGRESS_KIND_MARK) != 0 ? EGRESS_CHAIN_MARK : EGRESS_CHAIN_PLAIN;
  return rule.set == key.set && rule.plen == key.plen && std::memcmp(rule.addr, key.addr, sizeof key.addr) == 0 &&
         applies_to(rule, family) && shape_of(rule, family, chain).kind == shape.kind;
}

bool passes_through_sieve(Tables& tables, const egress_index_key& key, bool v6) {
  if (key.plen == 0) return true;
  const auto pair = [&](int first) { return static_cast<__u64>(key.addr[first + 1]) << 32 | key.addr[first]; };
  const __u64 hash = egress_sieve_hash(pair(0), pair(2), key.plen, v6 ? 1 : 0);
  const __u64 bits = egress_sieve_bits(hash);
  return (tables.sieve()[egress_sieve_word(hash) & (tables.sieve().size() - 1)] & bits) == bits;
}

/// Whether there are rules of IPv6 that are in no cover.
bool has_short_prefixes(Tables& tables, const egress_set& set) {
  const egress_run run = set.lists[EGRESS_LIST_V6];
  for (std::uint32_t i = 0; i < run.count; ++i) {
    if (tables.shapes()[run.first + i].plen < EGRESS_COVER_PLEN_V6) return true;
  }
  return false;
}

/// Whether the cover of a set says that none of its rules holds the address.
bool is_uncovered(const Walk& walk, std::uint32_t set) {
  const std::uint32_t cover = walk.tables.sets()[set].flags >> EGRESS_SET_COVER_SHIFT;
  if (cover == 0 || (walk.is_v6() && has_short_prefixes(walk.tables, walk.tables.sets()[set]))) return false;
  const auto covers = walk.tables.covers();
  const auto unit_log = static_cast<std::uint32_t>(std::countr_zero(covers.size()) - EGRESS_COVER_UNITS_LOG);
  std::uint32_t address = 0;
  std::memcpy(&address, walk.flow.destination.bytes.data(), sizeof address);
  const std::uint32_t bit =
      walk.is_v6() ? egress_cover_bit_v6(cover, unit_log, address) : egress_cover_bit(cover, unit_log, ntohl(address));
  return (covers[egress_cover_word(cover, unit_log) + bit / 64] >> bit % 64 & 1) == 0;
}

/// What one set says; audits are added to `judgement`.
const egress_rule* decider_of(const Walk& walk, std::uint32_t index, Judgement& judgement) {
  const egress_set& set = walk.tables.sets()[index];
  const bool uncertain = !walk.flow.protocol_known || !walk.flow.ports_known;
  const egress_run run = set.lists[(walk.is_v6() ? EGRESS_LIST_V6 : EGRESS_LIST_V4) + (uncertain ? 1 : 0)];
  const egress_rule* decider = nullptr;
  if (is_uncovered(walk, index)) return nullptr;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const egress_shape& shape = walk.tables.shapes()[run.first + i];
    if (!worth_a_look(walk, shape)) continue;
    const egress_index_key key = key_of(walk, index, shape);
    if (!passes_through_sieve(walk.tables, key, walk.is_v6())) continue;
    const bool mark = (shape.kind & EGRESS_KIND_MARK) != 0;
    const egress_chain chain = mark ? EGRESS_CHAIN_MARK : EGRESS_CHAIN_PLAIN;
    for (std::uint32_t id = chain_head(walk.tables, key, chain); id != 0;) {
      const egress_rule& rule = slot_of(walk.tables, id);
      const bool counts = rule.id == id && belongs(rule, key, shape) && fits(walk, rule, mark) &&
                          in_force(rule, walk.epoch, walk.tables.control().trial_deadline, walk.now);
      if (counts && rule.action == EGRESS_ACTION_AUDIT) judgement.audits.push_back(RuleId{id});
      if (counts && rule.action != EGRESS_ACTION_AUDIT && decider == nullptr) decider = &rule;
      if (decider != nullptr && (set.flags & EGRESS_SET_AUDIT) == 0) return decider;
      id = rule.next[chain];
    }
  }
  return decider;
}

/// Sets that judge, in order.
std::vector<std::uint32_t> sets_of(const Walk& walk, const World& world, const std::string& leaf) {
  std::vector<std::uint32_t> sets;
  for (std::string path = leaf;; path = parent_path(path)) {
    if (const auto id = world.cgroup_at(path)) {
      const auto binding = walk.tables.bindings().get(static_cast<std::uint64_t>(*id))->value_or(egress_binding{});
      for (const std::uint32_t anchor : {binding.path_anchor, binding.unit_anchor, binding.id_anchor}) {
        if (anchor == 0) continue;
        std::uint32_t set = walk.tables.anchors()[anchor].first_set;
        for (; set != 0; set = walk.tables.sets()[set].next) {
          if (path == leaf || (walk.tables.sets()[set].flags & EGRESS_SET_ONLY) == 0) sets.push_back(set);
        }
      }
    }
    if (path == "/") return sets;
  }
}

bool door_in_force(const drop_config& config, std::uint64_t now) {
  if (config.ttl == DROP_CONFIG_NO_END) return true;
  return now < config.created_at + config.ttl * 1'000'000'000ull;
}

bool door_fits(const Walk& walk, const drop_config& config) {
  if (walk.is_v6() || std::memcmp(&config.dst_ip, walk.flow.destination.bytes.data(), 4) != 0) return false;
  if (config.dst_port == 0) return true;
  return walk.has_port() ? config.dst_port == *walk.flow.port : !walk.flow.ports_known;
}

std::optional<std::uint32_t> door_of(const Walk& walk, const World& world, const std::string& leaf, bool any) {
  for (std::string path = leaf;; path = parent_path(path)) {
    if (const auto id = world.cgroup_at(path)) {
      const auto cgroup = static_cast<std::uint64_t>(*id);
      const auto rule = *walk.tables.cgroup_rules().get(cgroup);
      const auto config = rule ? *walk.tables.drop_configs().get(*rule) : std::nullopt;
      if (config && config->cgroup_id == cgroup && config->dst_ip != 0 && (any || door_fits(walk, *config)) &&
          door_in_force(*config, walk.now)) {
        return *rule;
      }
    }
    if (path == "/") return std::nullopt;
  }
}

bool any_decides(const Walk& walk, const World& world, const std::string& leaf) {
  for (const std::uint32_t set : sets_of(walk, world, leaf)) {
    if (walk.tables.sets()[set].decides_until > walk.now) return true;
  }
  return door_of(walk, world, leaf, true).has_value();
}

}  // namespace

Judgement judge_by_maps(Tables& tables, const World& world, const std::string& path, const Flow& flow) {
  const Walk walk{tables, flow, tables.control().epoch, static_cast<std::uint64_t>(world.now()->since_boot.count())};
  Judgement judgement;
  if ((flow.malformed || flow.source_routed) && any_decides(walk, world, path)) {
    judgement.verdict = Judgement::Verdict::Drop;
    return judgement;
  }
  if (flow.malformed) return judgement;
  for (const std::uint32_t set : sets_of(walk, world, path)) {
    const egress_rule* decider = decider_of(walk, set, judgement);
    if (decider == nullptr) continue;
    if (decider->action == EGRESS_ACTION_ALLOW) {
      if (!judgement.rule) judgement.rule = RuleId{decider->id};
      continue;
    }
    judgement.rule = RuleId{decider->id};
    judgement.verdict = decider->action == EGRESS_ACTION_DROP ? Judgement::Verdict::Drop : Judgement::Verdict::Reject;
    return judgement;
  }
  if (const auto door = door_of(walk, world, path, false)) {
    judgement.verdict = Judgement::Verdict::Drop;
    judgement.rule = RuleId{*door};
    judgement.origin = Rule::Origin::Map;
  }
  return judgement;
}

Flow tcp_to(const std::string& address, std::uint16_t port) {
  Flow flow;
  flow.destination = *parse_address(address);
  flow.protocol = protocol::tcp;
  flow.port = port;
  return flow;
}

}  // namespace egress::test
