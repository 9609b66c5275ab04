// SPDX-License-Identifier: GPL-2.0
// What a rule of each action does to real packets, and to nothing else.
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

/// State of the socket when the rule comes: never connected, connected after it, connected before it.
enum class Socket { Unconnected, ConnectedAfter, ConnectedBefore };

struct Case {
  const char* action;  ///< "allow" stands inside a wider drop
  int protocol;
  bool v6;
  Socket socket;
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  static const char* const sockets[] = {"Unconnected", "ConnectedAfter", "ConnectedBefore"};
  return std::string(info.param.action) + (info.param.protocol == IPPROTO_TCP ? "Tcp" : "Udp") +
         (info.param.v6 ? "6" : "4") + sockets[static_cast<int>(info.param.socket)];
}

std::vector<Case> cases(int protocol) {
  std::vector<Case> all;
  for (const char* action : {"drop", "reject", "audit", "allow"}) {
    for (const bool v6 : {false, true}) {
      if (protocol == IPPROTO_UDP) all.push_back({action, protocol, v6, Socket::Unconnected});
      all.push_back({action, protocol, v6, Socket::ConnectedAfter});
      all.push_back({action, protocol, v6, Socket::ConnectedBefore});
    }
  }
  return all;
}

constexpr std::uint16_t other_port = 0x1235;

class Actions : public NetTest, public ::testing::WithParamInterface<Case> {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    for (const std::uint16_t each : {port, other_port}) {
      lab().peer().take_datagrams(each);
      lab().peer().accept_connections(each);
    }
  }

  [[nodiscard]] bool is(const char* action) const { return std::string(GetParam().action) == action; }
  [[nodiscard]] bool passes() const { return is("audit") || is("allow"); }
  [[nodiscard]] Endpoint target() const { return {GetParam().v6 ? "2001:db8:bad::1" : "203.0.113.7", port}; }
  [[nodiscard]] Endpoint elsewhere() const { return {GetParam().v6 ? "2001:db8:fee::9" : "198.51.100.9", port}; }

  /// The id of the rule in question, which names address, port and protocol.
  std::uint32_t add_rule() {
    const char* protocol = GetParam().protocol == IPPROTO_TCP ? "/tcp" : "/udp";
    if (is("allow")) {
      const auto wider =
          added(std::string("drop cgroup /a to ") + (GetParam().v6 ? "2001:db8:bad::/48" : "203.0.113.0/24"));
      wider_ = wider.empty() ? 0 : wider[0];
    }
    const auto ids =
        added(std::string(GetParam().action) + " cgroup /a to " + target().text() + protocol + " --established keep");
    return ids.empty() ? 0 : ids[0];
  }

  [[nodiscard]] Arrived counted(std::uint32_t id) const {
    const nlohmann::json rule = listed(id);
    if (rule.is_null()) {
      ADD_FAILURE() << "rule " << id << " is not listed";
      return {};
    }
    return {rule["packets"].get<std::uint64_t>(), rule["bytes"].get<std::uint64_t>()};
  }

  [[nodiscard]] Arrived arrived(std::uint16_t from_port) const {
    lab().settle();
    return lab().peer().arrived({target().address, port, GetParam().protocol, from_port});
  }

  /// Another cgroup, another port and another address are not touched; a wider drop drops its rest.
  void expect_bystanders_pass(const Actor& actor) const {
    const Actor other = lab().actor("/b");
    const Endpoint near{target().address, other_port};
    const Endpoint sibling{GetParam().v6 ? "2001:db8:bad::2" : "203.0.113.8", port};
    const auto attempt = [this](const Actor& who, const Endpoint& to) {
      return GetParam().protocol == IPPROTO_TCP ? who.try_tcp(to, is("allow") ? 150ms : 1000ms) : who.try_udp(to);
    };
    const int dropped = GetParam().protocol == IPPROTO_TCP ? ETIMEDOUT : EPERM;
    EXPECT_EQ(attempt(other, target()), 0) << "another cgroup";
    EXPECT_EQ(attempt(actor, elsewhere()), 0) << "another destination";
    EXPECT_EQ(attempt(actor, near), is("allow") ? dropped : 0) << "another port";
    EXPECT_EQ(attempt(actor, sibling), is("allow") ? dropped : 0) << "a neighbouring address";
  }

  std::uint32_t wider_ = 0;
};

using UdpActions = Actions;

TEST_P(UdpActions, DecideWhatBecomesOfDatagrams) {
  const Actor actor = lab().actor("/a");
  const Socket state = GetParam().socket;
  const SocketHandle socket = actor.udp(target());
  if (state == Socket::ConnectedBefore) {
    ASSERT_EQ(actor.connect(socket, target()), 0);
  }
  const std::uint32_t id = add_rule();
  ASSERT_NE(id, 0U);
  if (state == Socket::ConnectedAfter) {
    ASSERT_EQ(actor.connect(socket, target()), is("reject") ? EPERM : 0);
    if (is("reject")) return expect_bystanders_pass(actor);
  }
  constexpr std::uint64_t sends = 7;
  constexpr std::size_t size = 211;
  for (std::uint64_t i = 0; i < sends; ++i) {
    int error = 0;
    if (state != Socket::Unconnected)
      error = actor.send(socket, size);
    else
      error = i % 2 == 0 ? actor.send_to(socket, target(), size) : actor.send_message(socket, target(), size);
    EXPECT_EQ(error, passes() ? 0 : EPERM);
  }
  const std::uint16_t from = actor.port_of(socket);
  const Arrived all{sends, sends * (size + 8 + (GetParam().v6 ? 40 : 20))};
  EXPECT_EQ(arrived(from), passes() ? all : Arrived{});
  // sendmsg hooks refuse before there is a packet; what they refuse is not one.
  if (!(is("reject") && state == Socket::Unconnected)) {
    EXPECT_EQ(counted(id), all);
  }
  if (wider_ != 0) {
    EXPECT_EQ(counted(wider_), Arrived{});
  }
  const drop_stats stats = read_stats(lab().pin_dir());
  if (is("drop")) {
    EXPECT_EQ((Arrived{stats.packets_dropped, stats.bytes_dropped}), all);
  }
  if (passes()) {
    EXPECT_EQ(stats.packets_dropped, 0U);
  }
  expect_bystanders_pass(actor);
}

INSTANTIATE_TEST_SUITE_P(Udp, UdpActions, share_of(cases(IPPROTO_UDP), 5), name_of);

class TcpFlow : public Actions {
 protected:
  /// Sends and checks that the peer reads it all and that the rule counted what was on the wire.
  void expect_stream_passes(const Actor& actor, SocketHandle socket, std::uint32_t id, Arrived before) {
    const std::uint64_t read_before = lab().peer().stream_bytes(port);
    constexpr std::size_t size = 50'000;  // segments: more than one packet of a GSO train
    ASSERT_EQ(actor.send(socket, size), 0);
    ASSERT_TRUE(lab().peer().wait_for_stream(port, read_before + size, 3s));
    const Arrived wire = arrived(actor.port_of(socket)) - before;
    EXPECT_GT(wire.packets, size / 1460);
    EXPECT_EQ(counted(id), wire);
    EXPECT_EQ(read_stats(lab().pin_dir()).packets_dropped, 0U);
    if (wider_ != 0) {
      EXPECT_EQ(counted(wider_), Arrived{});
    }
  }

  /// Every drop of `socket` is of this rule and in the totals.
  void expect_totals(std::uint32_t id) const {
    const drop_stats stats = read_stats(lab().pin_dir());
    const Arrived rule = counted(id);
    // The kernel may retransmit between the two readings: the later one may only be larger.
    EXPECT_GE(rule.packets, stats.packets_dropped);
    EXPECT_GT(stats.packets_dropped, 0U);
  }
};

TEST_P(TcpFlow, FollowsTheRule) {
  const Actor actor = lab().actor("/a");
  const SocketHandle socket = actor.tcp(target());
  const bool established = GetParam().socket == Socket::ConnectedBefore;
  Arrived before;
  if (established) {
    ASSERT_EQ(actor.connect(socket, target()), 0);
    ASSERT_EQ(actor.send(socket, 1000), 0);
    ASSERT_TRUE(lab().peer().wait_for_stream(port, 1000, 3s));
    before = arrived(actor.port_of(socket));
  }
  const std::uint32_t id = add_rule();
  ASSERT_NE(id, 0U);
  if (passes()) {
    if (!established) {
      ASSERT_EQ(actor.connect(socket, target(), 1000ms), 0);
    }
    expect_stream_passes(actor, socket, id, before);
  } else if (established) {
    EXPECT_EQ(actor.send(socket, 1000), 0) << "an established sender learns nothing";
    EXPECT_TRUE(eventually(2s, [&] { return counted(id).packets >= 2; })) << "retransmissions are dropped too";
    EXPECT_EQ(arrived(actor.port_of(socket)), before);
    EXPECT_EQ(lab().peer().stream_bytes(port), 1000U);
    expect_totals(id);
  } else {
    EXPECT_EQ(actor.connect(socket, target(), 300ms), is("reject") ? EPERM : ETIMEDOUT);
    lab().settle();
    EXPECT_EQ(lab().peer().arrived({target().address, port, IPPROTO_TCP, {}}), Arrived{});
    if (is("drop")) {
      const Arrived dropped = counted(id);
      EXPECT_GE(dropped.packets, 1U);
      EXPECT_EQ(dropped.bytes, dropped.packets * (GetParam().v6 ? 80 : 60)) << "a SYN has 40 bytes of TCP header";
      expect_totals(id);
    }
  }
  expect_bystanders_pass(actor);
}

INSTANTIATE_TEST_SUITE_P(Tcp, TcpFlow, share_of(cases(IPPROTO_TCP), 5), name_of);

class OneAction : public NetTest {};

TEST_F(OneAction, F3CountsTheSegmentsOfUdpSegmentationOffload) {
  const Endpoint to{"203.0.113.7", port};
  lab().peer().take_datagrams(port);
  const Actor actor = lab().actor("/a");
  const auto ids = added("audit cgroup /a to 203.0.113.7");
  ASSERT_EQ(ids.size(), 1U);
  const SocketHandle socket = actor.udp(to);
  ASSERT_EQ(actor.segment_datagrams(socket, 1000), 0);
  ASSERT_EQ(actor.send_to(socket, to, 4500), 0);
  lab().settle();
  const Arrived wire = lab().peer().datagrams(to);
  EXPECT_EQ(wire, (Arrived{5, 4500 + 5 * 28}));
  const nlohmann::json rule = listed(ids[0]);
  EXPECT_EQ((Arrived{rule["packets"], rule["bytes"]}), wire);
}

TEST_F(OneAction, E8MatchesUdpLiteByPort) {
  const Endpoint to{"203.0.113.7", port};
  lab().peer().take_datagrams(port);
  const Actor actor = lab().actor("/a");
  const SocketHandle socket = actor.open(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  if (static_cast<int>(socket) < 0) GTEST_SKIP() << "kernel lacks UDP-Lite";
  (void)added("drop cgroup /a to " + to.text());
  EXPECT_EQ(actor.send_to(socket, to), EPERM);
  EXPECT_EQ(actor.send_to(socket, {to.address, other_port}), 0);
  lab().settle();
  EXPECT_EQ(lab().peer().arrived({to.address, port, {}, {}}), Arrived{});
}

TEST_F(OneAction, E9MatchesIcmpOfRawSockets) {
  const Endpoint v4{"203.0.113.7"};
  const Endpoint v6{"2001:db8:bad::1"};
  const Actor actor = lab().actor("/a");
  (void)added("drop cgroup /a to 203.0.113.7/icmp,2001:db8:bad::1/icmp");
  EXPECT_EQ(actor.send_to(actor.open(AF_INET, SOCK_RAW, IPPROTO_ICMP), v4, 64), EPERM);
  EXPECT_EQ(actor.send_to(actor.open(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), v6, 64), EPERM);
  EXPECT_EQ(actor.try_udp({v4.address, port}), 0) << "another protocol";
}

TEST_F(OneAction, C6SeesIpv4ThroughIpv6Sockets) {
  const Endpoint mapped{"::ffff:203.0.113.7", port};
  lab().peer().take_datagrams(port);
  lab().peer().accept_connections(port);
  const Actor actor = lab().actor("/a");
  (void)added("reject cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp(mapped), EPERM);
  EXPECT_EQ(actor.try_tcp(mapped), EPERM);
  EXPECT_EQ(actor.try_udp({"::ffff:203.0.113.8", port}), 0);
}

}  // namespace
}  // namespace egress::test
