// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <functional>

#include "support/engine_lab.hpp"

/// Every write of every operation goes wrong once: it fails, or the process dies before it. Whatever then
/// decides packets must be the old or the new rules, and the next writer must be able to work.
namespace egress {
namespace {

using namespace test;

struct Operation {
  std::string name;
  std::function<void(EngineLab&)> prepare;
  std::function<bool(EngineLab&)> run;  ///< whether it said that it worked
};

std::ostream& operator<<(std::ostream& out, const Operation& operation) { return out << operation.name; }

/// What packets meet, everywhere and to everywhere.
std::string picture(EngineLab& lab) {
  std::string text;
  for (const char* path : {"/", "/a", "/a/b", "/s/x"}) {
    for (const char* address : {"10.0.0.1", "10.0.0.2", "10.9.9.9", "2001:db8::1"}) {
      for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{0x1234}}) {
        text += lab.fate(path, address, port)[0];
      }
      Flow fragment = tcp_to(address, 0);
      fragment.port.reset();
      fragment.ports_known = false;
      text += lab.fate(path, fragment)[0];
    }
    text += ' ';
  }
  return text;
}

std::unique_ptr<EngineLab> prepared(const Operation& operation) {
  auto lab = std::make_unique<EngineLab>();
  lab->world.mkdir_unbound("/a/b");
  lab->world.mkdir_unbound("/s/x");
  operation.prepare(*lab);
  lab->tables.faults.reset();
  return lab;
}

/// The next writer works, and in the end nothing is left over.
void expect_usable(EngineLab& lab, const std::string& when) {
  lab.tables.faults.reset();
  const std::string before = picture(lab);
  ASSERT_TRUE(lab.engine.maintain().ok()) << when;
  ASSERT_EQ(picture(lab), before) << when << ": repairing changes nothing for packets";
  auto ids = lab.engine.add({cgroup("/a/b"), {rule("reject 192.0.2.7:53/tcp")}, "later", false});
  ASSERT_TRUE(ids.ok()) << when << ": " << ids.error().message();
  ASSERT_EQ(lab.fate("/a/b", "192.0.2.7", 53), "reject") << when;
  ASSERT_TRUE(lab.engine.remove({{(*ids)[0]}, {}, {}, false}).ok()) << when;
  ASSERT_EQ(picture(lab), before) << when;
  lab.world.advance(longest_lifetime);
  ASSERT_TRUE(lab.engine.maintain().ok()) << when;
  ASSERT_EQ(lab.tables.leftovers(), "") << when;
}

class EngineFaults : public ::testing::TestWithParam<Operation> {
 protected:
  /// The pictures before and after the operation, and how many writes it takes.
  void SetUp() override {
    auto lab = prepared(GetParam());
    old_ = picture(*lab);
    ASSERT_TRUE(GetParam().run(*lab));
    new_ = picture(*lab);
    writes_ = lab->tables.faults.writes();
    table_writes_ = lab->tables.faults.table_writes();
    ASSERT_NE(old_, new_) << "an operation that changes nothing proves nothing";
    ASSERT_GT(writes_, 0u);
  }

  std::string old_, new_;
  std::size_t writes_ = 0, table_writes_ = 0;
};

TEST_P(EngineFaults, LeaveOldOrNewRulesWhenAWriteFails) {
  for (std::size_t n = 1; n <= table_writes_; ++n) {
    const std::string when = GetParam().name + ", failing write " + std::to_string(n);
    auto lab = prepared(GetParam());
    lab->tables.faults.fail_at(n);
    const bool worked = GetParam().run(*lab);
    ASSERT_TRUE(lab->tables.faults.failed()) << when;
    ASSERT_EQ(picture(*lab), worked ? new_ : old_) << when;
    ASSERT_NO_FATAL_FAILURE(expect_usable(*lab, when));
  }
}

TEST_P(EngineFaults, LeaveOldOrNewRulesWhenTheProcessIsKilled) {
  bool seen_old = false, seen_new = false;
  for (std::size_t n = 1; n <= writes_; ++n) {
    const std::string when = GetParam().name + ", killed before write " + std::to_string(n);
    auto lab = prepared(GetParam());
    lab->tables.faults.kill_at(n);
    EXPECT_THROW(GetParam().run(*lab), Killed) << when;
    const std::string now = picture(*lab);
    ASSERT_TRUE(now == old_ || now == new_) << when << "\nold " << old_ << "\nnew " << new_ << "\nnow " << now;
    seen_old |= now == old_;
    seen_new |= now == new_;
    ASSERT_FALSE(seen_new && now == old_) << when << ": there is one moment of change";
    ASSERT_NO_FATAL_FAILURE(expect_usable(*lab, when));
  }
  EXPECT_TRUE(seen_old);
}

TEST_P(EngineFaults, RepairAfterBeingKilledInTheRepair) {
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t step = 9;  // ten times as slow, and each write is met unsanitized too
#else
  constexpr std::size_t step = 3;
#endif
  for (std::size_t n = 1; n <= writes_; n += step) {
    for (std::size_t m = 1;; m += 2) {
      const std::string when =
          GetParam().name + ", killed before write " + std::to_string(n) + ", then " + std::to_string(m);
      auto lab = prepared(GetParam());
      lab->tables.faults.kill_at(n);
      EXPECT_THROW(GetParam().run(*lab), Killed) << when;
      const std::string decided = picture(*lab);
      lab->tables.faults.kill_at(m);
      bool killed = false;
      try {
        ASSERT_TRUE(lab->engine.maintain().ok()) << when;
      } catch (const Killed&) {
        killed = true;
      }
      ASSERT_EQ(picture(*lab), decided) << when;
      ASSERT_NO_FATAL_FAILURE(expect_usable(*lab, when));
      if (!killed) break;
    }
  }
}

const Operation operations[] = {
    {"AddFirst", [](EngineLab&) {},
     [](EngineLab& lab) {
       return lab.engine.add({cgroup("/a/b"), {rule("drop 10.0.0.1")}, {}, false}).ok();
     }},
    {"AddMany",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), "drop 10.0.0.1:53");
       lab.add(cgroup("/"), rule("allow any"), "other");
     },
     [](EngineLab& lab) {
       RuleSpec with_reason = rule("reject any:50-60/tcp");
       with_reason.reason = "why";
       return lab.engine
           .add({cgroup("/a"),
                 {rule("drop 10.0.0.0/8"), with_reason, rule("audit any"), rule("drop [2001:db8::1]:53")},
                 {},
                 false})
           .ok();
     }},
    {"AddUnit", [](EngineLab& lab) { lab.add(cgroup("/s/x"), "drop 10.0.0.2"); },
     [](EngineLab& lab) {
       return lab.engine.add({unit("x"), {rule("reject any/tcp")}, "p", false}).ok();
     }},
    {"AddRoot", [](EngineLab&) {},
     [](EngineLab& lab) {
       return lab.engine.add({cgroup("/"), {rule("drop 10.0.0.0/8")}, {}, false}).ok();
     }},
    {"AddId", [](EngineLab& lab) { lab.add(unit("b"), "drop 10.0.0.2"); },
     [](EngineLab& lab) {
       return lab.engine.add({cgroup_id(*lab.world.cgroup_at("/a/b")), {rule("drop 10.0.0.1")}, {}, false}).ok();
     }},
    {"Replace",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), "drop 10.0.0.1:50-60");
       lab.add(cgroup("/a"), "drop 10.0.0.1:40-70");
       lab.add(cgroup("/a"), "drop 10.0.0.2");
     },
     [](EngineLab& lab) {
       return lab.engine
           .add({cgroup("/a"),
                 {rule("allow 10.0.0.1:50-60"), rule("reject 10.0.0.2"), rule("drop 10.9.0.0/16")},
                 {},
                 true})
           .ok();
     }},
    {"RemoveOne",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), "drop 10.0.0.1:53");
       lab.add(cgroup("/a"), "drop 10.0.0.0/8:53");
       lab.add(cgroup("/a/b"), "drop 10.0.0.2");
     },
     [](EngineLab& lab) {
       return lab.engine.remove({{RuleId{2}}, {}, {}, false}).ok();
     }},
    {"RemoveAll",
     [](EngineLab& lab) {
       RuleSpec spec = rule("drop 10.0.0.1:53");
       spec.reason = "why";
       lab.add(cgroup("/a"), spec, "p");
       lab.add(unit("x"), "drop any");
       lab.add(cgroup("/"), "drop 10.0.0.2");
     },
     [](EngineLab& lab) {
       return lab.engine.remove({{}, {}, {}, true}).ok();
     }},
    {"RemoveSubjectBesideOthers",
     [](EngineLab& lab) {
       RuleSpec spec = rule("drop 10.0.0.1:53");
       spec.reason = "why";
       lab.add(cgroup("/a"), spec);
       lab.add(cgroup("/a"), "allow 10.0.0.0/8:53");
       lab.add(only(cgroup("/a")), "reject 10.0.0.2");
       lab.add(cgroup("/a"), rule("audit any"), "p");
       lab.add(cgroup("/a/b"), "drop 10.0.0.1:53");
       lab.add(cgroup("/a/b"), "drop 2001:db8::/32");
       lab.add(unit("x"), "drop 10.9.9.9:50-60");
     },
     [](EngineLab& lab) {
       return lab.engine.remove({{}, cgroup("/a"), {}, false}, 0).ok();
     }},
    {"RemovePolicyBesideOthers",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), rule("drop 10.0.0.1"), "p");
       lab.add(unit("x"), rule("drop 10.0.0.1"), "p");
       lab.add(cgroup("/a"), "drop 10.0.0.1:53");
       lab.add(cgroup("/a"), "drop 10.0.0.2");
     },
     [](EngineLab& lab) {
       return lab.engine.remove({{}, {}, "p", false}, 0).ok();
     }},
    {"AddList",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), "drop 10.0.0.1:53");
       lab.add(unit("x"), "drop 10.0.0.2");
     },
     [](EngineLab& lab) {
       Addition addition{.subject = cgroup("/a"), .rules = {rule("allow 10.9.9.9:53")}, .policy = {}};
       addition.list = {to("10.9.0.0/16"), to("2001:db8::1"), to("10.0.0.2"), to("10.0.0.1")};
       addition.of_list.reason = "listed";
       return lab.engine.add(addition).ok();
     }},
    {"AddListReplacing",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), "allow 10.0.0.1");
       lab.add(cgroup("/a"), "drop 10.0.0.0/8");
     },
     [](EngineLab& lab) {
       Addition addition{.subject = cgroup("/a"), .rules = {}, .policy = {}, .replace = true};
       addition.list = {to("10.9.9.9"), to("10.0.0.1")};
       addition.of_list.action = Action::Reject;
       return lab.engine.add(addition).ok();
     }},
    {"Apply",
     [](EngineLab& lab) {
       ASSERT_TRUE(lab.engine
                       .apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2"), rule("drop 10.9.9.9")},
                                     {cgroup("/a"), cgroup("/s/x")}),
                              {})
                       .ok());
     },
     [](EngineLab& lab) {
       return lab.engine
           .apply(policy({rule("reject 10.0.0.1"), rule("drop 10.9.9.9", 5h), rule("drop 2001:db8::/32")},
                         {cgroup("/a"), unit("b")}),
                  {})
           .ok();
     }},
    {"ApplyOnTrial",
     [](EngineLab& lab) {
       ASSERT_TRUE(lab.engine.apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}, {cgroup("/a")}), {}).ok());
     },
     [](EngineLab& lab) {
       return lab.engine.apply(policy({rule("reject 10.0.0.1"), rule("drop 10.9.9.9")}, {cgroup("/a")}), {60s}).ok();
     }},
    {"AddAfterSweep",
     [](EngineLab& lab) {
       lab.add(cgroup("/a"), rule("drop 10.0.0.1:53", 5s));
       lab.add(cgroup("/a/b"), rule("drop 10.0.0.2", 5s));
       lab.world.advance(5s);
     },
     [](EngineLab& lab) {
       return lab.engine.add({cgroup("/a/b"), {rule("drop 10.0.0.1")}, {}, false}).ok();
     }},
};

INSTANTIATE_TEST_SUITE_P(Operations, EngineFaults, ::testing::ValuesIn(operations),
                         [](const auto& operation) { return operation.param.name; });

// ---- operations after which packets meet what they met before ----

/// Settling a trial must change nothing, whenever it is interrupted.
void interrupt_settling(const std::function<void(EngineLab&)>& prepare) {
  for (std::size_t n = 1;; ++n) {
    const std::string when = "killed before write " + std::to_string(n);
    EngineLab lab;
    lab.world.mkdir_unbound("/a/b");
    lab.world.mkdir_unbound("/s/x");
    ASSERT_TRUE(lab.engine.apply(policy({rule("drop 10.0.0.1"), rule("drop 10.0.0.2")}, {cgroup("/a")}), {}).ok());
    ASSERT_TRUE(lab.engine.apply(policy({rule("reject 10.0.0.1")}, {cgroup("/a"), unit("x")}), {60s}).ok());
    prepare(lab);
    const std::string before = picture(lab);
    lab.tables.faults.kill_at(n);
    bool killed = false;
    try {
      ASSERT_TRUE(lab.engine.maintain().ok()) << when;
    } catch (const Killed&) {
      killed = true;
    }
    ASSERT_EQ(picture(lab), before) << when;
    ASSERT_NO_FATAL_FAILURE(expect_usable(lab, when));
    if (!killed) return;
  }
}

TEST(EngineFaultsOfTrials, SettlingAnElapsedTrialChangesNothingWhereverItIsKilled) {
  interrupt_settling([](EngineLab& lab) { lab.world.advance(60s); });
}

TEST(EngineFaultsOfTrials, SettlingAConfirmedTrialChangesNothingWhereverItIsKilled) {
  interrupt_settling([](EngineLab& lab) { lab.tables.control().trial_deadline = EGRESS_FOREVER; });
}

TEST(EngineFaultsOfTrials, AKilledConfirmIsDoneOrNot) {
  for (std::size_t n = 1;; ++n) {
    const std::string when = "killed before write " + std::to_string(n);
    EngineLab lab;
    lab.world.mkdir_unbound("/a/b");
    lab.world.mkdir_unbound("/s/x");
    ASSERT_TRUE(lab.engine.apply(policy({rule("drop 10.0.0.1")}, {cgroup("/a")}), {}).ok());
    const std::string old_rules = picture(lab);
    ASSERT_TRUE(lab.engine.apply(policy({rule("reject 10.0.0.2")}, {cgroup("/a")}), {60s}).ok());
    const std::string new_rules = picture(lab);
    lab.tables.faults.kill_at(n);
    bool killed = false;
    try {
      ASSERT_TRUE(lab.engine.confirm().ok());
    } catch (const Killed&) {
      killed = true;
    }
    EXPECT_EQ(picture(lab), new_rules) << when;
    const bool confirmed = lab.tables.control().trial_deadline == EGRESS_FOREVER;
    lab.world.advance(60s);
    EXPECT_EQ(picture(lab), confirmed ? new_rules : old_rules) << when;
    ASSERT_NO_FATAL_FAILURE(expect_usable(lab, when));
    if (!killed) return;
  }
}

TEST(EngineFaultsOfTrials, ATrialThatNeverBeganLeavesNothingBehind) {
  EngineLab lab;
  lab.world.mkdir_unbound("/a");
  lab.add(cgroup("/a"), rule("drop 10.0.0.1"), "p");
  lab.tables.faults.fail_at(1);
  EXPECT_FALSE(lab.engine.apply(policy({rule("drop 10.0.0.2")}, {cgroup("/a")}), {60s}).ok());
  EXPECT_EQ(lab.tables.control().trial_deadline, EGRESS_FOREVER);
  lab.world.advance(60s);
  EXPECT_EQ(lab.fate("/a", "10.0.0.1"), "drop");
  EXPECT_TRUE(lab.engine.extend(RuleId{1}, 5s).ok());
}

}  // namespace
}  // namespace egress
