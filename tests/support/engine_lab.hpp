// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"
#include "support/fake_tables.hpp"
#include "support/fake_world.hpp"
#include "support/model_datapath.hpp"

namespace egress::test {

using namespace std::chrono_literals;

inline Subject cgroup(std::string path) { return {Subject::Kind::Path, std::move(path), Subject::Scope::Subtree}; }
inline Subject unit(std::string name) { return {Subject::Kind::Unit, std::move(name), Subject::Scope::Subtree}; }
inline Subject cgroup_id(CgroupId id) {
  return {Subject::Kind::Id, std::to_string(static_cast<std::uint64_t>(id)), Subject::Scope::Subtree};
}
inline Subject only(Subject subject) {
  subject.scope = Subject::Scope::Only;
  return subject;
}

/// "drop 10.0.0.0/8:53/udp"
inline RuleSpec rule(std::string_view text, Lifetime lifetime = default_lifetime) {
  const std::size_t blank = text.find(' ');
  RuleSpec spec;
  spec.action = *parse_action(text.substr(0, blank));
  spec.destination = *parse_destination(text.substr(blank + 1));
  spec.lifetime = lifetime;
  return spec;
}

inline Policy policy(std::vector<RuleSpec> rules, std::vector<Subject> subjects = {cgroup("/app")},
                     std::string name = "p") {
  Policy made;
  made.name = std::move(name);
  made.subjects = std::move(subjects);
  made.rules = std::move(rules);
  return made;
}

inline Destination to(std::string_view text) { return *parse_destination(text); }

/// The engine over a fake instance.
struct EngineLab {
  explicit EngineLab(std::uint32_t max_rules = 64) : tables(max_rules) {}

  FakeTables tables;
  FakeWorld world{tables};
  Engine engine{tables, world};

  /// Adds one rule; its id. A failure is a failure of the test.
  RuleId add(const Subject& subject, const RuleSpec& spec, std::optional<std::string> policy = std::nullopt) {
    auto ids = engine.add({subject, {spec}, std::move(policy), false});
    EXPECT_TRUE(ids.ok()) << (ids ? "" : ids.error().message());
    return ids ? ids->front() : RuleId{};
  }
  RuleId add(const Subject& subject, std::string_view text) { return add(subject, rule(text)); }

  /// "drop", "reject" or "pass": what the datapath would do.
  [[nodiscard]] std::string fate(const std::string& path, const Flow& flow) {
    switch (judge_by_maps(tables, world, path, flow).verdict) {
      case Judgement::Verdict::Drop:
        return "drop";
      case Judgement::Verdict::Reject:
        return "reject";
      case Judgement::Verdict::Pass:
        break;
    }
    return "pass";
  }
  [[nodiscard]] std::string fate(const std::string& path, const std::string& address, std::uint16_t port = 0x1234) {
    return fate(path, tcp_to(address, port));
  }

  /// As another tool does it.
  void write_door(std::uint32_t key, CgroupId id, const std::string& address, std::uint16_t port, std::uint32_t ttl) {
    const Address to = *parse_address(address);
    drop_config config{};
    std::memcpy(&config.dst_ip, to.bytes.data(), sizeof config.dst_ip);
    config.dst_port = port;
    config.cgroup_id = static_cast<std::uint64_t>(id);
    config.ttl = ttl;
    config.created_at = static_cast<std::uint64_t>(world.now()->since_boot.count());
    tables.drop_configs().set(key, config);
    tables.cgroup_rules().set(config.cgroup_id, key);
  }

  [[nodiscard]] std::vector<Rule> rules() {
    auto found = engine.rules();
    EXPECT_TRUE(found.ok()) << (found ? "" : found.error().message());
    return found ? *found : std::vector<Rule>{};
  }
  /// "3 drop 10.0.0.0/8 cgroup /app; …"
  [[nodiscard]] std::string listing() {
    std::string text;
    for (const Rule& found : rules()) {
      text += std::to_string(static_cast<std::uint32_t>(found.id)) + ' ' + std::string(format(found.action)) + ' ' +
              format(found.destination) + ' ' + format(found.subject) + "; ";
    }
    return text;
  }
  [[nodiscard]] std::optional<Rule> find(RuleId id) {
    for (Rule& found : rules()) {
      if (found.id == id) return found;
    }
    return std::nullopt;
  }
};

}  // namespace egress::test
