// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/address.hpp"
#include "drop_egress_by_cgroup.h"
#include "egress/rule.hpp"
#include "support/packet_builder.hpp"

namespace egress::test {

/// A packet as the kernel gets it.
struct Frame {
  std::vector<std::byte> packet;  ///< from the IP header on
  std::uint16_t ethertype = 0;    ///< what skb->protocol will say, right or wrong
  std::uint32_t segments = 1;     ///< more: a GSO packet
};

/// A rule, and what becomes of it before packets come.
struct PlannedRule {
  enum class Fate : std::uint8_t { Stays, Removed, Shortened, Prolonged };
  Subject subject;
  std::optional<std::string> policy;
  RuleSpec spec;
  Fate fate = Fate::Stays;
};

/// An entry of the template's maps, for one cgroup on the way to the root.
struct PlannedDoor {
  std::string cgroup;
  std::uint32_t key = 0;
  drop_config config{};  ///< cgroup_id is filled in, unless half_written
  bool half_written = false;
};

/// Random values from small clusters, so that rules overlap each other and packets meet them.
class RandomTraffic {
 public:
  explicit RandomTraffic(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  [[nodiscard]] bool once_in(int n) { return below(n) == 0; }
  template <typename T>
  [[nodiscard]] T one_of(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(below(static_cast<int>(values.size())))];
  }

  [[nodiscard]] RuleSpec rule();
  [[nodiscard]] drop_config door(std::uint64_t now);
  [[nodiscard]] Frame frame();

 private:
  [[nodiscard]] std::string address4();
  [[nodiscard]] std::string address6();
  [[nodiscard]] std::uint16_t port();
  [[nodiscard]] Destination destination();
  [[nodiscard]] test::Packet packet4();
  [[nodiscard]] test::Packet packet6();
  [[nodiscard]] test::Ipv6 with_extension(const test::Ipv6& packet);
  [[nodiscard]] test::Packet garbage();
  template <typename Builder>
  [[nodiscard]] test::Packet finish(const Builder& packet);

  std::mt19937_64 random_;
};

}  // namespace egress::test
