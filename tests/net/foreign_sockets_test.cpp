// SPDX-License-Identifier: GPL-2.0
// A1 to A4: sockets that processes of a cgroup use and that were made in another: no rule of theirs reaches them, and
// whoever makes one is told.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

/// What the next actor that is started finds here: it is a copy of the test.
pid_t giver = 0;
std::string other_cgroup;

/// Takes a file of another process, as SCM_RIGHTS would hand it over; its number here.
int take_from_giver(int file, const SocketAddress& /*to*/) {
  const long process = syscall(SYS_pidfd_open, giver, 0);
  const long taken = syscall(SYS_pidfd_getfd, process, file, 0);
  close(static_cast<int>(process));
  return static_cast<int>(taken);
}

/// Starts a child in the other cgroup that holds every file of this process; its process id.
int fork_into_other_cgroup(int /*socket*/, const SocketAddress& /*to*/) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return -errno;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char error = static_cast<char>(enter_cgroup(other_cgroup));
    if (write(ready[1], &error, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char error = 1;
  close(ready[1]);
  const bool entered = read(ready[0], &error, 1) == 1 && error == 0;
  close(ready[0]);
  return entered ? child : -1;
}

class ForeignSockets : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().peer().take_datagrams(port);
    lab().peer().accept_connections(port);
    other_cgroup = lab().make_cgroup("/b");
  }

  [[nodiscard]] SocketHandle connected(const Actor& actor) const {
    const SocketHandle socket = actor.tcp(forbidden);
    EXPECT_EQ(actor.connect(socket, forbidden), 0);
    return socket;
  }

  /// Makes a rule for /b, which is in force at once and yet, strictly taken, not everywhere: it names the socket,
  /// its holder and where it was made. The rule is taken away again.
  void expect_told(const std::string& socket, pid_t holder) const {
    for (const std::string rule : {"drop cgroup /b to 203.0.113.7", "isolate cgroup /b"}) {
      const Outcome outcome = lab().egress(rule + " --strict");
      EXPECT_EQ(outcome.status, 5) << outcome.text();
      EXPECT_NE(outcome.err.find(socket), std::string::npos) << outcome.text();
      EXPECT_NE(outcome.err.find("of pid " + std::to_string(holder) + ", made in cgroup /a\n"), std::string::npos)
          << outcome.text();
      (void)done("rm --all");
      const nlohmann::json said = done(rule + " -o json").json();
      ASSERT_EQ(said["foreign_sockets"].size(), 1U) << said.dump();
      EXPECT_EQ(said["foreign_sockets"][0]["cgroup_id"], lab().cgroup_id("/a"));
      EXPECT_EQ(said["foreign_sockets"][0]["pids"], nlohmann::json::array({holder}));
      (void)done("rm --all");
    }
  }
  void expect_nothing_told(const std::string& rule) const {
    const Outcome outcome = lab().egress(rule + " --strict");
    EXPECT_EQ(outcome.status, 0) << outcome.text();
    EXPECT_EQ(outcome.err, "");
    (void)done("rm --all");
  }
  [[nodiscard]] std::string name_of(const Actor& actor, SocketHandle socket) const {
    return "tcp 192.0.2.1:" + std::to_string(actor.port_of(socket)) + " to " + forbidden.text();
  }
};

TEST_F(ForeignSockets, A1OfAProcessThatMovedAreTold) {
  const Actor actor = lab().actor("/a");
  const SocketHandle socket = connected(actor);
  expect_nothing_told("drop cgroup /b to 203.0.113.7");
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/b")), 0);
  expect_told(name_of(actor, socket), actor.pid());
  expect_nothing_told("drop cgroup /b to 203.0.113.8");
  expect_nothing_told("drop cgroup /b to 203.0.113.7/udp");
  expect_nothing_told("audit cgroup /b to 203.0.113.7");
  expect_nothing_told("drop cgroup / to 203.0.113.7/32");
  ASSERT_EQ(actor.enter(lab().make_cgroup("/b/deep")), 0);
  expect_nothing_told("drop cgroup /b to 203.0.113.7 only");
  EXPECT_EQ(lab().egress("drop cgroup /b to 203.0.113.7 --strict").status, 5);
  EXPECT_EQ(actor.send(socket, 7), 0);
  EXPECT_TRUE(lab().peer().wait_for_stream(port, 7, 3s)) << "as was told";
}

TEST_F(ForeignSockets, A1AreDestroyedOnDemand) {
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/a");
  const SocketHandle socket = connected(actor);
  const SocketHandle of_other = connected(other);
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/b")), 0);
  const Outcome outcome = lab().egress("drop cgroup /b to 203.0.113.7 --kill-sockets --strict -o json");
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_EQ(outcome.json()["killed"], 1) << outcome.text();
  EXPECT_EQ(actor.send(socket), ECONNABORTED);
  EXPECT_EQ(other.send(of_other), 0) << "its holder is not in the subject";
  const SocketHandle datagrams = other.udp(forbidden);
  ASSERT_EQ(other.send_to(datagrams, forbidden), 0);
  ASSERT_EQ(other.enter(lab().cgroup_directory("/b")), 0);
  const Outcome again =
      lab().egress("drop cgroup /b to 203.0.113.7:" + std::to_string(port) + "/udp --kill-sockets --strict");
  EXPECT_EQ(again.status, 5) << again.text();
  EXPECT_NE(again.err.find("can use them again"), std::string::npos) << again.text();
}

TEST_F(ForeignSockets, A1MoreThanTenAreCounted) {
  const Actor actor = lab().actor("/a");
  for (int i = 0; i < 12; ++i) (void)connected(actor);
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/b")), 0);
  const Outcome outcome = lab().egress("drop cgroup /b to 203.0.113.7");
  EXPECT_NE(outcome.err.find("egress: 12 sockets"), std::string::npos) << outcome.text();
  EXPECT_NE(outcome.err.find("and 2 more\n"), std::string::npos) << outcome.text();
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 12);
}

TEST_F(ForeignSockets, A2ThatWerePassedAreTold) {
  const Actor maker = lab().actor("/a");
  const SocketHandle socket = connected(maker);
  giver = maker.pid();
  const Actor user = lab().actor("/b");
  ASSERT_GE(user.perform(socket, forbidden, take_from_giver), 0);
  expect_told(name_of(maker, socket), user.pid());
}

TEST_F(ForeignSockets, A3ThatWereInheritedAreTold) {
  const Actor parent = lab().actor("/a");
  const SocketHandle socket = connected(parent);
  const pid_t child = parent.perform(socket, forbidden, fork_into_other_cgroup);
  ASSERT_GT(child, 0);
  expect_told(name_of(parent, socket), child);
}

TEST_F(ForeignSockets, A4ListenersAndWhatTheyAcceptAreTold) {
  const Actor actor = lab().actor("/a");
  const SocketHandle listener = actor.open(AF_INET, SOCK_STREAM);
  ASSERT_EQ(actor.bind(listener, {"192.0.2.1", port}), 0);
  ASSERT_EQ(actor.listen(listener), 0);
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/b")), 0);
  expect_told("tcp listening on 192.0.2.1:" + std::to_string(port), actor.pid());
  expect_nothing_told("drop cgroup /b to 192.0.2.2/udp");
  ChildPlace far;
  far.netns = lab().network().peer();
  const Actor caller = Actor::start(far);
  const SocketHandle call = caller.open(AF_INET, SOCK_STREAM);
  ASSERT_EQ(caller.connect(call, {"192.0.2.1", port}), 0);
  ASSERT_GE(static_cast<int>(actor.accept(listener, 2s)), 0);
  const Outcome outcome = lab().egress("drop cgroup /b to 192.0.2.2 --strict --kill-sockets -o json");
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_EQ(outcome.json()["foreign_sockets"].size(), 2U) << outcome.text();
  EXPECT_EQ(outcome.json()["killed"], 2) << outcome.text();
  EXPECT_EQ(caller.connect(caller.open(AF_INET, SOCK_STREAM), {"192.0.2.1", port}), ECONNREFUSED);
}

TEST_F(ForeignSockets, A4OfASocketUnitAreToldWithTheUnitWhoseRulesReachThem) {
  (void)lab().make_cgroup("/system.slice");
  const Actor actor = lab().actor("/system.slice/web.socket");
  const SocketHandle socket = connected(actor);
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/b")), 0);
  const Outcome outcome = lab().egress("drop cgroup /b to 203.0.113.7 --strict");
  EXPECT_EQ(outcome.status, 5) << outcome.text();
  EXPECT_NE(outcome.err.find("made in cgroup /system.slice/web.socket (reached by rules for unit web.socket)\n"),
            std::string::npos)
      << outcome.text();
  EXPECT_EQ(lab().egress("drop unit web.socket to 203.0.113.7 --strict").status, 0);
  EXPECT_EQ(actor.send(socket, 7), 0);
  EXPECT_GE(done("ls unit web.socket -o json").json()[0]["packets"], 1) << "it is reached";
}

/// M1: the connection that the command is called over.
class OwnSession : public ForeignSockets {
 protected:
  [[nodiscard]] Outcome call(const std::string& line, const std::string& ssh, const std::string& cgroup = {}) const {
    Invocation invocation = lab().invocation(words_of(line));
    invocation.environment.emplace_back("SSH_CONNECTION", ssh);
    invocation.place.cgroup = cgroup;
    return run(invocation);
  }
  void expect_refused(const Outcome& outcome, const std::string& connection) const {
    EXPECT_EQ(outcome.status, 6) << outcome.text();
    EXPECT_NE(outcome.err.find(connection), std::string::npos) << outcome.text();
    EXPECT_TRUE(lab().list().empty());
  }
};

TEST_F(OwnSession, M1OfTheEnvironmentIsNotCutUnasked) {
  const Actor sshd = lab().actor("/a");
  const SocketHandle socket = connected(sshd);
  const std::string own_port = std::to_string(sshd.port_of(socket));
  const std::string ssh = "203.0.113.7 " + std::to_string(port) + " 192.0.2.1 " + own_port;
  const std::string policy =
      lab().write_file("p.yaml", "{policy: p, subjects: [{cgroup: /a}], rules: [{action: drop, to: [any]}]}");
  for (const std::string& line :
       {std::string("drop cgroup /a to 203.0.113.0/24"), std::string("reject cgroup /a to any"),
        std::string("isolate cgroup /a"), "apply -f " + policy}) {
    expect_refused(call(line, ssh), name_of(sshd, socket));
  }
  EXPECT_EQ(call("drop cgroup /a to 203.0.113.8", ssh).status, 0) << "another peer";
  EXPECT_EQ(call("drop cgroup /b to 203.0.113.7", ssh, lab().cgroup_directory("/b")).status, 0)
      << "the session is of another cgroup, wherever its shell is";
  EXPECT_EQ(call("audit cgroup /a to 203.0.113.7", ssh).status, 0);
  EXPECT_EQ(sshd.send(socket), 0);
  EXPECT_EQ(call("reject cgroup /a to 203.0.113.0/24 --yes-really", ssh).status, 0);
  EXPECT_EQ(sshd.send(socket), ECONNABORTED) << "as was asked for";
}

TEST_F(OwnSession, M1ThatCannotBeFoundIsTakenToBeOfTheCallersCgroup) {
  const std::string ssh = "203.0.113.7 50000 192.0.2.1 22";
  const std::string here = lab().make_cgroup("/a/shell");
  expect_refused(call("drop cgroup /a to 203.0.113.7:50000", ssh, here), "tcp 192.0.2.1:22 to 203.0.113.7:50000");
  EXPECT_EQ(call("drop cgroup /a to 203.0.113.7:50001", ssh, here).status, 0);
  EXPECT_EQ(call("drop cgroup /b to 203.0.113.7:50000", ssh, here).status, 0);
  EXPECT_EQ(call("drop cgroup /a to 203.0.113.7:50000", "nonsense", here).status, 0);
}

TEST_F(OwnSession, M1OfAnAncestorIsNotCutUnasked) {
  const Actor sshd = lab().actor("/a");
  const SocketHandle socket = connected(sshd);
  giver = sshd.pid();
  const int held = take_from_giver(static_cast<int>(socket), {});
  ASSERT_GE(held, 0) << "this test is the command's parent";
  expect_refused(lab().egress("drop cgroup /a to 203.0.113.7"), name_of(sshd, socket));
  close(held);
  EXPECT_EQ(lab().egress("drop cgroup /a to 203.0.113.7").status, 0);
}

}  // namespace
}  // namespace egress::test
