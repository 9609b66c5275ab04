// SPDX-License-Identifier: GPL-2.0
// Which address a rule is asked about when there is more than one: NAT, source routes, headers made by hand,
// groups with members on this host, and the kernel's own neighbour discovery.
#include <net/if.h>

#include "support/acts.hpp"
#include "support/frames.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Addresses : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().peer().take_datagrams(port);
    lab().peer().accept_connections(port);
  }
  [[nodiscard]] std::uint64_t arrived(const std::string& address) const {
    lab().settle();
    return lab().peer().arrived({address, {}, {}, {}}).packets;
  }
  [[nodiscard]] std::uint64_t source_routed() const { return read_reason(lab().pin_dir(), EGRESS_REASON_SOURCE_ROUTE); }
  [[nodiscard]] nlohmann::json field(std::uint32_t id, const char* name) const {
    const nlohmann::json rule = listed(id);
    return rule.is_object() ? rule[name] : rule;
  }
};

// ---- D1: NAT in the network namespace of the sender

const Endpoint vip{"203.0.113.7", port};
const Endpoint backend{"203.0.113.8", port};

class BehindNat : public Addresses {
 protected:
  void SetUp() override {
    Addresses::SetUp();
    if (IsSkipped()) return;
    Invocation call;
    call.words = {"nft", "-f", "-"};
    call.input =
        "table ip t { chain output { type nat hook output priority -100;\n"
        "ip daddr 203.0.113.7 meta l4proto { tcp, udp } dnat to 203.0.113.8\n}\n}\n";
    call.place.netns = lab().network().client();
    const Outcome outcome = run(call);
    const bool lacking = outcome.err.find("Could not process rule") != std::string::npos ||
                         outcome.err.find("not supported") != std::string::npos;
    if (lacking) GTEST_SKIP() << "kernel lacks NAT by nftables: " << outcome.text();
    ASSERT_EQ(outcome.status, 0) << outcome.text();
  }
};

// Manual: packets are judged by the address after NAT, connect(2) by the one before.
TEST_F(BehindNat, D1ADropOfTheVirtualAddressMeetsNoPacket) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp(vip), 0);
  EXPECT_EQ(actor.try_tcp(vip), 0);
  EXPECT_EQ(field(ids.at(0), "packets"), 0U);
  EXPECT_GE(arrived(backend.address), 2U);
  EXPECT_EQ(arrived(vip.address), 0U) << "there is no NAT: nothing was tested";
}

TEST_F(BehindNat, D1ADropOfTheBackendMeetsEveryPacket) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("drop cgroup /a to 203.0.113.8");
  EXPECT_EQ(actor.try_udp(vip), EPERM);
  EXPECT_EQ(actor.try_udp(backend), EPERM);
  EXPECT_EQ(actor.try_tcp(vip, 200ms), ETIMEDOUT);
  EXPECT_GE(field(ids.at(0), "packets"), 3U);
  EXPECT_EQ(arrived(backend.address), 0U);
}

TEST_F(BehindNat, D1ARejectOfTheVirtualAddressRefusesTheCalls) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("reject cgroup /a to 203.0.113.7");
  EXPECT_EQ(actor.try_udp(vip), EPERM);
  EXPECT_EQ(actor.try_tcp(vip), EPERM);
  EXPECT_EQ(field(ids.at(0), "denied"), 2U);
  EXPECT_EQ(field(ids.at(0), "packets"), 0U);
  EXPECT_EQ(arrived(backend.address), 0U);
  EXPECT_EQ(actor.try_udp(backend), 0) << "the backend by its own address";
}

TEST_F(BehindNat, D1ARejectOfTheBackendRefusesNoCallAndStopsThePackets) {
  const Actor actor = lab().actor("/a");
  const auto ids = added("reject cgroup /a to 203.0.113.8");
  EXPECT_EQ(actor.try_udp(vip), EPERM) << "by the packet hook";
  EXPECT_EQ(actor.try_tcp(vip, 200ms), ETIMEDOUT) << "connect(2) saw the virtual address";
  EXPECT_EQ(field(ids.at(0), "denied"), 0U);
  EXPECT_GE(field(ids.at(0), "packets"), 2U);
  EXPECT_EQ(actor.try_tcp(backend), EPERM);
  EXPECT_EQ(arrived(backend.address), 0U);
}

// ---- D5: the destination of the header is the first hop, the last one is hidden behind it

TEST_F(Addresses, D5ARoutingHeaderIsDroppedAndCountedWhereARuleDecides) {
  const Actor actor = lab().actor("/a", 65534);
  const Actor other = lab().actor("/b", 65534);
  const Endpoint hidden{"2001:db8:bad::1", port};
  const auto ids = added("drop cgroup /a to 2001:db8:bad::1");
  const int bare = other.perform(none, hidden, send_by_segments);
  if (bare == ENOSYS) GTEST_SKIP() << "kernel lacks routing headers for every user";
  EXPECT_EQ(bare, 0);
  EXPECT_EQ(arrived("2001:db8:bad::2"), 1U) << "the header names the hop";
  EXPECT_EQ(source_routed(), 0U) << "of a cgroup without rules";
  EXPECT_EQ(actor.perform(none, hidden, send_by_segments), EPERM);
  EXPECT_EQ(source_routed(), 1U);
  EXPECT_EQ(actor.perform(none, {"2001:db8:fee::9", port}, send_by_segments), EPERM) << "wherever it leads";
  EXPECT_EQ(source_routed(), 2U);
  EXPECT_EQ(field(ids.at(0), "packets"), 0U) << "no rule decided it";
  EXPECT_EQ(arrived("2001:db8:bad::2"), 1U);
  EXPECT_EQ(read_stats(lab().pin_dir()).packets_dropped, 2U);
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::2", port}), 0) << "without a route";
}

TEST_F(Addresses, D5SourceRoutesOfIpv4AreDroppedAndCountedWhereARuleDecides) {
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/b");
  const Endpoint hidden{"203.0.113.7", port};
  (void)added("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(other.perform(none, hidden, send_by_source_route<IPOPT_LSRR>), 0);
  const std::uint64_t by_hop = arrived("203.0.113.8");
  EXPECT_EQ(by_hop, 1U);
  EXPECT_EQ(actor.perform(none, hidden, send_by_source_route<IPOPT_LSRR>), EPERM);
  // The next hop of a strict route must be a neighbour.
  const int strict = actor.perform(none, {"192.0.2.2", port}, send_by_source_route<IPOPT_SSRR>);
  EXPECT_TRUE(strict == EPERM || strict == ENETUNREACH) << strict;
  EXPECT_EQ(source_routed(), strict == EPERM ? 2U : 1U);
  EXPECT_EQ(arrived("203.0.113.8"), by_hop);
  EXPECT_EQ(actor.perform(none, {"203.0.113.8", port}, send_with_recorded_route), 0) << "an option that routes nothing";
  EXPECT_EQ(arrived("203.0.113.8"), by_hop + 1);
}

// ---- D6: the caller writes the header

int craft(const Endpoint& header, const SocketAddress& to) {
  return send_crafted(datagram_to(socket_address(header)), to);
}
int craft_forbidden(int /*socket*/, const SocketAddress& to) { return craft(forbidden, to); }
int craft_permitted(int /*socket*/, const SocketAddress& to) { return craft(permitted, to); }

TEST_F(Addresses, D6TheHeaderOfTheCallerCountsAndNotTheAddressOfTheCall) {
  const Actor actor = lab().actor("/a");
  for (const std::string action : {"drop", "reject"}) {
    SCOPED_TRACE(action);
    const auto ids = added(action + " cgroup /a to 203.0.113.7:" + std::to_string(port) + "/udp");
    const std::uint64_t before = arrived("203.0.113.8");
    EXPECT_EQ(actor.perform(none, {"203.0.113.8"}, craft_forbidden), EPERM);
    EXPECT_EQ(actor.perform(none, {"203.0.113.7"}, craft_permitted), 0);
    EXPECT_EQ(field(ids.at(0), "packets"), 1U);
    EXPECT_EQ(field(ids.at(0), "denied"), 0U) << "raw sockets meet no socket hook";
    EXPECT_EQ(arrived("203.0.113.8"), before + 1);
    EXPECT_EQ(arrived("203.0.113.7"), 0U);
    (void)done("rm --all");
  }
}

// ---- B5: receivers on this host get a copy that meets no packet hook

struct Group {
  const char* name;
  const char* address;
  bool multicast;
};

class LocalCopies : public Addresses, public ::testing::WithParamInterface<Group> {
 protected:
  [[nodiscard]] Endpoint group() const { return {GetParam().address, port}; }
  [[nodiscard]] SocketHandle sender(const Actor& actor) const {
    const SocketHandle socket = actor.udp(group());
    if (!GetParam().multicast) {
      EXPECT_EQ(actor.perform(socket, group(), allow_broadcast), 0);
    }
    return socket;
  }
};

TEST_P(LocalCopies, B5AReceiverOnThisHostGetsNothingOfWhatIsDropped) {
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/b");
  const Actor receiver = lab().actor("/c");
  const SocketHandle inbox = receiver.udp(group());
  ASSERT_EQ(receiver.bind(inbox, {group().v6() ? "::" : "0.0.0.0", port}), 0);
  if (GetParam().multicast) {
    ASSERT_EQ(receiver.perform(inbox, group(), join_group), 0);
  }
  const SocketHandle forbidden = sender(actor);
  const SocketHandle connected = sender(actor);
  const SocketHandle permitted = sender(other);
  ASSERT_EQ(actor.send_to(forbidden, group()), 0);
  ASSERT_EQ(receiver.receive(inbox, 3s), 1U) << "nobody gets a copy here at all";
  const std::uint64_t before = arrived(group().address);
  (void)added("drop cgroup /a to " + group().address);
  EXPECT_EQ(actor.send_to(forbidden, group()), EPERM);
  EXPECT_EQ(actor.send_message(forbidden, group()), EPERM);
  EXPECT_EQ(actor.connect(connected, group()), EPERM);
  EXPECT_EQ(receiver.receive(inbox, 50ms), 0U);
  EXPECT_EQ(other.send_to(permitted, group()), 0);
  EXPECT_EQ(receiver.receive(inbox, 3s), 1U) << "the one of the other cgroup";
  EXPECT_EQ(arrived(group().address), before + 1);
}

// The limit that the manual names: such a socket asks no socket hook when it sends, and IPv4 makes its copy before
// the packet hook.
TEST_P(LocalCopies, B5OfASocketConnectedBeforeTheRuleOnlyReceiversOnThisHostGetACopy) {
  const Actor actor = lab().actor("/a");
  const Actor receiver = lab().actor("/c");
  const SocketHandle inbox = receiver.udp(group());
  ASSERT_EQ(receiver.bind(inbox, {group().v6() ? "::" : "0.0.0.0", port}), 0);
  if (GetParam().multicast) {
    ASSERT_EQ(receiver.perform(inbox, group(), join_group), 0);
  }
  const SocketHandle socket = sender(actor);
  ASSERT_EQ(actor.connect(socket, group()), 0);
  ASSERT_EQ(actor.send(socket), 0);
  ASSERT_EQ(receiver.receive(inbox, 3s), 1U);
  const std::uint64_t before = arrived(group().address);
  (void)added("drop cgroup /a to " + group().address);
  EXPECT_EQ(actor.send(socket), EPERM);
  EXPECT_EQ(receiver.receive(inbox, group().v6() ? 50ms : 3s), group().v6() ? 0U : 1U);
  EXPECT_EQ(actor.send_to(socket, group()), EPERM);
  EXPECT_EQ(receiver.receive(inbox, 50ms), 0U) << "a call that names the address is refused";
  EXPECT_EQ(arrived(group().address), before);
}

INSTANTIATE_TEST_SUITE_P(Groups, LocalCopies,
                         ::testing::Values(Group{"Multicast4", "239.1.1.1", true},
                                           Group{"Broadcast", "192.0.2.255", false},
                                           Group{"Everybody", "255.255.255.255", false},
                                           Group{"Multicast6", "ff05::1234", true}),
                         [](const auto& tested) { return tested.param.name; });

// ---- M3, A10: what a default deny leaves open

template <std::uint8_t type>
int send_icmpv6(int /*socket*/, const SocketAddress& to) {
  std::array<std::uint8_t, 24> message{type};
  const int hops = 255;
  const int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  const int device = static_cast<int>(if_nametoindex(Network::client_device));
  setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops));
  setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &device, sizeof(device));
  const ssize_t sent = sendto(fd, message.data(), message.size(), 0, to.get(), to.length);
  return sent == ssize_t{message.size()} ? 0 : errno;
}

const Endpoint all_nodes{"ff02::1"};

TEST_F(Addresses, M3IsolationKeepsNeighbourDiscoveryAndMldAndNothingBeside) {
  const Actor actor = lab().actor("/a");
  (void)done("isolate cgroup /a allow 203.0.113.7");
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<135>), 0) << "neighbour solicitation";
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<133>), 0) << "router solicitation";
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<143>), 0) << "MLD report";
  EXPECT_EQ(read_reason(lab().pin_dir(), EGRESS_REASON_EXEMPT), 3U);
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<128>), EPERM) << "echo request";
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<138>), EPERM) << "router renumbering";
  EXPECT_EQ(actor.perform(none, {"::1"}, send_icmpv6<128>), 0) << "loopback";
  EXPECT_EQ(read_stats(lab().pin_dir()).packets_dropped, 2U);
  (void)done("rm --all");
  (void)done("isolate cgroup /a allow 203.0.113.7 --include-nd");
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<135>), EPERM);
  EXPECT_EQ(actor.perform(none, all_nodes, send_icmpv6<143>), EPERM);
}

/// In a network whose kernel sockets belong to the caller's cgroup, and whose peer must be solicited: whether
/// a process of `cgroup` reaches it by IPv6.
bool reaches_neighbour(const std::string& cgroup, std::chrono::milliseconds bound) {
  const Network network;
  const Peer peer = Peer::start(network.peer(), Network::peer_device);
  peer.take_datagrams(port);
  Invocation call;
  call.words = words_of("ip neighbor del 2001:db8::2 dev c0");
  call.place.netns = network.client();
  require(run(call).status == 0, "forget neighbour");
  const Actor user = Actor::start({cgroup, network.client()});
  const Endpoint neighbour{"2001:db8::2", port};
  return eventually(bound, [&] {
    (void)user.try_udp(neighbour);
    return peer.wait_for({neighbour.address, port, IPPROTO_UDP, {}}, 1, 50ms);
  });
}

// A10, M3: the solicitations of a network namespace are sent in the name of who made it.
TEST_F(Addresses, A10AnIsolatedMakerOfANetworkNamespaceBreaksItOnlyWhenAsked) {
  const std::string maker = lab().make_cgroup("/maker");
  const std::string user = lab().make_cgroup("/user");
  (void)done("isolate cgroup /maker allow 203.0.113.7");
  ChildProcess spared = ChildProcess::start({maker}, {}, [&] { return reaches_neighbour(user, 10s) ? 0 : 1; });
  EXPECT_EQ(spared.wait(20s), 0);
  EXPECT_GE(read_reason(lab().pin_dir(), EGRESS_REASON_EXEMPT), 1U) << "none was sent in the maker's name";
  (void)done("rm --all");
  (void)done("isolate cgroup /maker allow 203.0.113.7 --include-nd");
  ChildProcess cut = ChildProcess::start({maker}, {}, [&] { return reaches_neighbour(user, 1500ms) ? 1 : 0; });
  EXPECT_EQ(cut.wait(20s), 0);
}

}  // namespace
}  // namespace egress::test
