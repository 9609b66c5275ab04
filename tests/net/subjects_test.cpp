// SPDX-License-Identifier: GPL-2.0
// Whose packets a rule meets: descendants, names that come later, sockets that stay behind.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <set>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

const Endpoint allowed{"203.0.113.8", 0x1234};

class Subjects : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (!IsSkipped()) lab().peer().take_datagrams(forbidden.port);
  }

  void expect_dropped(const Actor& actor, const std::string& why = {}) const {
    EXPECT_EQ(actor.try_udp(forbidden), EPERM) << why;
    EXPECT_EQ(actor.try_udp(allowed), 0) << why;
  }
  void expect_untouched(const Actor& actor, const std::string& why = {}) const {
    EXPECT_EQ(actor.try_udp(forbidden), 0) << why;
  }
  void expect_dropped_in(const std::string& cgroup) const { expect_dropped(lab().actor(cgroup), cgroup); }
  void expect_untouched_in(const std::string& cgroup) const { expect_untouched(lab().actor(cgroup), cgroup); }

  /// Gives a cgroup to nobody, as systemd delegates.
  std::string delegate(const std::string& cgroup) const {
    const std::string directory = lab().make_cgroup(cgroup);
    for (const char* file : {"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"}) {
      EXPECT_EQ(chown((directory + file).c_str(), nobody, nobody), 0) << file;
    }
    return directory;
  }

  [[nodiscard]] nlohmann::json subject_of(std::uint32_t id) const {
    const nlohmann::json rule = listed(id);
    return rule.is_object() ? rule["subject"] : rule;
  }
};

TEST_F(Subjects, A5IncludeDescendantsThatAnUnprivilegedDelegateMakesLater) {
  std::string directory = delegate("/delegated");
  const Actor actor = lab().actor("/delegated", nobody);
  (void)added("drop cgroup /delegated to 203.0.113.7");
  expect_dropped(actor, "depth 0");
  for (int depth = 1; depth <= 5; ++depth) {
    directory += "/d" + std::to_string(depth);
    ASSERT_EQ(actor.make_directory(directory), 0);
    ASSERT_EQ(actor.enter(directory), 0);
    expect_dropped(actor, directory);
  }
  expect_untouched_in("/delegated-not");
  expect_untouched_in("/other/delegated");
}

// A5: a threaded cgroup has an id of its own, which its sockets carry.
TEST_F(Subjects, A5IncludeThreadedCgroups) {
  lab().make_cgroup("/a");
  const std::string threaded = lab().make_cgroup("/a/threaded");
  const auto write_to = [](const std::string& file, const char* text) {
    const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);
    const bool written = fd >= 0 && write(fd, text, std::strlen(text)) > 0;
    const int error = written ? 0 : errno;
    close(fd);
    return error;
  };
  ASSERT_EQ(write_to(threaded + "/cgroup.type", "threaded"), 0);
  (void)added("drop cgroup /a to 203.0.113.7");
  const ChildPlace place{lab().cgroup_directory("/a"), lab().network().client(), 0};
  const auto send_from_thread = [&](const Endpoint& to) {
    ChildProcess thread = ChildProcess::start(place, {}, [&] {
      const int error = write_to(threaded + "/cgroup.threads", "0");
      if (error != 0) return ENOTSUP;
      const SocketAddress address = socket_address(to);
      const int fd = socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
      return sendto(fd, "", 1, 0, address.get(), address.length) == 1 ? 0 : errno;
    });
    return WEXITSTATUS(thread.wait(5s).value_or(0xff00));
  };
  EXPECT_EQ(send_from_thread(forbidden), EPERM);
  EXPECT_EQ(send_from_thread(allowed), 0);
}

TEST_F(Subjects, AreOneCgroupAloneWithOnly) {
  (void)added("drop cgroup /a to 203.0.113.7 only");
  expect_dropped_in("/a");
  expect_untouched_in("/a/b");
}

TEST_F(Subjects, UnitsAreFoundUnderAnyParentBeforeAndAfterTheRule) {
  const Actor before = lab().actor("/system.slice/x.service");
  (void)added("drop unit x.service to 203.0.113.7");
  expect_dropped(before, "made before the rule");
  expect_dropped_in("/user.slice/user-1.slice/x.service");
  expect_dropped_in("/x.service");
  expect_dropped_in("/x.service/child/of/it");
  expect_untouched_in("/system.slice/x.service.d");
  expect_untouched_in("/system.slice/ax.service");
  expect_untouched_in("/system.slice");
}

TEST_F(Subjects, NamesWithOddCharactersAreBoundToo) {
  const std::string odd = "/app-a\\x2db@1:x\xc3\xa9.scope";
  Outcome outcome = lab().egress(Words{"drop", "cgroup", odd, "to", "203.0.113.7"});
  ASSERT_EQ(outcome.status, 0) << outcome.text();
  expect_dropped_in(odd);
  const std::string longest = "/" + std::string(255, 'n');
  outcome = lab().egress(Words{"drop", "cgroup", longest, "to", "203.0.113.7"});
  ASSERT_EQ(outcome.status, 0) << outcome.text();
  expect_dropped_in(longest);
}

TEST_F(Subjects, APathInCgroupfsMeansTheSameCgroup) {
  (void)added("drop cgroup " + lab().cgroup_root() + "/a to 203.0.113.7");
  expect_dropped_in("/a");
  expect_untouched_in("/b");
}

TEST_F(Subjects, APidMeansItsCgroupOfNow) {
  const Actor actor = lab().actor("/a/b");
  const Actor neighbour = lab().actor("/a/b");
  (void)added("drop pid " + std::to_string(actor.pid()) + " to 203.0.113.7");
  expect_dropped(actor);
  expect_dropped(neighbour, "the rule is of the cgroup");
  expect_untouched_in("/a");
}

TEST_F(Subjects, A11AProcessThatIsOverIsNoSubjectThoughItsCgroupCanStillBeRead) {
  const Actor neighbour = lab().actor("/a");
  (void)done("load");
  ChildProcess zombie = ChildProcess::start({lab().cgroup_directory("/a")}, {}, [] { return 0; });
  const std::string pid = std::to_string(zombie.pid());
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(zombie.pid()), &info, WEXITED | WNOWAIT), 0);
  ASSERT_EQ(access(("/proc/" + pid + "/cgroup").c_str(), R_OK), 0);
  const Outcome outcome = lab().egress("drop pid " + pid + " to 203.0.113.7");
  EXPECT_EQ(outcome.status, 3) << outcome.text();
  EXPECT_EQ(lab().list(), nlohmann::json::array());
  expect_untouched(neighbour);
}

/// Goes back and forth between two cgroups until it is killed.
int wander(const std::string& one, const std::string& other) {
  for (;;) {
    if (enter_cgroup(one) != 0 || enter_cgroup(other) != 0) return 1;
  }
}

TEST_F(Subjects, A11AProcessThatMovesMeanwhileMeansACgroupItWasIn) {
  const std::string here = lab().make_cgroup("/here"), there = lab().make_cgroup("/there");
  lab().make_cgroup("/elsewhere");
  (void)done("load");
  ChildProcess wanderer = ChildProcess::start({here}, {}, [&] { return wander(here, there); });
  const std::set<std::uint64_t> ids{lab().cgroup_id("/here"), lab().cgroup_id("/there")};
  for (std::uint64_t round = 0; round < scaled(15); ++round) {
    const auto made = added("drop pid " + std::to_string(wanderer.pid()) + " to 203.0.113.7 --replace");
    ASSERT_EQ(made.size(), 1U);
    const nlohmann::json bound = subject_of(made[0])["cgroup_ids"];
    ASSERT_EQ(bound.size(), 1U) << bound.dump();
    EXPECT_TRUE(ids.contains(bound[0].get<std::uint64_t>())) << bound.dump();
  }
  EXPECT_EQ(wanderer.wait(0ms), std::nullopt);
  expect_untouched_in("/elsewhere");
}

TEST_F(Subjects, AnIdIsOneCgroupWithItsDescendantsAndEndsWithIt) {
  const Actor home = lab().actor("/home");
  lab().make_cgroup("/a");
  const auto ids = added("drop id " + std::to_string(lab().cgroup_id("/a")) + " to 203.0.113.7 forever");
  ASSERT_EQ(ids.size(), 1U);
  {
    const Actor actor = lab().actor("/a");
    expect_dropped(actor);
    expect_dropped_in("/a/child");
  }
  lab().remove_cgroup("/a/child");
  lab().remove_cgroup("/a");
  EXPECT_TRUE(eventually(3s, [&] { return listed(ids[0]).is_null(); })) << "the rule outlived its cgroup";
  expect_untouched_in("/a");  // of the same name, another id
}

TEST_F(Subjects, SocketsStayWithTheCgroupTheyWereMadeIn) {
  const Actor actor = lab().actor("/a");
  const SocketHandle old_socket = actor.udp(forbidden);
  (void)added("drop cgroup /b to 203.0.113.7");
  ASSERT_EQ(actor.enter(lab().make_cgroup("/b")), 0);
  EXPECT_EQ(actor.send_to(old_socket, forbidden), 0) << "born in /a, which has no rule";
  expect_dropped(actor, "a new socket, born in /b");
  (void)added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.send_to(old_socket, forbidden), EPERM);
}

TEST_F(Subjects, J6ASocketThatOutlivesItsCgroupIsStillJudged) {
  lab().make_cgroup("/home");
  (void)added("drop cgroup /a to 203.0.113.7");
  const Actor actor = lab().actor("/a");
  const SocketHandle socket = actor.udp(forbidden);
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/home")), 0);
  lab().remove_cgroup("/a");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(actor.send_to(socket, forbidden), EPERM);
  expect_dropped_in("/a");  // its successor
  EXPECT_EQ(actor.send_to(socket, forbidden), EPERM);
}

TEST_F(Subjects, ARuleForACgroupToComeIsPendingThenActive) {
  const auto ids = added("drop cgroup /to/come to 203.0.113.7");
  ASSERT_EQ(ids.size(), 1U);
  EXPECT_EQ(subject_of(ids[0])["state"], "pending");
  EXPECT_EQ(subject_of(ids[0])["cgroup_ids"], nlohmann::json::array());
  expect_untouched_in("/to");
  expect_dropped_in("/to/come");
  EXPECT_EQ(subject_of(ids[0])["state"], "active");
  EXPECT_EQ(subject_of(ids[0])["cgroup_ids"], nlohmann::json::array({lab().cgroup_id("/to/come")}));
  lab().remove_cgroup("/to/come");
  EXPECT_TRUE(eventually(3s, [&] { return subject_of(ids[0])["state"] == "pending"; }));
}

TEST_F(Subjects, J6NoCgroupOfAPendingNameSendsAnythingEver) {
  const std::uint64_t times = scaled(2000);
  const Actor actor = lab().actor("/home");
  (void)added("drop cgroup /app to 203.0.113.7 forever");
  (void)added("drop unit job.service to 203.0.113.7 forever");
  lab().make_cgroup("/some.slice");
  const std::string home = lab().cgroup_directory("/home");
  const Sent all{0, times, 0, 0};
  EXPECT_EQ(actor.live_and_die(lab().cgroup_directory("/app"), home, forbidden, times), all);
  EXPECT_EQ(actor.live_and_die(lab().cgroup_directory("/some.slice/job.service"), home, forbidden, times), all);
  const Sent none{20, 0, 0, 0};
  EXPECT_EQ(actor.live_and_die(lab().cgroup_directory("/some.slice/app"), home, forbidden, 20), none);
  lab().settle();
  EXPECT_EQ(lab().peer().datagrams(forbidden).packets, 20U);
}

TEST_F(Subjects, ManyPendingNamesAreAllBound) {
  std::string policy = "{policy: many, subjects: [";
  for (int i = 0; i < 50; ++i) policy += "{cgroup: /many/n" + std::to_string(i) + "},";
  policy += "{unit: u.service}], rules: [{action: drop, to: [\"203.0.113.7\"]}]}";
  (void)done("apply -f -", policy);
  for (const int i : {0, 1, 17, 48, 49}) expect_dropped_in("/many/n" + std::to_string(i));
  expect_untouched_in("/many/n50");
  expect_dropped_in("/many/u.service");
}

TEST_F(Subjects, TwoInstancesDoNotMeet) {
  Lab other;
  other.peer().take_datagrams(forbidden.port);
  (void)added("drop cgroup /a to 203.0.113.7");
  const Outcome loaded = other.egress("load");
  ASSERT_EQ(loaded.status, 0) << loaded.text();
  EXPECT_EQ(other.list(), nlohmann::json::array());
  expect_untouched(other.actor("/a"), "the other instance");
  const Outcome outcome = other.egress("unload");
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  expect_dropped_in("/a");
}

}  // namespace
}  // namespace egress::test
