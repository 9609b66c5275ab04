// SPDX-License-Identifier: GPL-2.0
#include "sys/bpffs.hpp"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "bpf/private_bpffs.hpp"

namespace egress {
namespace {

using std::chrono::milliseconds;

class PinDirectoryTest : public testing::Test {
 protected:
  PinDirectory made(const std::string& name) const {
    auto directory = PinDirectory::open_or_create(fs_.path(name));
    test::require(directory.ok(), "make pin directory", name.c_str());
    return *std::move(directory);
  }

  /// The message of the refusal to open `path`.
  static std::string refusal(const std::string& path) {
    const auto directory = PinDirectory::open(path);
    if (directory.ok()) return "opened";
    EXPECT_EQ(directory.error().kind, ErrorKind::Refused);
    EXPECT_FALSE(directory.error().remedy.empty());
    return directory.error().message();
  }

  static Fd map() { return Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "egress_test", 4, 8, 1, nullptr)); }
  static std::uint32_t id_of(const Fd& fd) {
    bpf_map_info info{};
    __u32 length = sizeof info;
    test::require(bpf_obj_get_info_by_fd(fd.get(), &info, &length) == 0, "map info");
    return info.id;
  }
  static bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  test::PrivateBpffs fs_;
};

TEST_F(PinDirectoryTest, IsMadeWithMode0700WhateverTheUmask) {
  const mode_t old = ::umask(0);
  const auto open = made("loose");
  ::umask(0077);
  const auto tight = made("tight/below");
  ::umask(0777);
  const auto none = made("none/below");
  ::umask(old);
  for (const auto* directory : {&open, &tight, &none}) {
    struct stat status {};
    ASSERT_EQ(::fstat(directory->fd(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700u) << directory->path();
  }
}

TEST_F(PinDirectoryTest, IsOpenedAgainWithWhatItHolds) {
  const Fd object = map();
  ASSERT_TRUE(made("a").pin(object.get(), "rules").ok());
  const auto again = PinDirectory::open(fs_.path("a"));
  ASSERT_TRUE(again.ok()) << again.error().message();
  const auto opened = again->open_pin("rules");
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(id_of(*opened), id_of(object));
}

TEST_F(PinDirectoryTest, IsNotFoundWhenThereIsNone) {
  const auto directory = PinDirectory::open(fs_.path("none"));
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().kind, ErrorKind::NotFound);
  EXPECT_TRUE(contains(directory.error().message(), fs_.path("none")));
}

// Failure J4: who may write into the directory could take the filter off.
TEST_F(PinDirectoryTest, RefusesAnotherMode) {
  made("a");
  ASSERT_EQ(::chmod(fs_.path("a").c_str(), 01777), 0);
  EXPECT_TRUE(contains(refusal(fs_.path("a")), "mode is 1777 instead of 0700"));
  EXPECT_FALSE(PinDirectory::open_or_create(fs_.path("a")).ok());
}

TEST_F(PinDirectoryTest, RefusesAnotherOwner) {
  made("a");
  ASSERT_EQ(::chown(fs_.path("a").c_str(), 65534, 65534), 0);
  EXPECT_TRUE(contains(refusal(fs_.path("a")), "owned by uid 65534 instead of root"));
}

TEST_F(PinDirectoryTest, RefusesAParentInWhichOthersMayRename) {
  made("a/b");
  ASSERT_EQ(::chmod(fs_.path("a").c_str(), 0777), 0);
  EXPECT_TRUE(contains(refusal(fs_.path("a/b")), "others may rename what is in " + fs_.path("a")));
  ASSERT_EQ(::chmod(fs_.path("a").c_str(), 01777), 0);
  EXPECT_TRUE(PinDirectory::open(fs_.path("a/b")).ok()) << "sticky: only the owner may";
  ASSERT_EQ(::chown(fs_.path("a").c_str(), 65534, 65534), 0);
  EXPECT_TRUE(contains(refusal(fs_.path("a/b")), fs_.path("a") + " is not owned by root"));
}

TEST_F(PinDirectoryTest, RefusesASymbolicLinkAtTheEndAndOnTheWay) {
  made("a/b");
  ASSERT_EQ(::symlink("a", fs_.path("link").c_str()), 0);
  EXPECT_TRUE(contains(refusal(fs_.path("link")), fs_.path("link") + " is a symbolic link"));
  EXPECT_TRUE(contains(refusal(fs_.path("link/b")), fs_.path("link") + " is a symbolic link"));
}

TEST_F(PinDirectoryTest, RefusesADirectoryThatIsNotOnBpffs) {
  char name[] = "/tmp/egress-plain-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  EXPECT_TRUE(contains(refusal(name), "not on a bpffs"));
  const auto below = PinDirectory::open_or_create(std::string(name) + "/x");
  ASSERT_FALSE(below.ok());
  EXPECT_TRUE(contains(below.error().message(), "would not be on a bpffs")) << below.error().message();
  EXPECT_EQ(::rmdir(name), 0) << "and makes nothing there";
}

TEST_F(PinDirectoryTest, RefusesPathsThatAreNotAbsoluteOrLeadBack) {
  for (const auto& path : {std::string("a/b"), std::string(), std::string("/"), fs_.path("a/../b")}) {
    const auto directory = PinDirectory::open_or_create(path);
    ASSERT_FALSE(directory.ok()) << path;
    EXPECT_EQ(directory.error().kind, ErrorKind::Usage) << path;
  }
}

// Failure J5.
TEST_F(PinDirectoryTest, SaysThatBpffsRefusesDots) {
  const auto directory = PinDirectory::open_or_create(fs_.path("a.b"));
  ASSERT_FALSE(directory.ok());
  EXPECT_TRUE(contains(directory.error().message(), "refuses names with a dot")) << directory.error().message();
}

TEST_F(PinDirectoryTest, ReplacesAPinByRenaming) {
  const auto directory = made("a");
  const Fd old = map(), fresh = map();
  ASSERT_TRUE(directory.pin(old.get(), "rules").ok());
  const auto taken = directory.pin(fresh.get(), "rules");
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code, EEXIST);
  ASSERT_TRUE(directory.pin(fresh.get(), "rules_new").ok());
  ASSERT_TRUE(directory.rename("rules_new", "rules").ok());
  EXPECT_EQ(id_of(*directory.open_pin("rules")), id_of(fresh));
  EXPECT_EQ(*directory.names(), std::vector<std::string>{"rules"});
}

TEST_F(PinDirectoryTest, ListsAndRemovesPins) {
  const auto directory = made("a");
  const Fd object = map();
  ASSERT_TRUE(directory.pin(object.get(), "sets").ok());
  ASSERT_TRUE(directory.pin(object.get(), "meta").ok());
  EXPECT_EQ(*directory.names(), (std::vector<std::string>{"meta", "sets"}));
  EXPECT_TRUE(directory.contains("sets"));
  ASSERT_TRUE(directory.unlink("sets").ok());
  EXPECT_TRUE(directory.unlink("sets").ok()) << "a second time";
  EXPECT_FALSE(directory.contains("sets"));
  const auto gone = directory.open_pin("sets");
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().kind, ErrorKind::NotFound);
  EXPECT_EQ(*directory.names(), std::vector<std::string>{"meta"});
}

TEST_F(PinDirectoryTest, OpensAMapThatCannotBeWrittenTo) {
  const auto directory = made("a");
  ASSERT_TRUE(directory.pin(map().get(), "meta").ok());
  const auto opened = directory.open_pin("meta", PinDirectory::Access::Read);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  const __u32 key = 0;
  __u64 value = 1;
  EXPECT_EQ(bpf_map_lookup_elem(opened->get(), &key, &value), 0);
  EXPECT_NE(bpf_map_update_elem(opened->get(), &key, &value, BPF_ANY), 0);
}

TEST_F(PinDirectoryTest, KnowsWhetherItsPathStillLeadsToIt) {
  const auto directory = made("a");
  EXPECT_TRUE(directory.is_current());
  ASSERT_TRUE(directory.remove().ok());
  EXPECT_FALSE(directory.is_current());
  EXPECT_TRUE(directory.remove().ok()) << "a second time";
  const auto successor = made("a");
  EXPECT_TRUE(successor.is_current());
  EXPECT_FALSE(directory.is_current());
  EXPECT_TRUE(directory.remove().ok());
  EXPECT_TRUE(successor.is_current()) << "remove() of the old one left it alone";
}

TEST_F(PinDirectoryTest, IsNotRemovedWhileItHoldsPins) {
  const auto directory = made("a");
  ASSERT_TRUE(directory.pin(map().get(), "meta").ok());
  const auto removed = directory.remove();
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code, ENOTEMPTY);
}

using DirectoryLockTest = PinDirectoryTest;

// G10: two of ours at once; two versions are J10.
TEST_F(DirectoryLockTest, ExcludesASecondHolderAndNamesTheCause) {
  const auto directory = made("a");
  const auto first = DirectoryLock::acquire(directory);
  ASSERT_TRUE(first.ok()) << first.error().message();
  const auto second = DirectoryLock::acquire(directory, milliseconds(20));
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(contains(second.error().message(), "another egress command holds it")) << second.error().message();
  EXPECT_TRUE(contains(second.error().message(), fs_.path("a")));
}

TEST_F(DirectoryLockTest, IsFreeAgainWhenTheHolderIsDone) {
  const auto directory = made("a");
  { ASSERT_TRUE(DirectoryLock::acquire(directory).ok()); }
  EXPECT_TRUE(DirectoryLock::acquire(directory, milliseconds(0)).ok());
}

TEST_F(DirectoryLockTest, IsFreeAgainWhenTheHolderIsKilled) {
  const auto directory = made("a");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = DirectoryLock::acquire(directory);
    const char held = lock.ok() ? 'y' : 'n';
    if (::write(ready[1], &held, 1) == 1) ::pause();
    ::_exit(1);
  }
  char held = 0;
  ASSERT_EQ(::read(ready[0], &held, 1), 1);
  EXPECT_EQ(held, 'y');
  EXPECT_FALSE(DirectoryLock::acquire(directory, milliseconds(5)).ok());
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(DirectoryLock::acquire(directory, milliseconds(1000)).ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(DirectoryLockTest, WaitsForTheHolder) {
  const auto directory = made("a");
  std::optional<DirectoryLock> first = *DirectoryLock::acquire(directory);
  std::thread holder([&first] {
    std::this_thread::sleep_for(milliseconds(30));
    first.reset();
  });
  EXPECT_TRUE(DirectoryLock::acquire(directory, std::chrono::seconds(10)).ok());
  holder.join();
}

TEST_F(DirectoryLockTest, IsNotGivenForADirectoryThatWasReplaced) {
  const auto old = made("a");
  ASSERT_TRUE(old.remove().ok());
  const auto successor = made("a");
  const auto lock = DirectoryLock::acquire(old);
  ASSERT_FALSE(lock.ok());
  EXPECT_EQ(DirectoryLock::acquire(successor).ok(), true);
}

}  // namespace
}  // namespace egress
