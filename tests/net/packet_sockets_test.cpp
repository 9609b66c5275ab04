// SPDX-License-Identifier: GPL-2.0
// --no-packet-sockets: sockets whose packets meet no hook are refused when they are made (failure B8).
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "drop_egress_by_cgroup.h"
#include "support/creation_judge.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

const std::string this_program = std::filesystem::read_symlink("/proc/self/exe");

struct Kind {
  int family, type, protocol;
};
constexpr Kind refusable[] = {{AF_PACKET, SOCK_RAW, 0},
                              {AF_PACKET, SOCK_DGRAM, 0},
                              {AF_PACKET, SOCK_PACKET, 0},
                              {AF_INET, SOCK_RAW, IPPROTO_ICMP},
                              {AF_INET, SOCK_RAW, IPPROTO_RAW},
                              {AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
                              {AF_XDP, SOCK_RAW, 0}};
constexpr Kind others[] = {
    {AF_INET, SOCK_DGRAM, 0}, {AF_INET6, SOCK_STREAM, 0}, {AF_NETLINK, SOCK_RAW, 0}, {AF_UNIX, SOCK_STREAM, 0}};

class PacketSockets : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    (void)done("load");
    if (access((lab().pin_dir() + "/link_socket").c_str(), F_OK) == 0) return;
    judge_ = std::make_unique<CreationJudge>(lab().pin_dir());
  }

  /// Whether sockets are really refused here. Some kernels attach no programs to functions: there the program is asked.
  [[nodiscard]] bool is_attached() const { return judge_ == nullptr; }

  /// 0 or an errno.
  [[nodiscard]] int try_open(const Actor& actor, const Kind& kind) const {
    if (judge_) return judge_->ask(actor, kind.family, kind.type);
    const SocketHandle socket = actor.open(kind.family, kind.type, kind.protocol);
    if (static_cast<int>(socket) < 0) return -static_cast<int>(socket);
    actor.close(socket);
    return 0;
  }
  [[nodiscard]] bool refused(const Actor& actor) const { return try_open(actor, refusable[0]) == EPERM; }
  void expect_refused(const Actor& actor) const {
    for (const Kind& kind : refusable) EXPECT_EQ(try_open(actor, kind), EPERM) << kind.family << ", " << kind.type;
    for (const Kind& kind : others) EXPECT_EQ(try_open(actor, kind), 0) << kind.family << ", " << kind.type;
  }
  void expect_given(const Actor& actor) const {
    for (const Kind& kind : refusable) {
      const int error = try_open(actor, kind);
      EXPECT_TRUE(error == 0 || (kind.family == AF_XDP && error == EAFNOSUPPORT)) << kind.family << ": " << error;
    }
  }

 private:
  std::unique_ptr<CreationJudge> judge_;
};

TEST_F(PacketSockets, B8AreRefusedToTheSubjectAndWhatIsBelowItAndNobodyElse) {
  const Actor first = lab().actor("/a");
  const Actor below = lab().actor("/a/b");
  const Actor other = lab().actor("/other");
  const auto ids = added("drop cgroup /a to 203.0.113.7 --no-packet-sockets");
  expect_refused(first);
  expect_refused(below);
  expect_refused(lab().actor("/a/later/child"));
  expect_given(other);
  EXPECT_EQ(try_open(below, others[0]), 0);
  EXPECT_EQ(first.try_udp(permitted), 0);
  const nlohmann::json rule = listed(ids.at(0));
  EXPECT_EQ(rule["no_packet_sockets"], true);
  EXPECT_EQ(rule["denied"], 3 * std::size(refusable));
  EXPECT_EQ(rule["packets"], 0);
  (void)done("rm " + std::to_string(ids.at(0)));
  expect_given(first);
  expect_given(below);
}

TEST_F(PacketSockets, AreGivenWhereNoRuleSaysSo) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7");
  expect_given(actor);
  EXPECT_EQ(listed(ids.at(0))["no_packet_sockets"], false);
  const Outcome useless = lab().egress("audit cgroup /a to 203.0.113.9 --no-packet-sockets");
  EXPECT_EQ(useless.status, 2) << useless.text();
}

TEST_F(PacketSockets, OnlyMeansTheCgroupAlone) {
  const Actor above = lab().actor("/a");
  const Actor below = lab().actor("/a/b");
  (void)done("drop cgroup /a to 203.0.113.7 only --no-packet-sockets");
  EXPECT_TRUE(refused(above));
  EXPECT_FALSE(refused(below));
}

TEST_F(PacketSockets, ANameThatIsToComeIsRefusedThemFromItsFirstProcessOn) {
  (void)done("drop unit later.service to 203.0.113.7 --no-packet-sockets");
  expect_refused(lab().actor("/system.slice/later.service"));
  expect_given(lab().actor("/system.slice/other.service"));
}

TEST_F(PacketSockets, AProcessThatIsMovedIsJudgedByWhereItIs) {
  const Actor actor = lab().actor("/free");
  (void)done("drop cgroup /a to 203.0.113.7 --no-packet-sockets");
  const std::string ruled = lab().make_cgroup("/a");
  EXPECT_FALSE(refused(actor));
  ASSERT_EQ(actor.enter(ruled), 0);
  EXPECT_TRUE(refused(actor));
  ASSERT_EQ(actor.enter(lab().cgroup_directory("/free")), 0);
  EXPECT_FALSE(refused(actor));
}

TEST_F(PacketSockets, AreRefusedUntilTheRuleEndsByItself) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7 for 1m --no-packet-sockets");
  EXPECT_TRUE(refused(actor));
  (void)done("extend " + std::to_string(ids.at(0)) + " for 500ms");
  const auto rule = read_rule(lab().pin_dir(), ids.at(0));
  ASSERT_TRUE(rule);
  ASSERT_TRUE(eventually(3s, [&] { return !refused(actor); }));
  EXPECT_GE(boot_now(), rule->expires_at);
  expect_given(actor);
}

TEST_F(PacketSockets, AreRefusedAsLongAsOneRuleSaysSo) {
  const Actor actor = lab().actor("/a");
  const auto first = added("drop cgroup /a to 203.0.113.7 --no-packet-sockets");
  const auto second = added("reject cgroup /a to 203.0.113.9 --no-packet-sockets");
  const auto third = added("drop cgroup /a to 203.0.113.10 --no-packet-sockets --name third");
  (void)done("rm " + std::to_string(first.at(0)));
  EXPECT_TRUE(refused(actor));
  (void)done("drop cgroup /a to 203.0.113.9 --replace");
  EXPECT_TRUE(refused(actor));
  (void)done("rm " + std::to_string(third.at(0)));
  EXPECT_FALSE(refused(actor));
  (void)done("drop cgroup /a to 203.0.113.9 --replace --no-packet-sockets");
  EXPECT_TRUE(refused(actor));
  (void)done("load");  // another program in its place
  EXPECT_TRUE(refused(actor));
  (void)done("unload");
  EXPECT_TRUE(!is_attached() || eventually(5s, [&] { return !refused(actor); }));
}

TEST_F(PacketSockets, AsManyRulesAsFitCanSaySo) {
  std::string many;
  for (int i = 1; i <= EGRESS_REFUSING_MAX; ++i)
    many += (i == 1 ? "" : ",") + std::string("203.0.113.") + std::to_string(i);
  const auto ids = added("drop cgroup /a to " + many + " --no-packet-sockets");
  const Actor actor = lab().actor("/a");
  const Outcome more = lab().egress("drop cgroup /a to 198.51.100.1 --no-packet-sockets");
  EXPECT_EQ(more.status, 1) << more.text();
  EXPECT_NE(more.err.find("refuse packet sockets"), std::string::npos) << more.err;
  EXPECT_TRUE(refused(actor));
  std::string rest;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) rest += " " + std::to_string(ids[i]);
  (void)done("rm" + rest);
  EXPECT_TRUE(refused(actor)) << "the last one still says so";
  (void)done("rm " + std::to_string(ids.back()));
  EXPECT_FALSE(refused(actor));
}

const char* const contain = "{policy: p, subjects: [{cgroup: /a}], packet_sockets: refuse, ";

TEST_F(PacketSockets, ArePartOfAPolicyAndOfItsTrial) {
  const Actor actor = lab().actor("/a");
  const std::string denying = std::string(contain) + "default: deny, ttl: 1h}";
  (void)done("apply -f - --confirm 700ms", denying);
  EXPECT_TRUE(refused(actor));
  ASSERT_TRUE(eventually(3s, [&] { return !refused(actor); })) << "not taken back";
  (void)done("apply -f - --confirm 60s", denying);
  (void)done("confirm");
  EXPECT_TRUE(refused(actor));
  const std::string exported = done("export --name p").out;
  EXPECT_NE(exported.find("packet_sockets: refuse"), std::string::npos) << exported;
  // A change that is taken back brings the refusal back.
  (void)done("apply -f - --confirm 700ms", "{policy: p, subjects: [{cgroup: /a}], default: deny}");
  EXPECT_FALSE(refused(actor));
  ASSERT_TRUE(eventually(3s, [&] { return refused(actor); }));
  (void)done("rm --all");
  EXPECT_FALSE(refused(actor));
  (void)done("apply -f -", exported);
  EXPECT_TRUE(refused(actor));
}

TEST_F(PacketSockets, IsolateRefusesThemByItsClosingRule) {
  const Actor actor = lab().actor("/a");
  (void)done("isolate cgroup /a allow 203.0.113.8 --no-packet-sockets");
  expect_refused(actor);
  EXPECT_EQ(actor.try_udp(permitted), 0);
  const nlohmann::json rules = lab().list();
  EXPECT_EQ(std::ranges::count_if(rules, [](const auto& rule) { return rule["no_packet_sockets"] == true; }), 1);
  for (const nlohmann::json& rule : rules) EXPECT_EQ(rule["no_packet_sockets"], rule["role"] == "default");
}

TEST_F(PacketSockets, RunRefusesThemToItsCommand) {
  if (!is_attached()) GTEST_SKIP() << "kernel lacks programs that are attached to functions";
  const auto opened = [&](const std::string& options) {
    Words words = words_of("run " + options + " --");
    for (const std::string& word :
         {this_program, std::string("--act"), std::string("packet"), permitted.address, std::string("0")}) {
      words.push_back(word);
    }
    Invocation call = lab().invocation(words);
    call.place.netns = lab().network().client();
    return run(call);
  };
  EXPECT_EQ(opened("--drop 203.0.113.7").out, "0\n");
  EXPECT_EQ(opened("--drop 203.0.113.7 --no-packet-sockets").out, std::to_string(EPERM) + "\n");
  EXPECT_EQ(opened("--default-deny --allow 203.0.113.8 --no-packet-sockets").out, std::to_string(EPERM) + "\n");
  EXPECT_EQ(opened("--audit 203.0.113.7 --no-packet-sockets").status, 2);
}

TEST_F(PacketSockets, OfTheKernelAreNotRefused) {
  if (!is_attached()) GTEST_SKIP() << "kernel lacks programs that are attached to functions";
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /a to 203.0.113.7 --no-packet-sockets");
  // A network namespace has raw sockets of its own, made in the name of whoever makes it.
  EXPECT_EQ(actor.perform(SocketHandle{-1}, permitted,
                          [](int, const SocketAddress&) { return unshare(CLONE_NEWNET) == 0 ? 0 : errno; }),
            0);
  expect_refused(actor);
}

TEST_F(PacketSockets, ForTheWholeSubtreeNeedsYesReally) {
  const Actor inside = lab().actor("/a");
  const Outcome outcome = lab().egress("drop cgroup / to 203.0.113.7 --no-packet-sockets");
  EXPECT_EQ(outcome.status, 6) << outcome.text();
  EXPECT_FALSE(refused(inside));
  (void)done("drop cgroup / to 203.0.113.7 --no-packet-sockets --yes-really");
  EXPECT_TRUE(refused(inside));
  const int outside = socket(AF_PACKET, SOCK_RAW, 0);
  EXPECT_GE(outside, 0) << "refused outside of the enforced subtree";
  close(outside);
}

TEST_F(PacketSockets, WhereTheKernelCannotRefuseThemNoRuleSaysSo) {
  if (is_attached()) GTEST_SKIP() << "kernel lacks no part of this";
  ASSERT_EQ(unlink((lab().pin_dir() + "/link_socket").c_str()), 0);
  const Outcome outcome = lab().egress("drop cgroup /a to 203.0.113.7 --no-packet-sockets");
  EXPECT_EQ(outcome.status, 1) << outcome.text();
  EXPECT_NE(outcome.err.find("packet sockets: nothing that could refuse them"), std::string::npos) << outcome.err;
  EXPECT_NE(lab().egress("load").err.find("this kernel lacks creation"), std::string::npos);
  EXPECT_EQ(lab().list().size(), 0U);
  const Outcome doctor = lab().egress("doctor -o json");
  EXPECT_NE(doctor.json()["findings"].dump().find("\"no-creation\""), std::string::npos) << doctor.text();
  EXPECT_EQ(doctor.json()["features"]["creation"]["present"], false);
}

TEST_F(PacketSockets, WithoutTheHookTheRuleIsRefusedAndTheDoctorSaysSo) {
  if (!is_attached()) GTEST_SKIP() << "kernel lacks programs that are attached to functions";
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /a to 203.0.113.7 --no-packet-sockets");
  ASSERT_EQ(unlink((lab().pin_dir() + "/link_socket").c_str()), 0);
  ASSERT_TRUE(eventually(5s, [&] { return !refused(actor); }));
  const Outcome more = lab().egress("drop cgroup /b to 203.0.113.7 --no-packet-sockets");
  EXPECT_EQ(more.status, 1) << more.text();
  EXPECT_NE(more.err.find("packet sockets: nothing that could refuse them is attached"), std::string::npos) << more.err;
  EXPECT_EQ(lab().list().size(), 1U);
  const Outcome doctor = lab().egress("doctor -o json");
  EXPECT_EQ(doctor.status, 1) << doctor.text();
  EXPECT_NE(doctor.json()["findings"].dump().find("\"creation-open\""), std::string::npos) << doctor.text();
  (void)done("load");
  EXPECT_TRUE(refused(actor));
}

}  // namespace
}  // namespace egress::test
