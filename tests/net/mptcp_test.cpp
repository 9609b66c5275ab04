// SPDX-License-Identifier: GPL-2.0
// Multipath TCP: the connection, and the paths that a kernel worker adds to it later.
#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

constexpr int mptcp = 262;  // IPPROTO_MPTCP

class Mptcp : public NetTest {
 protected:
  static bool supported() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, mptcp);
    if (fd >= 0) close(fd);
    return fd >= 0;
  }
  static void ip(int netns, const std::string& line) {
    Invocation call;
    call.words = words_of("ip " + line);
    call.place.netns = netns;
    const Outcome outcome = run(call);
    ASSERT_EQ(outcome.status, 0) << line << "\n" << outcome.text();
  }
  /// A listener at the peer's end; it must stay for the connections.
  [[nodiscard]] Actor server() const {
    Actor actor = Actor::start({{}, lab().network().peer()});
    const SocketHandle socket = actor.open(AF_INET, SOCK_STREAM, mptcp);
    EXPECT_EQ(actor.bind(socket, {"0.0.0.0", port}), 0);
    EXPECT_EQ(actor.listen(socket), 0);
    return actor;
  }
  [[nodiscard]] static SocketHandle open(const Actor& actor) { return actor.open(AF_INET, SOCK_STREAM, mptcp); }
  [[nodiscard]] std::uint64_t arrived(const Endpoint& to) const {
    lab().settle();
    return lab().peer().arrived({to.address, port, IPPROTO_TCP, {}}).packets;
  }
};

TEST_F(Mptcp, E4ConnectionsAreJudgedAsTcp) {
  if (!supported()) GTEST_SKIP() << "kernel lacks MPTCP";
  const Actor listener = server();
  const Actor actor = lab().actor("/a");
  const auto reject = added("reject cgroup /a to 203.0.113.7:" + std::to_string(port) + "/tcp");
  EXPECT_EQ(actor.connect(open(actor), forbidden), EPERM);
  EXPECT_EQ(listed(reject.at(0))["denied"], 1U);
  EXPECT_EQ(actor.connect(open(actor), permitted), 0);
  (void)done("rm --all");
  const SocketHandle before = open(actor);
  ASSERT_EQ(actor.connect(before, permitted), 0);
  const auto drop = added("drop cgroup /a to 203.0.113.7,203.0.113.8");
  const std::uint64_t untouched = arrived(permitted);
  EXPECT_EQ(actor.connect(open(actor), forbidden, 100ms), ETIMEDOUT);
  EXPECT_EQ(actor.send(before), 0);
  EXPECT_TRUE(eventually(3s, [&] { return listed(drop.at(0))["packets"] >= 1 && listed(drop.at(1))["packets"] >= 1; }));
  EXPECT_EQ(arrived(forbidden), 0U);
  EXPECT_EQ(arrived(permitted), untouched);
}

// A9: the call is made by a worker of the kernel, which is in the root cgroup.
TEST_F(Mptcp, A9AJoinIsJudgedByTheCgroupOfTheSocketAndNotOfTheWorker) {
  if (!supported()) GTEST_SKIP() << "kernel lacks MPTCP";
  for (const int netns : {lab().network().client(), lab().network().peer()}) {
    ip(netns, "mptcp limits set subflows 4 add_addr_accepted 4");
  }
  ip(lab().network().peer(), "mptcp endpoint add 203.0.113.8 dev lo signal");
  const Actor listener = server();
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/b");
  const auto reject = added("reject cgroup /a to 203.0.113.8");
  const SocketHandle socket = open(actor);
  ASSERT_EQ(actor.connect(socket, forbidden), 0);
  ASSERT_EQ(actor.send(socket), 0);
  EXPECT_TRUE(eventually(5s, [&] { return listed(reject.at(0))["denied"] >= 1; })) << listed(reject.at(0)).dump();
  EXPECT_EQ(listed(reject.at(0))["packets"], 0U) << "it went as far as the packet hook";
  EXPECT_EQ(arrived(permitted), 0U);
  const SocketHandle free = open(other);
  ASSERT_EQ(other.connect(free, forbidden), 0);
  ASSERT_EQ(other.send(free), 0);
  EXPECT_TRUE(lab().peer().wait_for({permitted.address, port, IPPROTO_TCP, {}}, 1, 5s)) << "nobody joins here at all";
}

}  // namespace
}  // namespace egress::test
