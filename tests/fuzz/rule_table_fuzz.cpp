// SPDX-License-Identifier: GPL-2.0
//
// Any image of the shared arrays, as root or a broken program may leave it: the engine reads, repairs, sweeps and
// changes it without leaving its memory and in bounded time. What becomes of the rules is not asked.
//
// The input is what differs from an instance with rules: exclusive or, array by array. Zeroes are that instance.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "engine/engine.hpp"
#include "support/fake_tables.hpp"
#include "support/fake_world.hpp"

namespace {

using namespace std::chrono_literals;
using egress::Addition;
using egress::Destination;
using egress::Engine;
using egress::RuleSpec;
using egress::Selection;
using egress::Subject;

constexpr std::uint32_t max_rules = 16;
constexpr std::clock_t enough = 5 * CLOCKS_PER_SEC;  // sanitized and unoptimized; such tables take milliseconds

void require(bool holds) {
  if (!holds) std::abort();
}

RuleSpec spec(egress::Action action, const char* to) {
  RuleSpec made;
  made.action = action;
  made.destination = *egress::parse_destination(to);
  return made;
}

Subject cgroup(const char* path) { return {Subject::Kind::Path, path, Subject::Scope::Subtree}; }
Subject unit(const char* name) { return {Subject::Kind::Unit, name, Subject::Scope::Subtree}; }

egress::Policy policy(const char* to) {
  egress::Policy made;
  made.name = "p";
  made.subjects = {cgroup("/p")};
  made.rules = {spec(egress::Action::Drop, to)};
  return made;
}

struct Instance {
  egress::test::FakeTables tables{max_rules};
  egress::test::FakeWorld world{tables};
  Engine engine{tables, world};

  /// Several rules of a chain, sets of a name, a name that is waited for and a trial.
  Instance() {
    using egress::Action;
    world.mkdir("/a/b");
    world.mkdir("/s/u.service");
    const auto add = [this](Subject subject, std::vector<RuleSpec> rules, std::optional<std::string> name = {}) {
      require(engine.add({std::move(subject), std::move(rules), std::move(name), false}).ok());
    };
    add(cgroup("/a"), {spec(Action::Drop, "203.0.113.0/24:10-19/tcp"), spec(Action::Drop, "203.0.113.0/24:10-99/tcp")});
    add(cgroup("/a"), {spec(Action::Audit, "any"), spec(Action::Allow, "203.0.113.7:443")}, "q");
    add(unit("u.service"), {spec(Action::Reject, "2001:db8::/32")});
    add(cgroup("/to/come"), {spec(Action::Drop, "198.51.100.1")});
    require(engine.apply(policy("203.0.113.8"), {}).ok());
    require(engine.apply(policy("203.0.113.9"), {.confirm_within = 1min}).ok());
  }
};

/// The bytes that are left of the input.
struct Input {
  const std::uint8_t* data;
  std::size_t size;

  void change(void* memory, std::size_t length) {
    auto* bytes = static_cast<std::uint8_t*>(memory);
    const std::size_t here = std::min(size, length);
    for (std::size_t i = 0; i < here; ++i) bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ data[i]);
    data += here;
    size -= here;
  }
  template <typename Record>
  void change(std::span<Record> records) {
    change(records.data(), records.size_bytes());
  }
};

void change(Instance& instance, Input input) {
  egress_control& control = instance.tables.control();
  input.change(&control, sizeof control);
  input.change(instance.tables.rules().whole());
  input.change(instance.tables.sets().whole());
  input.change(instance.tables.anchors().whole());
  input.change(instance.tables.shapes().whole());
  input.change(instance.tables.heads().whole());
  // Of a sweep that never ends every writer says so, after a second: nothing to learn, and slow.
  if (control.maintenance != EGRESS_MAINTENANCE_LIBRARY) control.maintenance = EGRESS_MAINTENANCE_FREE;
}

void read(Engine& engine) {
  static_cast<void>(engine.rules());
  static_cast<void>(engine.policies());
  static_cast<void>(engine.diff(policy("203.0.113.9")));
  static_cast<void>(engine.explain(cgroup("/a"), *egress::parse_destination("203.0.113.7:443/tcp")));
}

void use(Instance& instance) {
  Engine& engine = instance.engine;
  read(engine);
  static_cast<void>(engine.maintain());
  static_cast<void>(engine.add({cgroup("/a"), {spec(egress::Action::Drop, "203.0.113.0/24:10-50/tcp")}, {}, true}));
  auto refusing = spec(egress::Action::Drop, "any:25/tcp");
  refusing.no_packet_sockets = true;
  static_cast<void>(engine.add({cgroup("/n/e/w"), {refusing}, "w", false}));
  static_cast<void>(engine.add({cgroup("/a"), {refusing}, {}, true}));
  Addition list{.subject = cgroup("/a"), .rules = {}, .policy = {}, .replace = true};
  for (const char* destination : {"203.0.113.0/24", "203.0.113.7", "2001:db8::/32"}) {
    list.list.push_back(*egress::parse_destination(destination));
  }
  static_cast<void>(engine.add(list));
  static_cast<void>(engine.extend(egress::RuleId{1}, 2h));
  static_cast<void>(engine.remove({{egress::RuleId{2}}, {}, {}, false}));
  static_cast<void>(engine.remove({{}, cgroup("/a"), {}, false}, 0));
  static_cast<void>(engine.apply(policy("203.0.113.7"), {.confirm_within = 1min}));
  static_cast<void>(engine.confirm());
  instance.world.advance(90min);
  static_cast<void>(engine.maintain());
  read(engine);
  static_cast<void>(engine.remove({{}, {}, {}, true}));
  static_cast<void>(engine.maintain());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::clock_t start = std::clock();
  Instance instance;
  change(instance, {data, size});
  use(instance);
  require(std::clock() - start < enough);
  return 0;
}
