// SPDX-License-Identifier: GPL-2.0
#include "sys/cgroup.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <thread>
#include <vector>

#include "support/require.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

namespace fs = std::filesystem;

void write_file(const std::string& path, const std::string& text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  test::require(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write",
                path.c_str());
}

CgroupId id_at(const std::string& directory) {
  struct stat status {};
  test::require(::stat(directory.c_str(), &status) == 0, "stat", directory.c_str());
  return CgroupId{status.st_ino};
}

/// A child that waits in a cgroup until it is killed.
class Sleeper {
 public:
  explicit Sleeper(const std::string& directory) : pid_(::fork()) {
    if (pid_ == 0) {
      for (;;) ::pause();
    }
    write_file(directory + "/cgroup.procs", std::to_string(pid_));
  }
  ~Sleeper() { reap(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  [[nodiscard]] int pid() const { return pid_; }
  /// Ends it and leaves a zombie.
  void kill() {
    ::kill(pid_, SIGKILL);
    siginfo_t info{};
    test::require(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) == 0, "waitid");
  }
  void reap() {
    if (reaped_) return;
    reaped_ = true;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  int pid_;
  bool reaped_ = false;
};

/// Trees of own cgroups below the host's root: "/egress-test-PID/…".
class CgroupTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    auto host = CgroupTree::open("");
    ASSERT_TRUE(host.ok()) << host.error().message();
    host_ = *std::move(host);
    name_ = "/egress-test-" + std::to_string(::getpid());
    top_ = (host_->directory() == "/" ? "" : host_->directory()) + name_;
    ASSERT_EQ(::mkdir(top_.c_str(), 0755), 0) << top_;
  }

  void TearDown() override { remove_below(top_); }

  static void remove_below(const std::string& directory) {
    std::vector<fs::path> all{directory};
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (entry.is_directory()) all.push_back(entry.path());
    }
    for (auto path = all.rbegin(); path != all.rend(); ++path) EXPECT_EQ(::rmdir(path->c_str()), 0) << *path;
  }

  CgroupId make(const std::string& path) const {
    fs::create_directories(top_ + path);
    return id_at(top_ + path);
  }

  [[nodiscard]] CgroupTree subtree(const std::string& path = "") const {
    auto tree = CgroupTree::open(top_ + path);
    test::require(tree.ok(), "open", path.c_str());
    return *std::move(tree);
  }

  std::optional<CgroupTree> host_;
  std::string name_, top_;
};

TEST_F(CgroupTreeTest, OpensTheRootOfTheHostByDefault) {
  EXPECT_EQ(host_->id(), CgroupId{1});
  EXPECT_EQ(host_->level(), 0u);
  EXPECT_EQ(host_->path_of(host_->id()), "/");
}

TEST_F(CgroupTreeTest, OpensASubtreeWithItsIdAndLevel) {
  const auto id = make("/a/b");
  const auto tree = subtree("/a/b");
  EXPECT_EQ(tree.id(), id);
  EXPECT_EQ(tree.level(), 3u);
  EXPECT_EQ(tree.directory(), top_ + "/a/b");
}

TEST_F(CgroupTreeTest, FollowsALinkToItsRoot) {
  const std::string link = "/tmp/egress-test-link-" + std::to_string(::getpid());
  ASSERT_EQ(::symlink(top_.c_str(), link.c_str()), 0);
  const auto tree = CgroupTree::open(link);
  ::unlink(link.c_str());
  ASSERT_TRUE(tree.ok()) << tree.error().message();
  EXPECT_EQ(tree->directory(), top_);
}

TEST_F(CgroupTreeTest, RefusesARootThatIsNotCgroupV2) {
  const auto plain = CgroupTree::open("/tmp");
  ASSERT_FALSE(plain.ok());
  EXPECT_TRUE(test::has(plain.error().message(), "not in cgroup v2")) << plain.error().message();
  const auto none = CgroupTree::open(top_ + "/none");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().kind, ErrorKind::NotFound);
  EXPECT_EQ(CgroupTree::open("relative").error().kind, ErrorKind::Usage);
}

TEST_F(CgroupTreeTest, FindsCgroupsByPath) {
  const auto id = make("/a/b");
  const auto tree = subtree();
  EXPECT_EQ(tree.cgroup_at("/a/b"), id);
  EXPECT_EQ(tree.cgroup_at("/"), tree.id());
  EXPECT_EQ(tree.cgroup_at("/a/c"), std::nullopt);
  EXPECT_EQ(tree.cgroup_at("/cgroup.procs"), std::nullopt);
  EXPECT_EQ(tree.open_cgroup("/a/c").error().kind, ErrorKind::NotFound);
}

TEST_F(CgroupTreeTest, L4NeverLeadsOutOfItsRoot) {
  make("/a/b");
  const auto tree = subtree("/a");
  for (const char* path : {"/..", "/../a", "/b/../../..", "../a", "//../a"}) {
    const auto fd = tree.open_cgroup(path);
    ASSERT_FALSE(fd.ok()) << path;
    EXPECT_EQ(fd.error().kind, ErrorKind::NotFound) << path;
  }
  EXPECT_EQ(tree.open_cgroup("").ok(), true) << "the root itself";
}

TEST_F(CgroupTreeTest, L4DoesNotFollowAMountOutOfItsRoot) {
  make("/a/b");
  make("/out/c");
  const auto tree = subtree("/a");
  const std::string point = top_ + "/a/b";
  ASSERT_EQ(::mount((top_ + "/out").c_str(), point.c_str(), nullptr, MS_BIND, nullptr), 0);
  for (const char* path : {"/b", "/b/c"}) {
    const auto fd = tree.open_cgroup(path);
    EXPECT_FALSE(fd.ok()) << path;
    EXPECT_EQ(tree.cgroup_at(path), std::nullopt) << path;
  }
  EXPECT_EQ(::umount2(point.c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(tree.open_cgroup("/b").ok());
}

TEST_F(CgroupTreeTest, TakesPathsAsUsersWriteThem) {
  const auto tree = subtree();
  EXPECT_EQ(*tree.path_from_user("/a/b"), "/a/b");
  EXPECT_EQ(*tree.path_from_user("a/b/"), "/a/b");
  EXPECT_EQ(*tree.path_from_user(top_ + "/a"), "/a");
  EXPECT_EQ(*tree.path_from_user(top_), "/");
  EXPECT_EQ(*tree.path_from_user("/"), "/");
  EXPECT_EQ(*host_->path_from_user(top_ + "/a"), name_ + "/a");
  EXPECT_EQ(tree.path_from_user("/a/../b").error().kind, ErrorKind::Usage);
}

TEST_F(CgroupTreeTest, RefusesAbsolutePathsOutsideOfIt) {
  make("/a");
  make("/ab");
  const auto tree = subtree("/a");
  for (const auto& path : {top_, top_ + "/ab", host_->directory()}) {
    const auto found = tree.path_from_user(path);
    ASSERT_FALSE(found.ok()) << path;
    EXPECT_EQ(found.error().kind, ErrorKind::NotFound);
    EXPECT_TRUE(test::has(found.error().message(), "outside of the enforced subtree " + top_ + "/a"));
  }
}

TEST_F(CgroupTreeTest, SaysWhenAPathIsOneOfV1) {
  const auto mounts = read_mounts();
  ASSERT_TRUE(mounts.ok());
  const auto v1 =
      std::find_if(mounts->begin(), mounts->end(), [](const Mount& mount) { return mount.type == "cgroup"; });
  if (v1 == mounts->end()) GTEST_SKIP() << "no cgroup v1 hierarchy is mounted here";
  const auto found = host_->path_from_user(v1->point);
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(test::has(found.error().message(), "a cgroup v1 directory")) << found.error().message();
}

TEST_F(CgroupTreeTest, TellsThePathOfAnId) {
  const auto id = make("/a/b c");
  const auto tree = subtree();
  EXPECT_EQ(tree.path_of(id), "/a/b c");
  EXPECT_EQ(tree.path_of(tree.id()), "/");
  EXPECT_EQ(host_->path_of(id), name_ + "/a/b c");
}

TEST_F(CgroupTreeTest, TellsNoPathOfAnIdThatIsElsewhereOrGone) {
  make("/a");
  const auto outside = make("/ab"), gone = make("/a/gone");
  const auto tree = subtree("/a");
  EXPECT_EQ(tree.path_of(outside), std::nullopt);
  EXPECT_EQ(tree.path_of(host_->id()), std::nullopt);
  ASSERT_EQ(::rmdir((top_ + "/a/gone").c_str()), 0);
  EXPECT_EQ(tree.path_of(gone), std::nullopt);
  EXPECT_EQ(tree.path_of(CgroupId{0}), std::nullopt);
}

TEST_F(CgroupTreeTest, J7TellsALiveCgroupCalledDeletedFromADeletedOne) {
  const auto gone = make("/x"), alive = make("/x (deleted)");
  const auto tree = subtree();
  const Fd held(::open((top_ + "/x").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::rmdir((top_ + "/x").c_str()), 0);
  EXPECT_EQ(tree.path_of(alive), "/x (deleted)");
  EXPECT_EQ(tree.path_of(gone), std::nullopt);
}

/// A process whose first thread ended in one cgroup and whose second lives on in another.
pid_t start_headless(const std::string& home, const std::string& first, const std::string& second) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  write_file(home + "/cgroup.procs", "0");
  std::atomic<bool> moved = false;
  std::thread other([&] {
    write_file(second + "/cgroup.threads", "0");
    moved = true;
    for (;;) ::pause();
  });
  while (!moved) std::this_thread::yield();
  write_file(first + "/cgroup.threads", "0");
  ::syscall(SYS_exit, 0);  // this thread only
  ::_exit(1);
}

TEST_F(CgroupTreeTest, J7TakesNoLiveCgroupForTheRemovedOneOfAProcess) {
  make("/a/t");
  make("/a/u");
  const std::string removed = top_ + "/a/t";
  for (const char* name : {"/a/t", "/a/u"}) write_file(top_ + name + "/cgroup.type", "threaded");
  const pid_t pid = start_headless(top_ + "/a", removed, top_ + "/a/u");
  bool gone = false;
  for (int tries = 0; tries < 5000 && !gone; ++tries) {
    const auto text = read_proc_file("/proc/" + std::to_string(pid) + "/cgroup");
    const bool there = text.ok() && test::has(*text, name_ + "/a/t\n");  // it has come as far
    gone = there && ::rmdir(removed.c_str()) == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  make("/a/t (deleted)");
  const auto path = subtree().path_of_process(pid);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  if (!gone) GTEST_SKIP() << "kernel lacks removal of the cgroup of a first thread that ended";
  ASSERT_FALSE(path.ok()) << *path;
  EXPECT_TRUE(test::has(path.error().message(), "is gone")) << path.error().message();
}

TEST_F(CgroupTreeTest, FindsEveryCgroupOfAName) {
  const std::set<CgroupId> expected{make("/x.service"), make("/a/x.service"), make("/a/x.service/b/x.service")};
  make("/a/ax.service");
  const auto found = subtree().cgroups_named("x.service");
  EXPECT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::set<CgroupId>(found.begin(), found.end()), expected);
}

TEST_F(CgroupTreeTest, WalksParentsFirstAndStopsWhenTold) {
  make("/a/b");
  std::vector<std::string> paths;
  subtree().walk([&](const std::string& path, const std::string&, CgroupId) {
    paths.push_back(path);
    return true;
  });
  EXPECT_EQ(paths, (std::vector<std::string>{"/a", "/a/b"}));
  int visited = 0;
  subtree().walk([&](const std::string&, const std::string&, CgroupId) { return ++visited < 1; });
  EXPECT_EQ(visited, 1);
}

TEST_F(CgroupTreeTest, FindsTheCgroupOfAProcess) {
  make("/a/b");
  const Sleeper process(top_ + "/a/b");
  EXPECT_EQ(*subtree().path_of_process(process.pid()), "/a/b");
  EXPECT_EQ(*subtree("/a").path_of_process(process.pid()), "/b");
  EXPECT_EQ(*subtree("/a/b").path_of_process(process.pid()), "/");
  EXPECT_EQ(*host_->path_of_process(process.pid()), name_ + "/a/b");
}

TEST_F(CgroupTreeTest, SaysThatAProcessIsOutside) {
  make("/a");
  make("/ab");
  const Sleeper process(top_ + "/ab");
  const auto path = subtree("/a").path_of_process(process.pid());
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().kind, ErrorKind::NotFound);
  EXPECT_TRUE(test::has(path.error().message(), name_ + "/ab is outside of the enforced subtree"))
      << path.error().message();
}

// Failure A7.
TEST_F(CgroupTreeTest, SaysThatAProcessHasNoV2CgroupOnAHybridHost) {
  const Sleeper process(host_->directory());
  const auto path = host_->path_of_process(process.pid());
  if (!host_->is_hybrid()) {
    EXPECT_EQ(*path, "/");
    return;
  }
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().kind, ErrorKind::NotFound);
  EXPECT_TRUE(test::has(path.error().message(), "no v2 cgroup for this workload")) << path.error().message();
}

TEST_F(CgroupTreeTest, KnowsNoProcessThatHasEnded) {
  make("/a");
  Sleeper process(top_ + "/a");
  process.kill();
  const auto zombie = subtree().path_of_process(process.pid());
  ASSERT_FALSE(zombie.ok());
  EXPECT_TRUE(test::has(zombie.error().message(), "no such process")) << zombie.error().message();
  process.reap();
  for (const int pid : {process.pid(), 0, -1}) {
    const auto path = subtree().path_of_process(pid);
    ASSERT_FALSE(path.ok()) << pid;
    EXPECT_EQ(path.error().kind, ErrorKind::NotFound);
  }
}

TEST_F(CgroupTreeTest, FindsAProcessInACgroupCalledDeleted) {
  make("/x (deleted)");
  const Sleeper process(top_ + "/x (deleted)");
  EXPECT_EQ(*subtree().path_of_process(process.pid()), "/x (deleted)");
}

TEST_F(CgroupTreeTest, WaitsForMkdirWithoutASideEffect) {
  make("/a");
  const auto tree = subtree();
  const auto before = read_proc_file(top_ + "/cgroup.subtree_control");
  ASSERT_TRUE(tree.wait_for_mkdir().ok());
  EXPECT_EQ(*read_proc_file(top_ + "/cgroup.subtree_control"), *before);
  EXPECT_TRUE(tree.cgroups_named("a").size() == 1);
  std::size_t below = 0;
  tree.walk([&](const std::string&, const std::string&, CgroupId) { return ++below > 0; });
  EXPECT_EQ(below, 1u);
}

TEST_F(CgroupTreeTest, ReportsThatItCannotWaitInATreeThatIsGone) {
  make("/a");
  const auto tree = subtree("/a");
  ASSERT_EQ(::rmdir((top_ + "/a").c_str()), 0);
  EXPECT_FALSE(tree.wait_for_mkdir().ok());
}

// Failure A8: in a cgroup namespace of its own "/" is not the host's root.
TEST_F(CgroupTreeTest, RefusesTheDefaultRootInACgroupNamespaceOfItsOwn) {
  make("/a");
  const std::string own = top_ + "/a";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWCGROUP) != 0) ::_exit(10);
    const auto tree = CgroupTree::open("");
    if (tree.ok()) ::_exit(11);
    if (tree.error().kind != ErrorKind::Refused) ::_exit(12);
    const auto named = CgroupTree::open(own);  // seen through the host's mount: fine
    if (!named.ok()) ::_exit(13);
    ::_exit(named->id() == id_at(own) && named->level() == 2 ? 0 : 14);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace egress
