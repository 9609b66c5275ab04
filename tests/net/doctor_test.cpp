// SPDX-License-Identifier: GPL-2.0
// `egress doctor -o json` on machines on which something is wrong, and on one on which nothing is.
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <map>

#include "support/foreign_program.hpp"
#include "support/net_test.hpp"
#include "sys/kernel_release.hpp"
#include "sys/process_view.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

const Endpoint anywhere{"203.0.113.7", 7};

class Doctor : public NetTest {
 protected:
  /// What it found, by code.
  [[nodiscard]] static std::map<std::string, nlohmann::json> found_by(const Outcome& outcome) {
    std::map<std::string, nlohmann::json> found;
    const nlohmann::json said = outcome.json();
    EXPECT_TRUE(said.contains("findings")) << outcome.text();
    for (const nlohmann::json& finding : said.value("findings", nlohmann::json::array())) {
      EXPECT_FALSE(finding["text"].get<std::string>().empty());
      EXPECT_FALSE(finding["remedy"].get<std::string>().empty()) << finding.dump();
      found[finding["code"]] = finding;
    }
    return found;
  }
  [[nodiscard]] std::map<std::string, nlohmann::json> findings() const {
    return found_by(lab().egress("doctor -o json"));
  }

  /// That the finding is there and names this.
  void expect_finding(const std::string& code, const std::string& severity, const std::string& part) const {
    expect_among(findings(), code, severity, part);
  }
  static void expect_among(const std::map<std::string, nlohmann::json>& found, const std::string& code,
                           const std::string& severity, const std::string& part) {
    const auto at = found.find(code);
    ASSERT_NE(at, found.end()) << code << " was not found";
    EXPECT_EQ(at->second["severity"], severity);
    EXPECT_NE(at->second["text"].get<std::string>().find(part), std::string::npos) << at->second.dump();
  }
  void expect_no_finding(const std::string& code) const { EXPECT_FALSE(findings().contains(code)) << code; }

  /// The command inside of what `words` make.
  [[nodiscard]] Outcome inside(Words words, const std::string& line) const {
    Invocation call = lab().invocation(words_of(line));
    words.insert(words.end(), call.words.begin(), call.words.end());
    call.words = std::move(words);
    return run(call);
  }
  [[nodiscard]] std::string pin(const std::string& name) const { return lab().pin_dir() + "/" + name; }
};

TEST_F(Doctor, FindsNothingOnAHealthyMachine) {
  const Actor plain = lab().actor("/a", nobody);
  (void)done("drop cgroup /a to 203.0.113.7");
  const Outcome outcome = lab().egress("doctor -o json");
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  auto found = found_by(outcome);
  // Of this machine, not of the instance: it may be hybrid, and its kernel old.
  for (const char* const part : {"v1-only-processes", "no-creation", "no-sweep", "no-clock"}) found.erase(part);
  EXPECT_TRUE(found.empty()) << outcome.text();
}

TEST_F(Doctor, SaysInWordsWhatItSaysInJson) {
  (void)done("load");
  ASSERT_EQ(unlink(pin("reasons").c_str()), 0);
  const Outcome text = lab().egress("doctor");
  EXPECT_NE(text.out.find("warning: no pin of reasons"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("(egress load pins them again)"), std::string::npos) << text.out;
}

TEST_F(Doctor, SaysThatItsSelfTestCouldNotBeMade) {
  (void)done("load");
  std::ofstream(lab().cgroup_root() + "/cgroup.max.descendants") << "0" << std::flush;
  expect_finding("canary-failed", "warning", "the self-test could not be made");
  std::ofstream(lab().cgroup_root() + "/cgroup.max.descendants") << "max" << std::flush;
  expect_no_finding("canary-failed");
}

// For tests/vm only: it mounts a hierarchy, which changes how sockets of the whole machine are treated.
TEST_F(Doctor, DISABLED_A6SaysThatNetworkControllersOfVersionOneAreInUse) {
  if (!release_older_than(kernel_release(), 5, 15)) GTEST_SKIP() << "kernel lacks this failure (5.15)";
  (void)done("load");
  expect_no_finding("v1-network-controllers");
  const std::string point = lab().directory() + "/net_prio";
  ASSERT_EQ(mkdir(point.c_str(), 0700), 0);
  ASSERT_EQ(mount("none", point.c_str(), "cgroup", 0, "net_prio"), 0) << strerror(errno);
  expect_finding("v1-network-controllers", "problem", "net_cls or net_prio is mounted");
  ASSERT_EQ(umount(point.c_str()), 0);
  EXPECT_TRUE(eventually(5s, [&] { return !findings().contains("v1-network-controllers"); }));
}

TEST_F(Doctor, A7SaysThatTheRootIsNoCgroupOfVersionTwo) {
  const auto found = found_by(lab().egress("--cgroup-root " + lab().directory() + " doctor -o json"));
  expect_among(found, "root", "problem", "not in cgroup v2");
}

TEST_F(Doctor, A7NamesProcessesThatAreInVersionOneOnly) {
  const std::string directory = "/sys/fs/cgroup/memory/egress-test-" + std::to_string(getpid());
  if (mkdir(directory.c_str(), 0755) != 0) GTEST_SKIP() << "kernel lacks cgroup v1 beside v2 here";
  (void)done("load");
  {
    const ChildProcess child = ChildProcess::start({directory}, {}, [] { return pause(); });
    // Others of this machine may be, too: three are named.
    std::ifstream cgroups("/proc/" + std::to_string(child.pid()) + "/cgroup");
    const std::string text{std::istreambuf_iterator<char>(cgroups), {}};
    ASSERT_TRUE(is_in_v1_only(text)) << text;
    expect_finding("v1-only-processes", "note", "in cgroups of version 1 only");
  }
  EXPECT_TRUE(eventually(5s, [&] { return rmdir(directory.c_str()) == 0; }));
}

TEST_F(Doctor, A8SaysThatItIsInACgroupNamespace) {
  lab().make_cgroup("/a");
  (void)done("load");
  const Outcome outcome = inside(words_of("unshare -C"), "doctor -o json");
  EXPECT_EQ(outcome.status, 1) << outcome.text();
  expect_among(found_by(outcome), "cgroup-namespace", "problem", "cgroup namespace");
  expect_no_finding("cgroup-namespace");
}

TEST_F(Doctor, I1SaysThatItIsInATimeNamespace) {
  if (access("/proc/self/ns/time", F_OK) != 0) GTEST_SKIP() << "kernel lacks time namespaces";
  (void)done("load");
  const Outcome outcome = inside(words_of("unshare -T --fork --boottime 1000000"), "doctor -o json");
  expect_among(found_by(outcome), "time-namespace", "warning", "time namespace");
  expect_no_finding("time-namespace");
}

int open_tun(int /*socket*/, const SocketAddress& /*to*/) {
  const std::string own = "/tmp/egress-test-tun-" + std::to_string(getpid());
  if (mknod(own.c_str(), S_IFCHR | 0600, makedev(10, 200)) != 0) return errno;
  const int tun = open(own.c_str(), O_RDWR | O_CLOEXEC);
  const int error = tun < 0 ? errno : 0;
  unlink(own.c_str());
  return error;
}

TEST_F(Doctor, B7NamesAProcessOfASubjectThatHoldsATunDevice) {
  const Actor ruled = lab().actor("/a/b");
  const Actor free = lab().actor("/free");
  (void)done("drop cgroup /a to 203.0.113.7");
  expect_no_finding("tun-open");
  const int error = free.perform(SocketHandle{-1}, anywhere, open_tun);
  if (error == ENXIO || error == ENODEV) GTEST_SKIP() << "kernel lacks TUN";
  ASSERT_EQ(error, 0);
  expect_no_finding("tun-open");
  ASSERT_EQ(ruled.perform(SocketHandle{-1}, anywhere, open_tun), 0);
  expect_finding("tun-open", "warning", "process " + std::to_string(ruled.pid()) + " (");
  expect_finding("tun-open", "warning", "of cgroup /a)");
}

TEST_F(Doctor, B8NamesAProcessOfASubjectThatHoldsAPacketSocket) {
  const Actor ruled = lab().actor("/a/b");
  const Actor free = lab().actor("/free");
  const SocketHandle elsewhere = free.open(AF_PACKET, SOCK_RAW);
  ASSERT_GE(static_cast<int>(elsewhere), 0);
  (void)done("reject cgroup /a to 203.0.113.7");
  (void)done("audit cgroup /free to 203.0.113.7");
  expect_no_finding("packet-socket");
  const SocketHandle socket = ruled.open(AF_PACKET, SOCK_RAW);
  ASSERT_GE(static_cast<int>(socket), 0);
  expect_finding("packet-socket", "warning", "process " + std::to_string(ruled.pid()) + " (");
  ruled.close(socket);
  expect_no_finding("packet-socket");
}

/// Gives up CAP_NET_RAW and keeps everything else.
int drop_net_raw(int /*socket*/, const SocketAddress& /*to*/) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, sets) != 0) return errno;
  sets[0].effective &= ~(1U << CAP_NET_RAW);
  return syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

TEST_F(Doctor, B8NamesProcessesOfASubjectThatMayOpenPacketSockets) {
  const Actor able = lab().actor("/a");
  const Actor unable = lab().actor("/a", nobody);
  (void)done("drop cgroup /a to 203.0.113.7 only");
  expect_finding("may-open-packet-sockets", "note", "process " + std::to_string(able.pid()) + " (");
  ASSERT_EQ(able.perform(SocketHandle{-1}, anywhere, drop_net_raw), 0);
  expect_no_finding("may-open-packet-sockets");
  (void)added("drop cgroup / to 203.0.113.7");
  expect_no_finding("may-open-packet-sockets");
  const Actor other = lab().actor("/b");
  expect_finding("may-open-packet-sockets", "note", "process " + std::to_string(other.pid()) + " (");
  (void)done("rm --all");
  expect_no_finding("may-open-packet-sockets");
}

TEST_F(Doctor, G2SaysThatAProgramAboveGivesWayToOurs) {
  const std::string outer = lab().make_cgroup("/outer");
  const std::string options = "--cgroup-root " + lab().make_cgroup("/outer/inner") + " ";
  const ForeignProgram theirs;
  ASSERT_TRUE(theirs.attach(outer, BPF_F_ALLOW_OVERRIDE));
  const Actor actor = lab().actor("/outer/inner");
  EXPECT_EQ(actor.try_udp(anywhere), 0);
  ASSERT_EQ(theirs.packets(), 1U);
  EXPECT_FALSE(found_by(lab().egress(options + "doctor -o json")).contains("foreign-displaced"));
  (void)done(options + "load");
  EXPECT_EQ(actor.try_udp(anywhere), 0);
  EXPECT_EQ(theirs.packets(), 1U) << "theirs runs all the same";
  const auto found = found_by(lab().egress(options + "doctor -o json"));
  expect_among(found, "foreign-displaced", "warning", "(foreign) on " + outer);
  expect_among(found, "foreign-detachable", "warning", "(foreign) on " + outer);
  (void)done(options + "unload");
}

TEST_F(Doctor, G2NamesWhatKeepsTheFilterOut) {
  const ForeignProgram theirs;
  for (const unsigned flags : {0U, static_cast<unsigned>(BPF_F_ALLOW_OVERRIDE)}) {
    ASSERT_TRUE(theirs.attach(lab().cgroup_root(), flags));
    expect_finding("foreign-blocks", "problem", "(foreign) on " + lab().cgroup_root());
    ASSERT_TRUE(theirs.detach(lab().cgroup_root()));
  }
  expect_no_finding("foreign-blocks");
}

TEST_F(Doctor, G3NamesProgramsBelowThatAllowNoOther) {
  (void)done("load");
  const std::string first = lab().make_cgroup("/system.slice/x.service");
  const std::string second = lab().make_cgroup("/system.slice/y.service");
  const ForeignProgram theirs;
  ASSERT_TRUE(theirs.attach(first, BPF_F_ALLOW_MULTI));
  expect_no_finding("foreign-exclusive");
  expect_no_finding("foreign-replaceable");
  ASSERT_TRUE(theirs.detach(first));
  ASSERT_TRUE(theirs.attach(first, 0));
  ASSERT_TRUE(theirs.attach(second, BPF_F_ALLOW_OVERRIDE));
  const auto found = findings();
  expect_among(found, "foreign-exclusive", "note", "(foreign) on " + first + " keeps");
  expect_among(found, "foreign-replaceable", "note", "(foreign) on " + second + " gives way");
  ASSERT_TRUE(theirs.detach(second));
  ASSERT_TRUE(theirs.attach(second, 0));
  expect_finding("foreign-exclusive", "note", "(and on 1 more cgroups)");
}

TEST_F(Doctor, G6SaysThatTheRootBearsAsManyProgramsAsItCan) {
  std::vector<ForeignProgram> theirs(64);
  for (const ForeignProgram& one : theirs) ASSERT_TRUE(one.attach(lab().cgroup_root(), BPF_F_ALLOW_MULTI));
  expect_finding("no-place", "problem", "64 programs at the hook of egress_skb");
  ASSERT_TRUE(theirs.back().detach(lab().cgroup_root()));
  expect_no_finding("no-place");
  (void)done("load");
  expect_no_finding("no-place");
  expect_finding("places-full", "note", "64 programs at the hook of egress_skb");
}

TEST_F(Doctor, J1AndJ2SayWhatIsMissing) {
  expect_finding("not-loaded", "problem", "nothing is loaded");
  (void)done("load");
  expect_no_finding("not-loaded");
  ASSERT_EQ(unlink(pin("link_egress_skb").c_str()), 0);
  ASSERT_TRUE(eventually(5s, [&] { return findings().contains("link-missing"); }));
  ASSERT_EQ(unlink(pin("rules").c_str()), 0);
  expect_finding("pins-missing", "warning", "no pin of rules in ");
  (void)done("load");
  expect_no_finding("link-missing");
  expect_no_finding("pins-missing");
}

TEST_F(Doctor, J3AndJ4SayThatPinsAreHiddenOrUnsafe) {
  (void)done("load");
  ASSERT_EQ(chmod(lab().pin_dir().c_str(), 0755), 0);
  expect_finding("pin-dir-unsafe", "problem", "0755 instead of 0700");
  ASSERT_EQ(chmod(lab().pin_dir().c_str(), 0700), 0);
  expect_no_finding("pin-dir-unsafe");
  const std::string bpffs = lab().directory() + "/bpf";
  ASSERT_EQ(mount("bpf", bpffs.c_str(), "bpf", 0, "mode=0700"), 0);
  expect_finding("pins-hidden", "warning", "cannot be seen");
  ASSERT_EQ(umount(bpffs.c_str()), 0);
  expect_no_finding("pins-hidden");
}

TEST_F(Doctor, J10SaysThatPinsWereReplaced) {
  (void)done("load");
  expect_no_finding("pins-replaced");
  const int map = bpf_map_create(BPF_MAP_TYPE_HASH, "names", 8, 8, 64, nullptr);
  ASSERT_GE(map, 0);
  ASSERT_EQ(unlink(pin("names").c_str()), 0);
  ASSERT_EQ(bpf_obj_pin(map, pin("names").c_str()), 0);
  close(map);
  expect_finding("pins-replaced", "problem", "the pins of names in ");
}

TEST_F(Doctor, StatusSaysHowMuchMemoryEachMapTakes) {
  (void)done("load");
  const nlohmann::json said = done("status -o json").json();
  const nlohmann::json& maps = said["memory_by_map"];
  std::uint64_t sum = 0;
  for (const auto& [map, bytes] : maps.items()) sum += bytes.get<std::uint64_t>();
  EXPECT_EQ(said["memory_bytes"], sum);
  EXPECT_GE(maps.value("rules", 0), said["rules"]["capacity"].get<std::uint64_t>() * sizeof(egress_rule));
  const std::string text = done("status").out;
  EXPECT_NE(text.find("memory       " + std::to_string(sum / 1024) + " KiB\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n  rules "), std::string::npos) << text;
  EXPECT_NE(text.find("\n  other maps "), std::string::npos) << text;
}

}  // namespace
}  // namespace egress::test
