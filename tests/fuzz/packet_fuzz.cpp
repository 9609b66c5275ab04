// SPDX-License-Identifier: GPL-2.0
//
// Any bytes: parse_packet stays within them, and what it says fits together.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/evaluate.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_ports(const egress::Flow& flow) {
  if (!flow.protocol_known) require(!flow.ports_known);
  if (!flow.ports_known) require(!flow.port);
  if (flow.port) require(egress::protocol::has_ports(flow.protocol));
  if (flow.protocol_known && egress::protocol::has_ports(flow.protocol))
    require(flow.port.has_value() != !flow.ports_known);
  if (flow.protocol_known && !egress::protocol::has_ports(flow.protocol)) require(flow.ports_known);
}

void check_address(const egress::Flow& flow, const std::uint8_t* data, std::size_t size) {
  const bool ipv6 = flow.destination.family == egress::Family::V6;
  require(size > 0 && data[0] >> 4 == (ipv6 ? 6 : 4));
  require(size >= (ipv6 ? 40u : 20u));
  require(std::memcmp(flow.destination.bytes.data(), data + (ipv6 ? 24 : 16), ipv6 ? 16 : 4) == 0);
}

void check_flow(const egress::Flow& flow, const std::uint8_t* data, std::size_t size) {
  if (flow.malformed) {
    require(!flow.port && !flow.source_routed && !flow.neighbour_discovery);
    return;
  }
  check_address(flow, data, size);
  check_ports(flow);
  if (flow.neighbour_discovery) {
    require(flow.destination.family == egress::Family::V6 && flow.protocol == egress::protocol::icmpv6);
  }
}

/// A rule for everything drops everything but neighbour discovery.
void check_verdict(const egress::Flow& flow) {
  egress::Rule everything;
  everything.id = egress::RuleId{1};
  const std::vector<egress::JudgedSet> sets{{{everything}}};
  const bool dropped = egress::evaluate(sets, flow, {}).verdict == egress::Judgement::Verdict::Drop;
  require(dropped == (!flow.neighbour_discovery || flow.source_routed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> exact(data, data + size);  // so that a byte too far is seen
  const egress::Flow flow = egress::parse_packet(std::as_bytes(std::span(exact)));
  check_flow(flow, exact.data(), size);
  check_verdict(flow);
  return 0;
}
