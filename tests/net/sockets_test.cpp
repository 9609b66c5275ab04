// SPDX-License-Identifier: GPL-2.0
// Every way of sending that the socket interface has: rows E and F of the list of failures.
#include <fcntl.h>
#include <unistd.h>

#include "support/acts.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

struct Counted {
  std::uint64_t packets = 0, bytes = 0, denied = 0;
};

class Sockets : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().peer().take_datagrams(port);
    lab().peer().accept_connections(port);
  }

  std::uint32_t add(const std::string& line) const {
    const auto ids = added(line);
    return ids.size() == 1 ? ids[0] : 0;
  }
  [[nodiscard]] Counted counted(std::uint32_t id) const {
    const nlohmann::json rule = listed(id);
    if (!rule.is_object()) return {};
    return {rule["packets"], rule["bytes"], rule["denied"]};
  }
  [[nodiscard]] Arrived arrived(const Endpoint& to = forbidden) const {
    lab().settle();
    return lab().peer().arrived({to.address, {}, {}, {}});
  }
  /// Writes a setting of the client's network namespace.
  void set(const char* setting, const std::string& value) const {
    const ChildPlace place{{}, lab().network().client()};
    ChildProcess writer = ChildProcess::start(place, {}, [&] {
      const int fd = open(setting, O_WRONLY | O_CLOEXEC);
      return write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size()) ? 0 : errno;
    });
    ASSERT_EQ(writer.wait(5s), 0) << setting;
  }
};

TEST_F(Sockets, E1ARejectedConnectFailsAtOnceAndIsCountedApartFromPackets) {
  const Actor actor = lab().actor("/a");
  const std::uint32_t id = add("reject cgroup /a to 203.0.113.7");
  ASSERT_NE(id, 0U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(actor.connect(actor.tcp(forbidden), forbidden), EPERM);
  const Counted calls = counted(id);
  EXPECT_EQ(calls.denied, 3U);
  EXPECT_EQ(calls.packets, 0U) << "a call that was refused is no packet";
  EXPECT_EQ(arrived(), Arrived{});
  EXPECT_EQ(actor.try_tcp(permitted), 0);
}

// F2: the application tried once.
TEST_F(Sockets, F2OneAttemptToConnectIsManyPacketsAndNoDeniedCall) {
  const Actor actor = lab().actor("/a");
  const std::uint32_t id = add("drop cgroup /a to 203.0.113.7");
  ASSERT_NE(id, 0U);
  EXPECT_EQ(actor.connect(actor.tcp(forbidden), forbidden, 100ms), ETIMEDOUT);
  EXPECT_TRUE(eventually(5s, [&] { return counted(id).packets >= 2; })) << "SYN is sent again";
  const Counted drops = counted(id);
  EXPECT_EQ(drops.bytes, drops.packets * 60);
  EXPECT_EQ(drops.denied, 0U);
  EXPECT_EQ(arrived(), Arrived{});
}

TEST_F(Sockets, E2DatagramsAreRefusedByBothHooksAndByThePacketHookAlone) {
  const Actor actor = lab().actor("/a");
  const std::uint32_t drop = add("drop cgroup /a to 203.0.113.7");
  const std::uint32_t reject = add("reject cgroup /a to 203.0.113.9");
  const Endpoint rejected{"203.0.113.9", port};
  EXPECT_EQ(actor.connect(actor.udp(forbidden), forbidden), 0);
  EXPECT_EQ(actor.try_udp(forbidden), EPERM);
  EXPECT_EQ(actor.send_message(actor.udp(forbidden), forbidden), EPERM);
  EXPECT_EQ(counted(drop).packets, 2U);
  EXPECT_EQ(counted(drop).denied, 0U);
  EXPECT_EQ(actor.connect(actor.udp(rejected), rejected), EPERM);
  EXPECT_EQ(actor.try_udp(rejected), EPERM);
  EXPECT_EQ(counted(reject).packets, 0U);
  EXPECT_EQ(counted(reject).denied, 2U);
  EXPECT_EQ(arrived(), Arrived{});
  EXPECT_EQ(arrived(rejected), Arrived{});
  EXPECT_EQ(actor.try_udp(permitted), 0);
  EXPECT_EQ(arrived(permitted).packets, 1U);
}

// E3: such a socket meets the packet hook alone.
TEST_F(Sockets, E3ADatagramSocketConnectedBeforeTheRuleIsStopped) {
  for (const std::string action : {"drop", "reject"}) {
    SCOPED_TRACE(action);
    const Actor actor = lab().actor("/a");
    const SocketHandle socket = actor.udp(forbidden);
    ASSERT_EQ(actor.connect(socket, forbidden), 0);
    const Arrived before = arrived();
    ASSERT_EQ(actor.send(socket), 0);
    EXPECT_EQ((arrived() - before).packets, 1U);
    const std::uint32_t id = add(action + " cgroup /a to 203.0.113.7 --established keep");
    EXPECT_EQ(actor.send(socket), EPERM);
    EXPECT_EQ((arrived() - before).packets, 1U);
    EXPECT_EQ(counted(id).packets, 1U);
    (void)done("rm " + std::to_string(id));
    EXPECT_EQ(actor.send(socket), 0);
  }
}

TEST_F(Sockets, E5FastOpenLeavesNoData) {
  set("/proc/sys/net/ipv4/tcp_fastopen", "5");  // 4: data in the first SYN, without a cookie
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/b");
  const Endpoint rejected{"203.0.113.9", port};
  const std::uint32_t drop = add("drop cgroup /a to 203.0.113.7");
  const std::uint32_t reject = add("reject cgroup /a to 203.0.113.9");
  std::uint64_t read = 0;
  for (const Act act : {&send_with_fast_open, &connect_with_fast_open}) {
    EXPECT_EQ(actor.perform(actor.tcp(rejected), rejected, act), EPERM);
    const int answer = actor.perform(actor.tcp(forbidden), forbidden, act);
    EXPECT_TRUE(answer == 0 || answer == EINPROGRESS) << answer;
    ASSERT_EQ(other.perform(other.tcp(forbidden), forbidden, act), 0);
    ASSERT_TRUE(lab().peer().wait_for_stream(port, read += 6, 3s)) << "the other cgroup's data arrives";
  }
  const Counted dropped = counted(drop);
  EXPECT_GE(dropped.packets, 2U);
  EXPECT_GT(dropped.bytes, dropped.packets * 60) << "the SYN had no data: nothing was tested";
  EXPECT_EQ(counted(reject).denied, 2U);
  EXPECT_EQ(counted(reject).packets, 0U);
  EXPECT_EQ(arrived(rejected), Arrived{});
  EXPECT_EQ(lab().peer().stream_bytes(port), read);
  EXPECT_EQ(lab().peer().connections(port), 2U) << "of the other cgroup";
}

// E7: the application sees success (F1); the peer sees nothing until the rule ends.
TEST_F(Sockets, E7ZeroCopySendfileAndSpliceLeaveNothing) {
  const Actor actor = lab().actor("/a");
  std::uint64_t read = 0;
  for (const Act act : {&send_without_copy, &send_a_file, &splice_a_pipe}) {
    const SocketHandle socket = actor.tcp(forbidden);
    ASSERT_EQ(actor.connect(socket, forbidden), 0);
    ASSERT_EQ(actor.perform(socket, forbidden, act), 0);
    ASSERT_TRUE(lab().peer().wait_for_stream(port, read += bulk, 5s));
    const Arrived before = arrived();
    const std::uint32_t id = add("drop cgroup /a to 203.0.113.7");
    EXPECT_EQ(actor.perform(socket, forbidden, act), 0);
    EXPECT_TRUE(eventually(3s, [&] { return counted(id).packets >= 2; })) << "sent, and dropped";
    EXPECT_EQ(arrived(), before);
    EXPECT_EQ(lab().peer().stream_bytes(port), read);
    (void)done("rm " + std::to_string(id));
    EXPECT_TRUE(lab().peer().wait_for_stream(port, read += bulk, 20s)) << "delayed, not discarded";
    actor.close(socket);
  }
}

TEST_F(Sockets, E9RawSocketsMeetThePacketHook) {
  const Actor actor = lab().actor("/a");
  const std::uint32_t id = add("reject cgroup /a to 203.0.113.7");
  const SocketHandle socket = actor.open(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  EXPECT_EQ(actor.perform(socket, {forbidden.address}, send_echo_request), EPERM);
  EXPECT_EQ(actor.perform(socket, {permitted.address}, send_echo_request), 0);
  EXPECT_EQ(actor.send_to(actor.open(AF_INET, SOCK_RAW, 253), {forbidden.address}), EPERM);
  EXPECT_EQ(counted(id).packets, 2U);
  EXPECT_EQ(counted(id).denied, 0U);
  EXPECT_EQ(arrived(), Arrived{});
  EXPECT_EQ(arrived(permitted).packets, 1U);
}

TEST_F(Sockets, E10PingSocketsAreRefusedInConnectAndInSend) {
  set("/proc/sys/net/ipv4/ping_group_range", "0 65534");
  const Actor actor = lab().actor("/a", 65534);
  const SocketHandle socket = actor.open(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  ASSERT_GE(static_cast<int>(socket), 0);
  const std::uint32_t id = add("reject cgroup /a to 203.0.113.7");
  const int connected = actor.connect(socket, {forbidden.address});
  if (connected == 0) {  // before 6.1 without a hook
    EXPECT_EQ(counted(id).denied, 0U);
  } else {
    EXPECT_EQ(connected, EPERM);
    EXPECT_EQ(counted(id).denied, 1U);
  }
  const SocketHandle unconnected = actor.open(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  EXPECT_EQ(actor.perform(unconnected, {forbidden.address}, send_echo_request), EPERM);
  EXPECT_EQ(actor.perform(unconnected, {permitted.address}, send_echo_request), 0);
  EXPECT_EQ(arrived(), Arrived{});
  EXPECT_EQ(arrived(permitted).packets, 1U);
}

// E12: what QUIC does is UDP; a connection that migrates is judged packet by packet.
TEST_F(Sockets, E12AMigratingConnectionIsJudgedByTheAddressOfEachPacket) {
  const Actor actor = lab().actor("/a");
  const std::uint32_t id = add("reject cgroup /a to 203.0.113.7:" + std::to_string(port) + "/udp");
  const SocketHandle socket = actor.udp(permitted);
  ASSERT_EQ(actor.connect(socket, permitted), 0);
  EXPECT_EQ(actor.send(socket), 0);
  EXPECT_EQ(actor.send_to(socket, forbidden), EPERM) << "another path of a connected socket";
  EXPECT_EQ(actor.connect(socket, forbidden), EPERM);
  EXPECT_EQ(actor.send(socket), 0) << "where it was before";
  const SocketHandle unconnected = actor.udp(permitted);
  ASSERT_EQ(actor.bind(unconnected, {"192.0.2.1", 0x4321}), 0) << "another address of its own";
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(actor.send_to(unconnected, permitted), 0);
    EXPECT_EQ(actor.send_to(unconnected, forbidden), EPERM);
    EXPECT_EQ(actor.send_to(unconnected, {forbidden.address, port + 1}), 0) << "another port";
  }
  EXPECT_EQ(counted(id).denied, 6U);
  lab().settle();
  EXPECT_EQ(lab().peer().datagrams(forbidden), Arrived{});
  EXPECT_EQ(lab().peer().datagrams(permitted).packets, 6U);
}

enum class Headers { V4, V6, V6WithOptions };

/// Bytes of one connection; the device does not segment, so the peer counts what a wire would carry.
class LongStream : public Sockets, public ::testing::WithParamInterface<Headers> {};

// F3: the hook is called once for many segments.
TEST_P(LongStream, F3IsCountedSegmentBySegmentAsOnTheWire) {
  const Endpoint to{GetParam() == Headers::V4 ? "203.0.113.7" : "2001:db8:bad::1", port};
  const Actor actor = lab().actor("/a");
  const std::uint32_t id = add("audit cgroup /a to " + to.address);
  const SocketHandle socket = actor.tcp(to);
  const bool with_options = GetParam() == Headers::V6WithOptions;
  ASSERT_EQ(with_options ? actor.perform(socket, to, add_ipv6_options) : 0, 0);
  ASSERT_EQ(actor.connect(socket, to), 0);
  constexpr std::size_t size = 60'000;
  constexpr int sends = 40;
  for (int i = 0; i < sends; ++i) ASSERT_EQ(actor.send(socket, size), 0);
  ASSERT_TRUE(lab().peer().wait_for_stream(port, size * sends, 20s));
  lab().settle();
  const Arrived wire = with_options ? lab().peer().arrived({to.address, {}, IPPROTO_DSTOPTS, {}})
                                    : lab().peer().arrived({to.address, port, IPPROTO_TCP, {}});
  EXPECT_GT(wire.packets, size * sends / 1460);
  const Counted rule = counted(id);
  EXPECT_EQ((Arrived{rule.packets, rule.bytes}), wire);
  EXPECT_EQ(read_stats(lab().pin_dir()).packets_processed, wire.packets);
}

INSTANTIATE_TEST_SUITE_P(Families, LongStream, ::testing::Values(Headers::V4, Headers::V6, Headers::V6WithOptions),
                         [](const auto& tested) {
                           return tested.param == Headers::V4   ? "V4"
                                  : tested.param == Headers::V6 ? "V6"
                                                                : "V6WithOptions";
                         });

}  // namespace
}  // namespace egress::test
