// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include "support/engine_lab.hpp"

namespace egress {
namespace {

using namespace test;

struct EngineNames : ::testing::Test, EngineLab {};

TEST_F(EngineNames, BindsACgroupThatExists) {
  world.mkdir_unbound("/a/b");
  add(cgroup("/a/b"), "drop 10.0.0.1");
  EXPECT_EQ(fate("/a/b", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/a", "10.0.0.1"), "pass");
}

TEST_F(EngineNames, CoversDescendantsUnlessOnlyTheCgroupIsMeant) {
  world.mkdir_unbound("/a/b/c");
  add(cgroup("/a"), "drop 10.0.0.1");
  add(only(cgroup("/a")), "drop 10.0.0.2");
  EXPECT_EQ(fate("/a/b/c", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/a/b/c", "10.0.0.2"), "pass");
  EXPECT_EQ(fate("/a", "10.0.0.2"), "drop");
}

TEST_F(EngineNames, CoversACgroupFromItsFirstMomentOn) {
  const RuleId id = add(cgroup("/a/b"), "drop 10.0.0.1");
  EXPECT_TRUE(find(id)->cgroups.empty()) << "pending";
  world.mkdir("/a");
  world.mkdir("/a/b");
  EXPECT_EQ(fate("/a/b", "10.0.0.1"), "drop");
  EXPECT_EQ(find(id)->cgroups.size(), 1u);
}

TEST_F(EngineNames, CoversEveryLaterCgroupOfThatName) {
  add(cgroup("/a/b"), "drop 10.0.0.1");
  for (int i = 0; i < 3; ++i) {
    const CgroupId a = world.mkdir("/a");
    const CgroupId b = world.mkdir("/a/b");
    EXPECT_EQ(fate("/a/b", "10.0.0.1"), "drop");
    world.rmdir("/a/b");
    world.rmdir("/a");
    world.release(b);
    world.release(a);
  }
}

TEST_F(EngineNames, DoesNotCoverTheSameNameElsewhere) {
  add(cgroup("/a/b"), "drop 10.0.0.1");
  world.mkdir("/b");
  world.mkdir("/c/b");
  world.mkdir("/a/b/b");
  EXPECT_EQ(fate("/b", "10.0.0.1"), "pass");
  EXPECT_EQ(fate("/c/b", "10.0.0.1"), "pass");
}

TEST_F(EngineNames, FindsAUnitWhereverItIs) {
  world.mkdir_unbound("/system.slice/x.service");
  add(unit("x.service"), "drop 10.0.0.1");
  world.mkdir("/other.slice/deep/x.service");
  EXPECT_EQ(fate("/system.slice/x.service", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/other.slice/deep/x.service", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/system.slice", "10.0.0.1"), "pass");
  EXPECT_EQ(rules()[0].cgroups.size(), 2u);
}

TEST_F(EngineNames, TakesTheRootAsACgroup) {
  add(cgroup("/"), "drop 10.0.0.1");
  world.mkdir("/a");
  EXPECT_EQ(fate("/", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/a", "10.0.0.1"), "drop");
}

TEST_F(EngineNames, BearsAllNamesAtOnce) {
  const CgroupId id = world.mkdir_unbound("/a/b");
  add(unit("b"), "drop 10.0.0.1");
  add(cgroup_id(id), "drop 10.0.0.2");
  add(cgroup("/a/b"), "drop 10.0.0.3");
  add(cgroup("/a/b/c"), "drop 10.0.0.4");
  world.mkdir("/a/b/c");
  for (const char* address : {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}) {
    EXPECT_EQ(fate("/a/b/c", address), "drop") << address;
  }
  EXPECT_EQ(fate("/a/b", "10.0.0.4"), "pass");
}

TEST_F(EngineNames, MissesNoCgroupThatIsMadeWhileItBinds) {
  // Each cgroup appears as late as the wait allows: answered by the program before the names were there.
  for (int moment = 1; moment <= 4; ++moment) {
    EngineLab lab;
    int waits = 0;
    lab.world.meanwhile = [&] {
      if (++waits == moment) lab.world.mkdir("/a/b/c");
    };
    lab.add(cgroup("/a/b/c"), "drop 10.0.0.1");
    lab.world.meanwhile = nullptr;
    lab.world.mkdir("/a/b/c");
    EXPECT_EQ(lab.fate("/a/b/c", "10.0.0.1"), "drop") << "moment " << moment;
  }
}

TEST_F(EngineNames, FindsAChildThatWasMadeBeforeItsParentWasBound) {
  world.mkdir_unbound("/a");
  bool made = false;
  world.meanwhile = [&] {
    if (!made) world.mkdir("/a/b");
    made = true;
  };
  add(cgroup("/a/b"), "drop 10.0.0.1");
  EXPECT_EQ(fate("/a/b", "10.0.0.1"), "drop");
}

TEST_F(EngineNames, FindsAUnitThatWasMadeBeforeItsNameWasKnown) {
  world.meanwhile = [&] { world.mkdir_unbound("/s/x"); };
  add(unit("x"), "drop 10.0.0.1");
  EXPECT_EQ(fate("/s/x", "10.0.0.1"), "drop");
}

TEST_F(EngineNames, KeepsAPathThatIsPartOfAnother) {
  world.mkdir_unbound("/a/b");
  const RuleId inner = add(cgroup("/a/b"), "drop 10.0.0.1");
  const RuleId outer = add(cgroup("/a"), "drop 10.0.0.2");
  ASSERT_TRUE(engine.remove({{outer}, {}, {}, false}).ok());
  EXPECT_EQ(fate("/a/b", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/a/b", "10.0.0.2"), "pass");
  world.mkdir("/a/b/c");
  EXPECT_EQ(fate("/a/b/c", "10.0.0.1"), "drop");
  ASSERT_TRUE(engine.remove({{inner}, {}, {}, false}).ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineNames, RemovesOnlyTheEndOfASharedPath) {
  world.mkdir_unbound("/a/b/c");
  const RuleId outer = add(cgroup("/a"), "drop 10.0.0.2");
  const RuleId inner = add(cgroup("/a/b/c"), "drop 10.0.0.1");
  ASSERT_TRUE(engine.remove({{inner}, {}, {}, false}).ok());
  EXPECT_EQ(tables.names().size(), 1u);
  EXPECT_EQ(fate("/a/b/c", "10.0.0.2"), "drop");
  ASSERT_TRUE(engine.remove({{outer}, {}, {}, false}).ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineNames, GivesAFreedAnchorToNobodyElsesCgroups) {
  world.mkdir_unbound("/old");
  const RuleId id = add(cgroup("/old"), "drop 10.0.0.1");
  ASSERT_TRUE(engine.remove({{id}, {}, {}, false}).ok());
  add(cgroup("/new"), "drop 10.0.0.1");
  EXPECT_EQ(fate("/old", "10.0.0.1"), "pass");
}

TEST_F(EngineNames, BindsAgainWhatWasForgotten) {
  world.mkdir_unbound("/a/b");
  const RuleId id = add(cgroup("/a/b"), "drop 10.0.0.1");
  ASSERT_TRUE(engine.remove({{id}, {}, {}, false}).ok());
  add(cgroup("/a/b"), "drop 10.0.0.1");
  EXPECT_EQ(fate("/a/b", "10.0.0.1"), "drop");
}

TEST_F(EngineNames, EndsRulesByIdWithTheirCgroup) {
  const CgroupId id = world.mkdir("/a");
  add(cgroup_id(id), "drop 10.0.0.1");
  world.rmdir("/a");
  EXPECT_EQ(rules().size(), 1u) << "a socket of the cgroup may live on";
  world.release(id);
  EXPECT_EQ(rules().size(), 0u);
  ASSERT_TRUE(engine.maintain().ok());
  EXPECT_EQ(tables.leftovers(), "");
}

TEST_F(EngineNames, TakesNamesOfAnyBytes) {
  const std::string name = "\x1b[31m \xff'\"" + std::string(240, 'x');
  add(unit(name), "drop 10.0.0.1");
  world.mkdir("/s/" + name);
  EXPECT_EQ(fate("/s/" + name, "10.0.0.1"), "drop");
  EXPECT_EQ(rules()[0].subject.name, name);
}

TEST_F(EngineNames, TellsAPathFromAUnitOfTheSameName) {
  add(cgroup("/x"), "drop 10.0.0.1");
  add(unit("x"), "drop 10.0.0.2");
  world.mkdir("/x");
  world.mkdir("/s/x");
  EXPECT_EQ(fate("/x", "10.0.0.1"), "drop");
  EXPECT_EQ(fate("/x", "10.0.0.2"), "drop");
  EXPECT_EQ(fate("/s/x", "10.0.0.1"), "pass");
  EXPECT_EQ(fate("/s/x", "10.0.0.2"), "drop");
}

TEST_F(EngineNames, KnowsWhichPlacesNoSubjectEverHad) {
  add(cgroup("/a"), "drop 10.0.0.1");
  add(cgroup("/b"), "drop 10.0.0.1");
  add(only(cgroup("/b")), "drop 10.0.0.2");
  EXPECT_EQ(tables.control().subjects, 4u) << "three sets from place 1 on";
  ASSERT_TRUE(engine.remove({{}, {}, {}, true}).ok());
  add(cgroup("/c"), "drop 10.0.0.1");
  EXPECT_EQ(tables.control().subjects, 4u) << "a place that was freed is taken first";
}

}  // namespace
}  // namespace egress
