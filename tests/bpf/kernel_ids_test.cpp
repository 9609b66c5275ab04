// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_ids.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "bpf/private_instance.hpp"
#include "sys/foreign_programs.hpp"
#include "sys/hooks.hpp"
#include "sys/loader.hpp"

namespace egress {
namespace {

using test::PrivateInstance;
using test::small_settings;

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool is_attached(const PrivateInstance& at) {
  const Fd root = at.root().open();
  const Result<Attachments> there = attachments_at(root.get(), BPF_CGROUP_INET_EGRESS);
  return there.ok() && !there.value().program_ids.empty();
}

/// Links of the instance in the kernel, whatever a directory shows.
std::size_t links_of(const Instance& instance) {
  Result<std::optional<FoundInstance>> found = find_instance(instance);
  return found && found->has_value() ? (*found)->links.size() : 0;
}

bool takes(const Loaded& loaded, HookGroup group) {
  const auto feature = std::ranges::find(loaded.features, name_of(group), &Feature::name);
  return feature != loaded.features.end() && feature->present;
}

/// A kernel that attaches programs to functions has one for sockets that are made, too.
std::size_t links_to_expect(const Loaded& loaded) { return takes(loaded, HookGroup::Creation) ? 8 : 7; }

TEST(KernelIds, FindEveryLinkAndMapOfAnInstance) {
  const PrivateInstance at("find");
  const Result<Loaded> loaded = load(at.get(), small_settings());
  ASSERT_TRUE(loaded.ok());
  Result<std::optional<FoundInstance>> found = find_instance(at.get());
  ASSERT_TRUE(found.ok());
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->links.size(), links_to_expect(*loaded));
  // A kernel without timers takes no map of one.
  EXPECT_EQ((*found)->maps.size(), takes(*loaded, HookGroup::Sweep) ? 22u : 21u);
  EXPECT_EQ(std::string((*found)->meta.root_path), at.root().directory());
}

TEST(KernelIds, TellTwoInstancesApart) {
  const PrivateInstance one("one");
  const PrivateInstance two("two");
  ASSERT_TRUE(load(one.get(), small_settings()).ok());
  EXPECT_EQ(links_of(two.get()), 0u);
  const Result<Loaded> loaded = load(two.get(), small_settings());
  ASSERT_TRUE(loaded.ok());
  ASSERT_TRUE(unload(one.get()).ok());
  EXPECT_EQ(links_of(one.get()), 0u);
  EXPECT_EQ(links_of(two.get()), links_to_expect(*loaded));
  EXPECT_TRUE(is_attached(two));
}

TEST(Unload, LeavesNoPinLinkOrDirectory) {
  const PrivateInstance at("unload");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  ASSERT_TRUE(is_attached(at));
  const Result<void> done = unload(at.get());
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(is_attached(at));
  EXPECT_FALSE(exists(at.get().pin_dir));
  EXPECT_EQ(links_of(at.get()), 0u);
}

TEST(Unload, SaysThatNothingIsLoaded) {
  const PrivateInstance at("nothing");
  Result<void> done = unload(at.get());
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().kind, ErrorKind::NotFound);
}

TEST(Unload, DetachesALinkThatAnotherProcessHolds) {
  const PrivateInstance at("held");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  Result<std::optional<FoundInstance>> holder = find_instance(at.get());
  ASSERT_TRUE(holder.ok() && holder->has_value());
  ASSERT_TRUE(unload(at.get()).ok());
  EXPECT_FALSE(is_attached(at));
}

TEST(Unload, NeedsNoPins) {
  const PrivateInstance at("pinless");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  Result<std::optional<FoundInstance>> holder = find_instance(at.get());
  ASSERT_EQ(::umount2(at.bpffs().directory().c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(is_attached(at)) << "the holder's descriptors keep the links";
  const Result<void> done = unload(at.get());
  EXPECT_TRUE(done.ok());
  EXPECT_FALSE(is_attached(at));
}

TEST(Unload, TakesOffWhatLiesUnderAnotherMount) {
  const PrivateInstance at("covered");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const std::string point = at.bpffs().directory();
  ASSERT_EQ(::mount("tmpfs", point.c_str(), "tmpfs", 0, nullptr), 0);
  Result<void> done = unload(at.get());
  EXPECT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(links_of(at.get()), 0u) << "tracing links live as long as their pins";
  ASSERT_EQ(::umount2(point.c_str(), MNT_DETACH), 0);
  EXPECT_FALSE(is_attached(at));
  EXPECT_FALSE(exists(at.get().pin_dir));
}

TEST(Unload, WorksOnADirectoryThatAnybodyMayWrite) {
  const PrivateInstance at("open");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  ASSERT_EQ(::chmod(at.get().pin_dir.c_str(), 01777), 0);
  ASSERT_TRUE(unload(at.get()).ok());
  EXPECT_FALSE(is_attached(at));
  EXPECT_FALSE(exists(at.get().pin_dir));
}

TEST(Unload, LeavesADirectoryOfAnotherRootAlone) {
  const PrivateInstance at("mine");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const test::PrivateCgroup other("elsewhere");
  Result<void> done = unload(Instance{at.get().pin_dir, other.directory()});
  EXPECT_FALSE(done.ok());
  EXPECT_TRUE(is_attached(at));
  EXPECT_TRUE(exists(at.pin("rules")));
}

TEST(Unload, LeavesTheProgramsOfOthersAlone) {
  const PrivateInstance at("foreign");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  ASSERT_EQ(::mkdir(at.bpffs().path("others").c_str(), 0700), 0);
  const Result<void> done = unload(Instance{at.bpffs().path("others"), {}});
  EXPECT_FALSE(done.ok());
  EXPECT_TRUE(exists(at.bpffs().path("others")));
  EXPECT_TRUE(is_attached(at));
}

}  // namespace
}  // namespace egress
