// SPDX-License-Identifier: GPL-2.0
// The strict layers: frames that meet no socket hook, at the device they leave by and where a container's come in.
#include <bpf/bpf.h>

#include <filesystem>
#include <fstream>

#include "support/frames.hpp"
#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Strict : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (!HasFatalFailure() && !IsSkipped()) lab().peer().take_datagrams(port);
  }

  /// The command in the network namespace of one of the two ends.
  [[nodiscard]] Outcome at(int netns, const std::string& line) const {
    Invocation call = lab().invocation(words_of(line));
    call.place.netns = netns;
    return run(call);
  }
  [[nodiscard]] Outcome inside(const std::string& line) const { return at(lab().network().client(), line); }
  [[nodiscard]] Outcome outside(const std::string& line) const { return at(lab().network().peer(), line); }

  [[nodiscard]] std::uint64_t arrived(const Endpoint& to) const {
    lab().settle();
    return lab().peer().arrived({to.address, {}, {}, {}}).packets;
  }
  [[nodiscard]] nlohmann::json status() const { return outside("strict status -o json").json(); }
};

TEST_F(Strict, B8PacketSocketsMeetTheRulesAtTheDeviceTheyLeaveBy) {
  const Actor actor = lab().actor("/a/b");
  const Actor other = lab().actor("/c");
  const auto rule = added("drop cgroup /a to 203.0.113.7,2001:db8:bad::1");
  ASSERT_EQ(actor.perform(none, forbidden, queued), 0);
  ASSERT_EQ(arrived(forbidden), 1U) << "no packet hook sees it";
  const Outcome on = inside("strict on --dev c0");
  ASSERT_EQ(on.status, 0) << on.text();
  EXPECT_EQ(actor.perform(none, forbidden, queued), ENOBUFS);
  EXPECT_EQ(actor.perform(none, forbidden6, queued), ENOBUFS);
  EXPECT_EQ(actor.perform(none, permitted, queued), 0);
  EXPECT_EQ(actor.perform(none, permitted6, queued), 0);
  EXPECT_EQ(other.perform(none, forbidden, queued), 0);
  EXPECT_EQ(arrived(forbidden), 2U) << "the first, and the other cgroup's";
  EXPECT_EQ(arrived(forbidden6), 0U);
  EXPECT_EQ(arrived(permitted), 1U);
  EXPECT_EQ(arrived(permitted6), 1U);
  EXPECT_EQ(listed(rule.at(0))["packets"], 1U);
  EXPECT_EQ(listed(rule.at(0))["bytes"], 20U + 8U + 8U) << "without the Ethernet header";
  EXPECT_EQ(inside("strict off").status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
  EXPECT_EQ(arrived(forbidden), 3U);
}

TEST_F(Strict, B8AContainerIsJudgedWhereItsFramesComeInWhoeverMadeThem) {
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/c");  // in the same container
  const auto rule = added("drop cgroup /a to 203.0.113.7,2001:db8:bad::1");
  ASSERT_EQ(actor.perform(none, forbidden, bypassing), 0);
  ASSERT_EQ(arrived(forbidden), 1U);
  const Outcome on = outside("strict on --container-of " + std::to_string(actor.pid()) + " -o json");
  ASSERT_EQ(on.status, 0) << on.text();
  ASSERT_EQ(on.json().size(), 1U) << on.text();
  EXPECT_EQ(on.json()[0]["device"], "p0");
  EXPECT_EQ(on.json()[0]["cgroup"], "/a");
  EXPECT_EQ(on.json()[0]["mode"], "xdp in the driver");
  for (const Act act : {queued, bypassing, priority_tagged, double_tagged, nine_times_tagged, by_tun}) {
    EXPECT_EQ(actor.perform(none, forbidden, act), 0);
  }
  EXPECT_EQ(actor.perform(none, forbidden6, bypassing), 0);
  EXPECT_EQ(other.try_udp(forbidden), 0) << "the sender learns nothing";
  EXPECT_EQ(arrived(forbidden), 1U);
  EXPECT_EQ(arrived(forbidden6), 0U);
  EXPECT_EQ(listed(rule.at(0))["packets"], 6U) << "all but the nine tags, which no rule can be told of";
  EXPECT_EQ(listed(rule.at(1))["packets"], 1U);
  // The sniffer takes off one tag; a socket of the peer would get the datagram behind all nine.
  EXPECT_EQ(done("stats -o json").json()["packets_dropped"], 8U);
  EXPECT_EQ(actor.perform(none, permitted, bypassing), 0);
  EXPECT_EQ(actor.perform(none, permitted, priority_tagged), 0);
  EXPECT_EQ(actor.perform(none, permitted, by_tun), 0);
  EXPECT_EQ(actor.perform(none, permitted6, bypassing), 0);
  EXPECT_EQ(arrived(permitted), 3U);
  EXPECT_EQ(arrived(permitted6), 1U);
  (void)done("rm --all");
  EXPECT_EQ(actor.perform(none, forbidden, bypassing), 0);
  EXPECT_EQ(arrived(forbidden), 2U) << "a rule that is gone drops no frame";
}

// C5: what is in front of the IP header.
TEST_F(Strict, C5IpInsideOfPppoeIsJudgedAndOtherFramesOnlyIfAsked) {
  const Actor actor = lab().actor("/a");
  const auto rule = added("drop cgroup /a to 203.0.113.7");
  const std::string on = "strict on --dev p0 --as /a";
  ASSERT_EQ(outside(on).status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, in_pppoe), 0);
  EXPECT_EQ(actor.perform(none, permitted, in_pppoe), 0);
  EXPECT_EQ(actor.perform(none, permitted, not_ip), 0);
  lab().settle();
  EXPECT_EQ(listed(rule.at(0))["packets"], 1U);
  EXPECT_EQ(done("stats -o json").json()["packets_dropped"], 1U);
  ASSERT_EQ(outside(on + " --strict-l2").status, 0);
  EXPECT_EQ(actor.perform(none, permitted, not_ip), 0);
  EXPECT_EQ(actor.perform(none, permitted, bypassing), 0);
  EXPECT_EQ(arrived(permitted), 1U);
  EXPECT_EQ(done("stats -o json").json()["packets_dropped"], 2U);
}

// C4: behind the packet hook the kernel makes fragments, of which the later ones have no ports.
TEST_F(Strict, C4FragmentsThatTheKernelMadeAreJudgedWithoutPorts) {
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /a to 203.0.113.7:17185/udp");
  const SocketHandle socket = actor.udp(forbidden);
  ASSERT_EQ(actor.send_to(socket, forbidden, 3000), 0);
  ASSERT_EQ(arrived(forbidden), 3U) << "another port";
  ASSERT_EQ(inside("strict on --dev c0").status, 0);
  ASSERT_EQ(actor.send_to(socket, forbidden, 3000), 0);
  ASSERT_EQ(actor.send_to(socket, permitted, 3000), 0);
  EXPECT_EQ(arrived(forbidden), 4U) << "the first fragment only";
  EXPECT_EQ(arrived(permitted), 3U);
}

// B1: the SYN-ACK of a cookie belongs to no socket; it is judged as its listener's.
TEST_F(Strict, B1AnAnswerWithASynCookieIsJudgedAsItsListeners) {
  const Actor server = lab().actor("/a");
  ChildPlace far;
  far.netns = lab().network().peer();
  const Actor client = Actor::start(far);
  for (const auto& [local, remote, rule] :
       {std::tuple{"192.0.2.1", "192.0.2.2", "192.0.2.2"}, std::tuple{"2001:db8::1", "2001:db8::2", "2001:db8::2"}}) {
    const Endpoint here{local, port};
    const SocketHandle listener = server.tcp(here);
    ASSERT_EQ(server.bind(listener, here), 0);
    ASSERT_EQ(server.listen(listener), 0);
    const Act cookies = [](int, const SocketAddress&) {
      std::ofstream("/proc/sys/net/ipv4/tcp_syncookies") << 2;
      return 0;
    };
    ASSERT_EQ(server.perform(none, here, cookies), 0);
    (void)done("drop cgroup /a to " + std::string(rule));
    EXPECT_EQ(client.try_tcp(here), 0) << remote << ": the packet hook does not see the answer";
    ASSERT_EQ(inside("strict on --dev c0").status, 0);
    EXPECT_EQ(client.try_tcp(here, 150ms), ETIMEDOUT) << remote;
    (void)done("rm --all");
    EXPECT_EQ(client.try_tcp(here), 0) << remote;
    ASSERT_EQ(inside("strict off").status, 0);
    server.close(listener);
  }
}

// D3: of a tunnel the packet hook sees the inner packet alone; at the device below, the outer one is the sender's too.
TEST_F(Strict, D3OuterPacketsOfATunnelAreJudgedWhereTheyLeave) {
  const auto ip = [&](const std::string& words) {
    Invocation call{words_of("ip " + words)};
    call.place.netns = lab().network().client();
    return run(call);
  };
  if (ip("link add v0 type vxlan id 7 remote 203.0.113.7 dstport 4789 dev c0").status != 0)
    GTEST_SKIP() << "kernel lacks VXLAN";
  ASSERT_EQ(ip("link set v0 addrgenmode none").status, 0);  // no packets of the kernel's own
  ASSERT_EQ(ip("address add 198.51.100.1/30 dev v0").status, 0);
  ASSERT_EQ(ip("link set v0 up").status, 0);
  ASSERT_EQ(ip("neighbor add 198.51.100.2 lladdr 02:00:00:00:00:77 dev v0 nud permanent").status, 0);
  const Endpoint inner{"198.51.100.2", port};
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/c");
  const auto outer = [&] {
    lab().settle();
    return lab().peer().arrived({forbidden.address, 4789, IPPROTO_UDP, {}}).packets;
  };
  const auto rule = added("drop cgroup /a to 203.0.113.7");
  const std::uint64_t before = outer();
  ASSERT_EQ(actor.try_udp(inner), 0);
  ASSERT_EQ(outer(), before + 1) << "the packet hook does not see it";
  ASSERT_EQ(inside("strict on --dev c0").status, 0);
  (void)actor.try_udp(inner);
  EXPECT_EQ(outer(), before + 1);
  EXPECT_EQ(listed(rule.at(0))["packets"], 1U);
  EXPECT_EQ(other.try_udp(inner), 0);
  EXPECT_EQ(outer(), before + 2) << "another cgroup's";
}

// B6: what is forwarded is no answer of a listener that happens to have the port.
TEST_F(Strict, B6ForwardedPacketsAreNobodysAtTheDeviceTheyLeaveBy) {
  const Actor server = lab().actor("/a");
  const Endpoint anywhere{"0.0.0.0", source_port_of_stream()};
  const SocketHandle listener = server.tcp(anywhere);
  ASSERT_EQ(server.bind(listener, anywhere), 0);
  ASSERT_EQ(server.listen(listener), 0);
  (void)done("drop cgroup /a to 203.0.113.7");
  ASSERT_EQ(inside("strict on --dev c0").status, 0);
  EXPECT_EQ(server.perform(none, forbidden, stream_by_tun), 0);
  EXPECT_EQ(arrived(forbidden), 1U);
  EXPECT_EQ(server.perform(none, forbidden, queued), ENOBUFS) << "its own are";
}

// G9: a device runs one XDP program.
TEST_F(Strict, G9AProgramOfOthersStaysAndIsNamed) {
  (void)lab().actor("/a");
  (void)done("load");
  ASSERT_EQ(outside("strict on --dev p0 --as /a").status, 0);
  const std::string other_pins = lab().pin_dir() + "_other";
  const std::string other = " --pin-dir " + other_pins;
  ASSERT_EQ(outside("load" + other).status, 0);
  const Outcome refused = outside("strict on --dev p0 --as /a" + other);
  EXPECT_EQ(refused.status, 1) << refused.text();
  EXPECT_NE(refused.err.find("egress_xdp"), std::string::npos) << refused.err;
  EXPECT_TRUE(status()[0]["attached"]);
  EXPECT_EQ(outside("strict status -o json" + other).json(), nlohmann::json::array());
  EXPECT_EQ(outside("unload" + other).status, 0);
}

// G7: a filter that was there goes on to run, and ours runs before it.
TEST_F(Strict, G7FiltersOfOthersRunBehindOurs) {
  const Actor actor = lab().actor("/a");
  const auto tc = [&](const std::string& words) {
    Invocation call{words_of("tc " + words)};
    call.place.netns = lab().network().client();
    return run(call);
  };
  ASSERT_EQ(tc("qdisc add dev c0 clsact").status, 0);
  ASSERT_EQ(tc("filter add dev c0 egress protocol all pref 1 u32 match u32 0 0 flowid 1:1").status, 0);
  (void)done("drop cgroup /a to 203.0.113.7");
  const Outcome on = inside("strict on --dev c0");
  if (on.status != 0) {  // before 6.6 there is one line, and the first place in it is taken
    EXPECT_NE(on.err.find("preference 1"), std::string::npos) << on.err;
    return;
  }
  EXPECT_EQ(actor.perform(none, forbidden, queued), ENOBUFS);
  EXPECT_EQ(actor.perform(none, permitted, queued), 0);
  EXPECT_EQ(arrived(forbidden), 0U);
  const Outcome filter = inside("strict on --dev lo --dev c0 --as-filter");
  EXPECT_EQ(filter.status, 0) << "a link that is there is renewed\n" << filter.text();
  EXPECT_EQ(inside("strict off").status, 0);
  EXPECT_NE(tc("filter show dev c0 egress").out.find("u32"), std::string::npos) << "theirs is gone";
  EXPECT_EQ(tc("qdisc show dev lo").out.find("clsact"), std::string::npos) << "ours is not";
  const Outcome refused = inside("strict on --dev lo --dev c0 --as-filter");
  EXPECT_EQ(refused.status, 1) << refused.text();
  EXPECT_NE(refused.err.find("preference 1"), std::string::npos) << refused.err;
  EXPECT_EQ(tc("filter show dev lo egress").out, "") << "all devices or none";
}

TEST_F(Strict, G7ProgramsOfTwoInstancesBothRun) {
  const Actor actor = lab().actor("/a");
  const std::string other = " --pin-dir " + lab().pin_dir() + "_other";
  (void)done("drop cgroup /a to 203.0.113.8" + other);
  ASSERT_EQ(inside("strict on --dev c0" + other).status, 0);
  (void)done("drop cgroup /a to 203.0.113.7");
  if (inside("strict on --dev c0").status != 0) GTEST_SKIP() << "kernel lacks tcx links";
  EXPECT_EQ(actor.perform(none, forbidden, queued), ENOBUFS);
  EXPECT_EQ(actor.perform(none, permitted, queued), ENOBUFS);
  EXPECT_TRUE(inside("strict status -o json").json()[0]["first"]);
  EXPECT_FALSE(inside("strict status -o json" + other).json()[0]["first"]);
  EXPECT_NE(inside("doctor -o json" + other).out.find("strict-not-first"), std::string::npos);
  EXPECT_EQ(inside("unload" + other).status, 0);
  EXPECT_EQ(actor.perform(none, permitted, queued), 0);
}

// As on kernels before 6.6.
TEST_F(Strict, G8AFilterIsWatchedAndTakenOffWithItsQdisc) {
  const Actor actor = lab().actor("/a");
  const auto tc = [&](const std::string& words) {
    Invocation call{words_of("tc " + words)};
    call.place.netns = lab().network().client();
    return run(call);
  };
  (void)done("drop cgroup /a to 203.0.113.7");
  const std::string on = "strict on --dev c0 --as-filter";
  ASSERT_EQ(inside(on).status, 0);
  EXPECT_EQ(inside("strict status -o json").json()[0]["mode"], "clsact filter");
  EXPECT_EQ(actor.perform(none, forbidden, queued), ENOBUFS);
  EXPECT_EQ(actor.perform(none, permitted, queued), 0);
  ASSERT_EQ(inside(on).status, 0) << "renewed";
  EXPECT_EQ(actor.perform(none, forbidden, queued), ENOBUFS);
  ASSERT_EQ(tc("qdisc del dev c0 clsact").status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
  EXPECT_EQ(inside("strict status").status, 1);
  EXPECT_NE(outside("doctor -o json").out.find("strict-lost"), std::string::npos) << "from another namespace";
  ASSERT_EQ(inside(on).status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), ENOBUFS);
  ASSERT_EQ(outside("strict off").status, 0) << "from another namespace";
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
  EXPECT_EQ(tc("qdisc show dev c0").out.find("clsact"), std::string::npos);
  ASSERT_EQ(inside(on).status, 0);
  ASSERT_EQ(done("unload").status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
  EXPECT_EQ(tc("qdisc show dev c0").out.find("clsact"), std::string::npos);
}

// M4: the filter is found at its device, though nothing else of the instance is left.
TEST_F(Strict, M4UnloadFindsAFilterWhosePinsAreGone) {
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /a to 203.0.113.7");
  ASSERT_EQ(inside("strict on --dev c0 --as-filter").status, 0);
  for (const auto& pin : std::filesystem::directory_iterator(lab().pin_dir())) unlink(pin.path().c_str());
  ASSERT_TRUE(eventually(5s, [&] { return actor.try_udp(forbidden) != EPERM; })) << "the links went with their pins";
  ASSERT_EQ(actor.perform(none, forbidden, queued), ENOBUFS) << "the filter did not";
  ASSERT_EQ(done("unload").status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
}

// G8: whoever makes the device anew takes the layer with it, and that is told.
TEST_F(Strict, G8ADeviceMadeAnewIsToldAndGuardedAgain) {
  const auto ip = [&](const std::string& words) {
    Invocation call{words_of("ip " + words)};
    call.place.netns = lab().network().peer();
    return run(call).status;
  };
  (void)lab().actor("/a");
  (void)done("load");
  ASSERT_EQ(ip("link add d0 type veth peer name d1"), 0);
  ASSERT_EQ(outside("strict on --dev d0 --dev d1").status, 0);
  ASSERT_EQ(ip("link delete d0"), 0);
  ASSERT_EQ(ip("link add d0 type veth peer name d1"), 0);
  const Outcome lost = outside("strict status");
  EXPECT_EQ(lost.status, 1) << lost.text();
  EXPECT_NE(lost.out.find("lost"), std::string::npos) << lost.out;
  EXPECT_NE(outside("doctor").out.find("d0"), std::string::npos);
  ASSERT_EQ(outside("strict on --dev d0 --dev d1").status, 0);
  EXPECT_EQ(status().size(), 2U) << status().dump();
  EXPECT_EQ(outside("strict status").status, 0) << outside("strict status").text();
}

TEST_F(Strict, OffAndUnloadLeaveNothingBehind) {
  const Actor actor = lab().actor("/a");
  const auto pins = [&] {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(lab().pin_dir())) {
      const std::string name = entry.path().filename();
      if (name.starts_with("strict_")) found.push_back(name);
    }
    return found.size();
  };
  const auto has_xdp = [&] {
    Invocation call{words_of("ip link show dev p0")};
    call.place.netns = lab().network().peer();
    return run(call).out.find("prog/xdp") != std::string::npos;
  };
  (void)done("drop cgroup /a to 203.0.113.7");
  ASSERT_EQ(outside("strict on --dev p0 --as /a").status, 0);
  ASSERT_EQ(inside("strict on --dev c0").status, 0);
  EXPECT_EQ(pins(), 2U);
  EXPECT_TRUE(has_xdp());
  ASSERT_EQ(outside("strict off --dev p0").status, 0);
  EXPECT_FALSE(has_xdp());
  ASSERT_EQ(inside("strict off").status, 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
  EXPECT_EQ(pins(), 0U);
  EXPECT_EQ(status(), nlohmann::json::array());
  ASSERT_EQ(outside("strict on --dev p0 --as /a").status, 0);
  ASSERT_EQ(inside("strict on --dev c0").status, 0);
  std::vector<int> held;  // somebody holds the links: their pins alone do not end them
  for (const auto& pin : std::filesystem::directory_iterator(lab().pin_dir())) {
    if (pin.path().filename().string().starts_with("strict_")) held.push_back(bpf_obj_get(pin.path().c_str()));
  }
  ASSERT_EQ(held.size(), 2U);
  ASSERT_EQ(done("unload").status, 0);
  EXPECT_FALSE(has_xdp());
  EXPECT_EQ(actor.perform(none, forbidden, bypassing), 0);
  EXPECT_EQ(actor.perform(none, forbidden, queued), 0);
  EXPECT_EQ(arrived(forbidden), 3U);
  for (const int fd : held) close(fd);
}

TEST_F(Strict, WhatCannotBeGuardedIsSaidInOneLine) {
  (void)lab().actor("/a");
  (void)done("load");
  const auto expect = [&](const std::string& line, int exit_status, const std::string& part) {
    const Outcome outcome = outside(line);
    EXPECT_EQ(outcome.status, exit_status) << line << "\n" << outcome.text();
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  };
  ASSERT_EQ(done("unload").status, 0);
  expect("strict on --dev p0 --strict-l2", 2, "--as");
  EXPECT_EQ(outside("unload").status, 3) << "words that cannot be understood load nothing";
  (void)done("load");
  expect("strict", 2, "expected on, status or off");
  expect("strict onn", 2, "onn");
  expect("strict on", 2, "--dev");
  expect("strict on --dev p0 --container-of 1", 2, "--container-of");
  expect("strict on --dev p0 --strict-l2", 2, "--as");
  expect("strict on --dev nosuch", 3, "p0");
  expect("strict on --dev p0 --as /nosuch", 3, "no such cgroup");
  expect("strict on --dev p0 --as nosuch.service", 3, "nosuch.service");
  expect("strict on --container-of /a/nosuch", 3, "nosuch");
  expect("strict on --container-of 4194304000", 3, "4194304000");
  expect("strict off --dev p0", 3, "not guarded");
  const Outcome nothing = outside("strict on --dev p0 --dev nosuch");
  EXPECT_EQ(nothing.status, 3);
  EXPECT_EQ(status(), nlohmann::json::array()) << "all devices or none";
}

}  // namespace
}  // namespace egress::test
