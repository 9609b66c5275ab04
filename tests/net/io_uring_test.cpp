// SPDX-License-Identifier: GPL-2.0
// Row E6: requests that the kernel carries out for a process, in its place or in a thread of its own.
#include "support/io_uring.hpp"

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

struct Mode {
  Act both, send;
};

class IoUring : public NetTest, public ::testing::WithParamInterface<Mode> {};

TEST_P(IoUring, E6RequestsAreJudgedAsTheCallsTheyStandFor) {
  constexpr SocketHandle none{-1};
  lab().peer().take_datagrams(port);
  lab().peer().accept_connections(port);
  const Actor actor = lab().actor("/a");
  const int bare = actor.perform(none, forbidden, GetParam().both);
  if (bare == ENOSYS) GTEST_SKIP() << "kernel lacks io_uring";
  ASSERT_EQ(bare, 0);
  lab().settle();
  const Arrived before = lab().peer().arrived({forbidden.address, {}, IPPROTO_UDP, {}});
  ASSERT_EQ(before.packets, 1U);
  const auto reject = added("reject cgroup /a to 203.0.113.7");
  ASSERT_EQ(reject.size(), 1U);
  EXPECT_EQ(actor.perform(none, forbidden, GetParam().both), EPERM);
  EXPECT_EQ(actor.perform(none, permitted, GetParam().both), 0);
  EXPECT_EQ(lab().actor("/b").perform(none, permitted, GetParam().both), 0);
  const nlohmann::json rule = listed(reject[0]);
  EXPECT_EQ(rule["denied"], 2U) << rule.dump();
  (void)done("rm --all");
  const auto drop = added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.perform(none, forbidden, GetParam().send), EPERM);
  EXPECT_EQ(listed(drop.at(0))["packets"], 1U);
  lab().settle();
  EXPECT_EQ(lab().peer().arrived({forbidden.address, {}, IPPROTO_UDP, {}}), before);
  EXPECT_EQ(lab().peer().connections(port), 3U) << "all but those to the forbidden address under a rule";
}

INSTANTIATE_TEST_SUITE_P(Modes, IoUring,
                         ::testing::Values(Mode{send_and_connect<0>, only_send<0>},
                                           Mode{send_and_connect<IORING_SETUP_SQPOLL>, only_send<IORING_SETUP_SQPOLL>}),
                         [](const auto& tested) { return tested.index == 0 ? "Plain" : "PolledByTheKernel"; });

}  // namespace
}  // namespace egress::test
