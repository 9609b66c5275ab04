// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include "engine/index.hpp"
#include "support/engine_lab.hpp"
#include "support/model_sweep.hpp"

namespace egress {
namespace {

using namespace test;

struct EngineSweep : ::testing::Test, EngineLab {
  EngineSweep() { world.mkdir_unbound("/app"); }
};

TEST_F(EngineSweep, RemovesOverRulesFromEveryMap) {
  RuleSpec spec = rule("drop 10.0.0.1", 5s);
  spec.reason = "why";
  add(cgroup("/app"), spec, "p");
  add(unit("x"), rule("drop any:53/udp", 4s));
  world.advance(5s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineSweep, KeepsARuleUntilItsVeryDeadline) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 5s));
  world.advance(5s - 1ns);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
  world.advance(1ns);
  EXPECT_EQ(fate("/app", "10.0.0.1"), "pass");
}

TEST_F(EngineSweep, IsDoneByEveryWriter) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 5s));
  world.advance(5s);
  add(cgroup("/app"), "drop 10.0.0.2");
  EXPECT_EQ(tables.rules()[1].id, 0u);
}

TEST_F(EngineSweep, RaisesTheNextDeadline) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 5s));
  add(cgroup("/app"), rule("drop 10.0.0.2", 50s));
  world.advance(5s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.control().next_deadline, static_cast<std::uint64_t>((world.now()->since_boot + 45s).count()));
}

TEST_F(EngineSweep, LeavesForeverAlone) {
  add(cgroup("/app"), rule("drop 10.0.0.1", std::nullopt));
  world.advance(24h * 36500);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(fate("/app", "10.0.0.1"), "drop");
}

TEST_F(EngineSweep, CleansUpAfterTheKernelsSweep) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 5s), "p");
  // What src/datapath/sweep.bpf.h leaves: no rule, no chain, no counter, but the set and its names.
  chain_head(tables, tables.rules()[1], EGRESS_CHAIN_PLAIN) = 0;
  tables.rules()[1].id = 0;
  ++tables.control().sweeps;
  tables.counters.clear();
  EXPECT_NE(tables.leftovers(), "");
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineSweep, PassesOverHolesInAChain) {
  // The kernel's sweep looks at a bounded number of links and may leave one to a record that is gone.
  add(cgroup("/app"), "drop 10.0.0.1:100-110");
  const RuleId middle = add(cgroup("/app"), "drop 10.0.0.1:100-120");
  const RuleId last = add(cgroup("/app"), "drop 10.0.0.1:100-130");
  tables.rules()[static_cast<std::uint32_t>(middle)].id = 0;
  add(cgroup("/app"), "drop 10.0.0.1:100-140");
  EXPECT_EQ(fate("/app", "10.0.0.1", 125), "drop");
  EXPECT_EQ(fate("/app", "10.0.0.1", 135), "drop");
  ASSERT_TRUE(engine.remove({{last}, {}, {}, false}).ok());
  EXPECT_EQ(fate("/app", "10.0.0.1", 135), "drop");
}

/// A chain of ranges, some of which are over after five seconds, and a change in their midst.
struct Interrupted : EngineLab {
  Interrupted() {
    world.mkdir_unbound("/app");
    for (int last = 110; last <= 170; last += 20) add(cgroup("/app"), rule(range(last), 5s));
    for (int last = 120; last <= 160; last += 20) add(cgroup("/app"), rule(range(last)));
  }
  static std::string range(int last) { return "drop 10.0.0.1:100-" + std::to_string(last); }
  [[nodiscard]] std::string picture() {
    std::string text;
    for (std::uint16_t port = 105; port <= 195; port += 10) text += fate("/app", "10.0.0.1", port)[0];
    return text;
  }
};

void stop_everywhere(const std::function<bool(EngineLab&)>& change) {
  Interrupted whole;
  whole.tables.faults.reset();
  ASSERT_TRUE(change(whole));
  const std::size_t writes = whole.tables.faults.writes();
  whole.world.advance(5s);
  const std::string wanted = whole.picture();
  for (std::size_t n = 1; n <= writes; ++n) {
    for (int sweeps = 1; sweeps <= 2; ++sweeps) {
      Interrupted lab;
      lab.tables.faults.stop_at(n, [&] {
        lab.world.advance(5s);
        for (int i = 0; i < sweeps; ++i) sweep_as_the_kernel(lab.tables, lab.world);
      });
      ASSERT_TRUE(change(lab)) << "write " << n << ", sweeps " << sweeps;
      ASSERT_EQ(lab.picture(), wanted) << "write " << n << ", sweeps " << sweeps;
      lab.tables.faults.reset();
      lab.world.advance(longest_lifetime);
      for (int i = 0; i < 2; ++i) sweep_as_the_kernel(lab.tables, lab.world);
      ASSERT_TRUE(lab.engine.maintain().ok());
      ASSERT_EQ(lab.tables.leftovers(), "") << "write " << n << ", sweeps " << sweeps;
    }
  }
}

TEST(EngineSweepOfTheKernel, MayComeWhereverAWriterStandsStillWhileAdding) {
  stop_everywhere([](EngineLab& lab) {
    return lab.engine.add({cgroup("/app"), {rule(Interrupted::range(135)), rule("reject 10.0.0.1:100-155")}, {}, false})
        .ok();
  });
}

TEST(EngineSweepOfTheKernel, MayComeWhereverAWriterStandsStillWhileRemoving) {
  stop_everywhere([](EngineLab& lab) { return lab.engine.remove({{RuleId{6}}, {}, {}, false}).ok(); });
}

TEST(EngineSweepOfTheKernel, MayComeWhereverAWriterStandsStillWhileAddingAList) {
  stop_everywhere([](EngineLab& lab) {
    Addition addition{.subject = cgroup("/app"), .rules = {}, .policy = {}};
    addition.list = {to("10.0.0.0/24"), to("10.0.0.1"), to("10.0.0.2")};
    addition.of_list.action = Action::Reject;
    return lab.engine.add(addition).ok();
  });
}

/// Rules that stay share chains with those that go; of both some are over by then.
TEST(EngineSweepOfTheKernel, MayComeWhereverAWriterStandsStillWhileRemovingSets) {
  stop_everywhere([](EngineLab& lab) {
    lab.add(unit("app"), rule("drop 10.0.0.1:185"));
    return lab.engine.remove({{}, cgroup("/app"), std::nullopt, false}, 0).ok();
  });
  stop_everywhere([](EngineLab& lab) {
    lab.add(cgroup("/app"), rule("drop 10.0.0.1:150-170"), "goes");
    return lab.engine.remove({{}, {}, "goes", false}, 0).ok();
  });
}

TEST(EngineSweepOfTheKernel, MayComeWhereverAWriterStandsStillWhileReplacing) {
  stop_everywhere([](EngineLab& lab) {
    return lab.engine.add({cgroup("/app"), {rule("allow 10.0.0.1:100-140"), rule("drop 10.0.0.1:190")}, {}, true}).ok();
  });
}

/// Looking for sockets takes longer than a lease lasts.
TEST(EngineSweepOfTheKernel, MayComeWhileConnectionsAreCut) {
  const auto change = [](EngineLab& lab) {
    return lab.engine
        .add(
            {cgroup("/app"), {rule("allow 10.0.0.1:100-140"), rule("reject 10.0.0.1:190")}, {}, true, Established::Cut})
        .ok();
  };
  const auto connect = [](Interrupted& lab) {
    Socket socket;
    socket.state = Socket::State::Connected;
    socket.remote = *parse_address("10.0.0.1");
    socket.remote_port = 190;
    socket.cgroup = *lab.world.cgroup_at("/app");
    lab.world.existing = {socket};
  };
  Interrupted whole;
  connect(whole);
  ASSERT_TRUE(change(whole));
  whole.world.advance(5s);
  Interrupted lab;
  connect(lab);
  lab.world.when_destroyed = [&lab] {
    lab.world.advance(5s);
    for (int i = 0; i < 2; ++i) sweep_as_the_kernel(lab.tables, lab.world);
  };
  ASSERT_TRUE(change(lab));
  EXPECT_TRUE(lab.world.existing.empty());
  EXPECT_EQ(lab.picture(), whole.picture());
  lab.world.advance(longest_lifetime);
  for (int i = 0; i < 2; ++i) sweep_as_the_kernel(lab.tables, lab.world);
  ASSERT_TRUE(lab.engine.maintain().ok());
  EXPECT_EQ(lab.tables.leftovers(), "");
}

/// It stood still, a sweep came, it went on for `more` writes without noticing, and was killed.
TEST(EngineSweepOfTheKernel, MayComeWhereverAWriterStandsStillBeforeItIsKilled) {
  for (std::size_t n = 1; n <= 60; ++n) {
    for (std::size_t more = 1; more <= 3; ++more) {
      Interrupted lab;
      lab.tables.faults.stop_at(n, [&] {
        lab.world.advance(5s);
        sweep_as_the_kernel(lab.tables, lab.world);
        lab.tables.faults.kill_at(more);
      });
      try {
        static_cast<void>(lab.engine.remove({{RuleId{4}}, {}, {}, false}));
        static_cast<void>(lab.engine.add({cgroup("/app"), {rule("reject 10.0.0.1:100-145")}, {}, false}));
      } catch (const Killed&) {
      }
      lab.world.advance(1s);  // more than a lease
      sweep_as_the_kernel(lab.tables, lab.world);
      lab.tables.faults.reset();
      ASSERT_TRUE(lab.engine.maintain().ok());
      ASSERT_EQ(lab.fate("/app", "10.0.0.1", 120), "drop") << "stopped before write " << n << ", then " << more;
      ASSERT_EQ(lab.fate("/app", "10.0.0.1", 160), "drop") << "stopped before write " << n << ", then " << more;
      lab.world.advance(longest_lifetime);
      ASSERT_TRUE(lab.engine.maintain().ok());
      ASSERT_EQ(lab.tables.leftovers(), "");
    }
  }
}

TEST_F(EngineSweep, TakesOverRulesOfAChangeWhoseWriterWasKilled) {
  add(cgroup("/app"), rule("drop 10.0.0.1", 5s));
  for (std::size_t n = 1;; ++n) {
    tables.faults.kill_at(n);
    bool killed = false;
    try {
      EXPECT_TRUE(engine.add({cgroup("/app"), {rule("drop 10.0.0.2", 5s), rule("drop 10.0.0.1", 4s)}, {}, true}).ok());
    } catch (const Killed&) {
      killed = true;
    }
    world.advance(5s);
    for (int i = 0; i < 2; ++i) sweep_as_the_kernel(tables, world);
    for (const egress_rule& record : tables.rules()) ASSERT_EQ(record.id, 0u) << "killed before write " << n;
    ASSERT_EQ(tables.counters.size(), 0u);
    if (!killed) break;
    tables.faults.reset();
    add(cgroup("/app"), rule("drop 10.0.0.1", 5s));
  }
}

TEST_F(EngineSweep, ShrinksTheListOfShapes) {
  add(cgroup("/app"), rule("drop 10.0.0.0/8", 5s));
  add(cgroup("/app"), "drop 10.0.0.1");
  EXPECT_EQ(tables.sets()[1].lists[EGRESS_LIST_V4].count, 2u);
  world.advance(5s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.sets()[1].lists[EGRESS_LIST_V4].count, 1u);
}

TEST_F(EngineSweep, TakesTheAuditFlagBack) {
  add(cgroup("/app"), rule("audit 10.0.0.1", 5s));
  add(cgroup("/app"), "drop 10.0.0.2");
  EXPECT_NE(tables.sets()[1].flags & EGRESS_SET_AUDIT, 0u);
  world.advance(5s);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.sets()[1].flags & EGRESS_SET_AUDIT, 0u);
}

TEST_F(EngineSweep, DoesNotReuseAListThatReadersMayWalk) {
  add(cgroup("/app"), "drop 10.0.0.1");
  const egress_run before = tables.sets()[1].lists[EGRESS_LIST_V4];
  add(cgroup("/app"), "drop 10.0.0.0/8");
  EXPECT_EQ(world.grace_periods, 1) << "the list was replaced";
  const egress_run after = tables.sets()[1].lists[EGRESS_LIST_V4];
  EXPECT_TRUE(after.first >= before.first + before.count || before.first >= after.first + after.count);
}

TEST_F(EngineSweep, ReusesTheRoomOfListsForever) {
  for (int i = 0; i < 500; ++i) {
    auto ids = engine.add({cgroup("/app"), {rule("drop 10.0.0.0/" + std::to_string(8 + i % 20))}, {}, false});
    ASSERT_TRUE(ids.ok()) << i << ids.error().message();
    if (i % 7 != 6) continue;
    ASSERT_TRUE(engine.remove({{}, {}, {}, true}).ok());
  }
}

TEST_F(EngineSweep, ReusesEveryKindOfRoomForever) {
  for (int i = 0; i < 300; ++i) {
    const std::string name = "/n" + std::to_string(i);
    auto ids = engine.add({cgroup(name), {rule("drop any:53")}, "p" + name, false});
    ASSERT_TRUE(ids.ok()) << i << ids.error().message();
    ASSERT_TRUE(engine.remove({*ids, {}, {}, false}).ok());
  }
  EXPECT_EQ(tables.leftovers(), "");
}

}  // namespace
}  // namespace egress
