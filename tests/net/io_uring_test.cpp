// SPDX-License-Identifier: GPL-2.0
// Row E6: requests that the kernel carries out for a process, in its place or in a thread of its own.
#include "support/io_uring.hpp"

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

int error_of(int result) { return result < 0 ? -result : 0; }

/// The socket of a request; negative errno. IORING_OP_SOCKET came with 5.19.
int make_socket(Ring& ring, int type) {
  io_uring_sqe request{};
  request.opcode = IORING_OP_SOCKET;
  request.fd = AF_INET;
  request.off = static_cast<unsigned>(type);
  const int made = ring.result_of(request);
  return made == -EINVAL ? socket(AF_INET, type | SOCK_CLOEXEC, 0) : made;
}

int connect_by(Ring& ring, const SocketAddress& to) {
  io_uring_sqe request{};
  request.opcode = IORING_OP_CONNECT;
  request.fd = make_socket(ring, SOCK_STREAM);
  request.addr = reinterpret_cast<std::uintptr_t>(to.get());
  request.off = to.length;
  return error_of(ring.result_of(request));
}

int send_by(Ring& ring, const SocketAddress& to) {
  iovec data{const_cast<char*>("secret"), 6};
  SocketAddress address = to;
  msghdr message{};
  message.msg_name = &address.storage;
  message.msg_namelen = address.length;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  io_uring_sqe request{};
  request.opcode = IORING_OP_SENDMSG;
  request.fd = make_socket(ring, SOCK_DGRAM);
  request.addr = reinterpret_cast<std::uintptr_t>(&message);
  request.len = 1;
  return error_of(ring.result_of(request));
}

/// Both requests of a ring with these flags: 0, or the errno of either; ENOTUNIQ if they differ.
template <unsigned flags>
int send_and_connect(int /*socket*/, const SocketAddress& to) {
  Ring ring(flags);
  if (!ring.works()) return ENOSYS;
  const int sent = send_by(ring, to);
  const int connected = connect_by(ring, to);
  return sent == connected ? sent : ENOTUNIQ;
}

template <unsigned flags>
int only_send(int /*socket*/, const SocketAddress& to) {
  Ring ring(flags);
  return ring.works() ? send_by(ring, to) : ENOSYS;
}

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
