// SPDX-License-Identifier: GPL-2.0
// Beside programs of others, and from inside of namespaces.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "support/foreign_program.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

/// When a unit gets a program of its own, with which flags.
struct Order {
  bool before_ours;
  unsigned flags;
};

class Coexistence : public NetTest {
 protected:
  /// The command inside of what `words` make.
  [[nodiscard]] Outcome inside(Words words, const std::string& line) const {
    Invocation call = lab().invocation(words_of(line));
    words.insert(words.end(), call.words.begin(), call.words.end());
    call.words = std::move(words);
    return run(call);
  }
  static void expect_one_line(const Outcome& outcome, int status, const std::string& part) {
    EXPECT_EQ(outcome.status, status) << outcome.text();
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
};

class BesideAUnit : public Coexistence, public ::testing::WithParamInterface<Order> {};

// G2, G3: as systemd attaches IPAddressDeny= to units, with flags 0 where they are no slice.
TEST_P(BesideAUnit, G3BothProgramsRunAndOursDrops) {
  const std::string unit = lab().make_cgroup("/system.slice/x.service");
  const Actor actor = lab().actor("/system.slice/x.service");
  const ForeignProgram theirs;
  const Order order = GetParam();
  bool attached = order.before_ours && theirs.attach(unit, order.flags);
  (void)done("drop unit x.service to 203.0.113.7");
  attached |= !order.before_ours && theirs.attach(unit, order.flags);
  ASSERT_TRUE(attached);
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
  EXPECT_EQ(actor.try_udp(permitted), 0);
  EXPECT_EQ(theirs.packets(), 2U) << "theirs does not run";
  EXPECT_EQ(actor.try_tcp(forbidden), ETIMEDOUT);
  EXPECT_EQ(done("status -o json").json()["enforcing"], true);
  (void)done("unload");
  EXPECT_EQ(actor.try_udp(forbidden), 0);
  EXPECT_GE(theirs.packets(), 3U) << "theirs went with ours";
}

INSTANTIATE_TEST_SUITE_P(Orders, BesideAUnit,
                         ::testing::Values(Order{true, 0}, Order{true, BPF_F_ALLOW_OVERRIDE},
                                           Order{true, BPF_F_ALLOW_MULTI}, Order{false, 0},
                                           Order{false, BPF_F_ALLOW_OVERRIDE}, Order{false, BPF_F_ALLOW_MULTI}),
                         [](const auto& tested) {
                           const unsigned flags = tested.param.flags;
                           const char* name = flags == 0 ? "None" : flags == BPF_F_ALLOW_MULTI ? "Multi" : "Override";
                           return std::string(name) + (tested.param.before_ours ? "Before" : "After");
                         });

TEST_F(Coexistence, G2AProgramOnTheRootThatAllowsNoOtherIsNamed) {
  const Actor actor = lab().actor("/a");
  const ForeignProgram theirs;
  for (const unsigned flags : {0U, static_cast<unsigned>(BPF_F_ALLOW_OVERRIDE)}) {
    ASSERT_TRUE(theirs.attach(lab().cgroup_root(), flags));
    expect_one_line(lab().egress("load"), 1, "(foreign) on " + lab().cgroup_root());
    EXPECT_NE(lab().egress("status").status, 0);
    EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "a load that failed left something";
    EXPECT_EQ(actor.try_udp(forbidden), 0);
    ASSERT_TRUE(theirs.detach(lab().cgroup_root()));
  }
  (void)done("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
}

TEST_F(Coexistence, G6OfSixtyFourProgramsOnTheRootOursIsOne) {
  const Actor actor = lab().actor("/a");
  std::vector<ForeignProgram> theirs(64);
  for (const ForeignProgram& one : theirs) ASSERT_TRUE(one.attach(lab().cgroup_root(), BPF_F_ALLOW_MULTI));
  expect_one_line(lab().egress("load"), 1, "64 programs");
  EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "a load that failed left something";
  ASSERT_TRUE(theirs.back().detach(lab().cgroup_root()));
  (void)done("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
  EXPECT_EQ(actor.try_udp(permitted), 0);
  EXPECT_EQ(theirs.front().packets(), 2U);
  (void)done("load");  // needs no second place
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
}

TEST_F(Coexistence, A7AProcessOutsideOfTheSubtreeIsNoSubject) {
  (void)done("load");
  const std::string self = std::to_string(getpid());
  const Outcome outcome = lab().egress("drop pid " + self + " to 203.0.113.7");
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.err.find("pid " + self), std::string::npos) << outcome.err;
  EXPECT_EQ(lab().list().size(), 0U) << "it fell back to another cgroup";
}

// Its path is as long as one below the root and ends in the name of a cgroup there.
TEST_F(Coexistence, A7AProcessBesideTheSubtreeIsNotTakenForOneInIt) {
  const std::string root = lab().make_cgroup("/in");
  const Actor inside = lab().actor("/in/b");
  const Actor beside = lab().actor("/no/b");
  const Outcome outcome =
      lab().egress("--cgroup-root " + root + " drop pid " + std::to_string(beside.pid()) + " to 203.0.113.7");
  expect_one_line(outcome, 3, "outside of the enforced subtree");
  EXPECT_EQ(inside.try_udp(forbidden), 0);
}

TEST_F(Coexistence, A7ADirectoryThatIsNoCgroupOfVersionTwoIsNoRoot) {
  const Outcome outcome = lab().egress("--cgroup-root " + lab().directory() + " load");
  expect_one_line(outcome, 1, "not in cgroup v2");
  EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0);
}

// A8: what a container sees as the root is not the host's.
TEST_F(Coexistence, A8IsRefusedInsideOfACgroupNamespace) {
  lab().make_cgroup("/a");
  const std::string point = lab().directory() + "/cgroup";
  // The pin directory is no bpffs: nothing could be attached even if the root were taken for the host's.
  const std::string no_root = "env -u EGRESS_CGROUP_ROOT EGRESS_PIN_DIR=" + lab().directory() + "/none";
  Words words = words_of("unshare -C " + no_root);
  const Outcome bare = inside(words, "load");
  expect_one_line(bare, 6, "cgroup namespace");
  // A mount of its own, as in a container: made after the namespace, its root is the container's cgroup.
  Invocation call = lab().invocation({});
  call.words = {"unshare",
                "-C",
                "-m",
                "--propagation",
                "unchanged",
                "sh",
                "-c",
                "mkdir -p " + point + " && mount -t cgroup2 none " + point + " && exec " + command_path() +
                    " load --cgroup-root " + point};
  call.place.cgroup = lab().cgroup_directory("/a");
  expect_one_line(run(call), 6, "cgroup namespace");
  EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0);
  rmdir(point.c_str());
}

/// 0 if the caller could take off anything of any hook on this cgroup; else the errno that each try got.
int try_to_detach(const std::string& cgroup_directory) {
  const int cgroup = open(cgroup_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cgroup < 0) return ENOTDIR;
  int error = 0;
  for (const bpf_attach_type hook : {BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT,
                                     BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP6_SENDMSG}) {
    if (bpf_prog_detach(cgroup, hook) == 0) return 0;
    error = errno;
  }
  for (std::uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const int link = bpf_link_get_fd_by_id(id);
    if (link >= 0) return 0;
  }
  close(cgroup);
  return error;
}

TEST_F(Coexistence, G1AnUnprivilegedUserCannotDetach) {
  const Actor actor = lab().actor("/a");
  (void)done("reject cgroup /a to 203.0.113.7");
  const ChildPlace place{lab().make_cgroup("/user"), lab().network().client(), nobody};
  const std::string root = lab().cgroup_root();
  ChildProcess plain = ChildProcess::start(place, {}, [&] { return try_to_detach(root); });
  ChildProcess root_of_its_own = ChildProcess::start(place, {}, [&] {
    return unshare(CLONE_NEWUSER) == 0 ? try_to_detach(root) : EPERM;  // no such namespaces for users: as good
  });
  for (ChildProcess* user : {&plain, &root_of_its_own}) {
    const auto status = user->wait(5s);
    ASSERT_TRUE(status);
    EXPECT_NE(WEXITSTATUS(*status), 0) << "something was taken off";
    EXPECT_NE(WEXITSTATUS(*status), ENOTDIR) << "the user did not come as far as to try";
  }
  EXPECT_EQ(done("status -o json").json()["enforcing"], true);
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
  EXPECT_EQ(actor.try_tcp(forbidden), EPERM);
  EXPECT_EQ(actor.connect(actor.udp(forbidden), forbidden), EPERM);
}

/// Somebody else's connect4 program that takes the refusal of those before it back; negative errno.
int load_that_forgives() {
  const bpf_insn code[] = {{0xb7, 1, 0, 0, 0},                    // r1 = 0
                           {0x85, 0, 0, 0, BPF_FUNC_set_retval},  // bpf_set_retval(r1), since 5.18
                           {0xb7, 0, 0, 0, 1},
                           {0x95, 0, 0, 0, 0}};  // return 1
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
  return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "forgiving", "GPL", code, std::size(code), &options);
}

TEST_F(Coexistence, G4AProgramThatTakesOurRefusalBackLetsNoPacketThrough) {
  const int program = load_that_forgives();
  if (program == -EINVAL) GTEST_SKIP() << "kernel lacks bpf_set_retval (5.18)";
  ASSERT_GE(program, 0);
  lab().peer().accept_connections(port);
  const Actor actor = lab().actor("/a");
  const auto ids = added("reject cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_tcp(forbidden), EPERM);
  EXPECT_EQ(lab().egress("doctor").text().find("(forgiving)"), std::string::npos);
  const int cgroup = open(lab().cgroup_root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(bpf_prog_attach(program, cgroup, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI), 0);
  EXPECT_EQ(actor.try_tcp(forbidden, 200ms), ETIMEDOUT) << "the refusal stood: nothing was tested";
  EXPECT_TRUE(eventually(1s, [&] { return listed(ids.at(0))["packets"] >= 1; }));
  lab().settle();
  EXPECT_EQ(lab().peer().arrived({forbidden.address, {}, {}, {}}), Arrived{});
  const std::string doctor = lab().egress("doctor").text();
  EXPECT_NE(doctor.find("(forgiving) runs after egress_connect4"), std::string::npos) << doctor;
  EXPECT_EQ(bpf_prog_detach2(program, cgroup, BPF_CGROUP_INET4_CONNECT), 0);
  EXPECT_EQ(actor.try_tcp(forbidden), EPERM);
  close(cgroup);
  close(program);
}

// I1: the boot clock of a time namespace is not the one that rules are judged by.
TEST_F(Coexistence, I1ARuleMadeInsideOfATimeNamespaceLastsAsLongAsItSays) {
  if (access("/proc/self/ns/time", F_OK) != 0) GTEST_SKIP() << "kernel lacks time namespaces";
  const Actor actor = lab().actor("/a");
  (void)done("load");
  if (access((lab().pin_dir() + "/egress_clock").c_str(), F_OK) != 0) {  // before 5.14 nobody tells the kernel's clock
    expect_one_line(inside(words_of("unshare -T --fork --boottime 1000000"), "drop cgroup /a to 203.0.113.7 for 700ms"),
                    6, "time namespace");
    EXPECT_EQ(lab().list(), nlohmann::json::array());
    return;
  }
  for (const char* offset : {"1000000", "-1"}) {
    SCOPED_TRACE(offset);
    const auto elsewhere = words_of(std::string("unshare -T --fork --boottime ") + offset);
    const std::uint64_t before = boot_now();
    const Outcome outcome = inside(elsewhere, "drop cgroup /a to 203.0.113.7 for 2s -o json");
    const std::uint64_t after = boot_now();
    ASSERT_EQ(outcome.status, 0) << outcome.text();
    const auto rule = read_rule(lab().pin_dir(), outcome.json()["ids"].at(0));
    ASSERT_TRUE(rule);
    EXPECT_GE(rule->expires_at, before + 2'000'000'000);
    EXPECT_LE(rule->expires_at, after + 2'000'000'000);
    const Outcome listing = inside(elsewhere, "ls -o json");
    ASSERT_EQ(listing.json().size(), 1U) << listing.text();
    const double left = listing.json().at(0).value("ttl_left_s", -1.0);
    EXPECT_TRUE(left > 0.0 && left <= 2.0) << listing.text();
    EXPECT_EQ(actor.try_udp(forbidden), EPERM);
    EXPECT_TRUE(eventually(5s, [&] { return actor.try_udp(forbidden) == 0; }));
    const std::uint64_t end = boot_now();
    EXPECT_GE(end, rule->expires_at);
  }
}

}  // namespace
}  // namespace egress::test
