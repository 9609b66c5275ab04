// SPDX-License-Identifier: GPL-2.0
// `strict on --follow`: what is made anew is guarded again, and what is gone is forgotten.
#include <csignal>
#include <filesystem>
#include <fstream>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds soon{10};  // much longer than it takes

class StrictFollow : public NetTest {
 protected:
  [[nodiscard]] Outcome at(int netns, const Words& words) const {
    Invocation call{words};
    call.place.netns = netns;
    return run(call);
  }
  void ip(int netns, const std::string& line) const {
    const Outcome outcome = at(netns, words_of("ip " + line));
    ASSERT_EQ(outcome.status, 0) << "ip " << line << "\n" << outcome.text();
  }
  [[nodiscard]] int host() const { return lab().network().peer(); }
  [[nodiscard]] int inside() const { return lab().network().client(); }

  [[nodiscard]] Running follow(int netns, const std::string& line) const {
    Invocation call = lab().invocation(words_of("strict on " + line + " --follow -o json"));
    call.place.netns = netns;
    return Running(call);
  }
  [[nodiscard]] nlohmann::json guarded() const { return done_or_lost("strict status -o json"); }
  [[nodiscard]] bool guards(std::size_t devices) const {
    return eventually(soon, [&] {
      const nlohmann::json all = guarded();
      if (!all.is_array() || all.size() != devices) return false;
      return std::ranges::all_of(all, [](const nlohmann::json& one) { return one["attached"] == true; });
    });
  }
  /// A second veth from the container to the host, over which 198.51.100.2 is reached.
  void make_wire() const {
    const std::string host_path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(host());
    ip(inside(),
       "link add e1 address 02:00:00:00:01:01 type veth peer name h1 address 02:00:00:00:01:02 netns " + host_path);
    ip(host(), "address add 198.51.100.2/24 dev h1");
    ip(host(), "link set h1 up");
    ip(inside(), "address add 198.51.100.1/24 dev e1");
    ip(inside(), "link set e1 up");
    ip(inside(), "neighbor add 198.51.100.2 lladdr 02:00:00:00:01:02 dev e1 nud permanent");
  }
  [[nodiscard]] static std::vector<nlohmann::json> events_of(const Outcome& outcome) {
    std::vector<nlohmann::json> events;
    std::istringstream lines(outcome.out.substr(outcome.out.find("]\n") + 2));  // behind what start() put on
    for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line, nullptr, false));
    return events;
  }

 private:
  [[nodiscard]] nlohmann::json done_or_lost(const std::string& line) const { return lab().egress(line).json(); }
};

/// Datagrams of the cgroup /c, which no rule names, from the container to an address of the host's second device.
class Witness {
 public:
  Witness(const Lab& lab, const ChildPlace& host) : sender_(lab.actor("/c")), receiver_(Actor::start(host)) {}

  /// Whether one arrives over the second wire.
  [[nodiscard]] bool arrives() const {
    const SocketHandle socket = receiver_.udp(there_);
    EXPECT_EQ(receiver_.bind(socket, there_), 0);
    EXPECT_EQ(sender_.try_udp(there_), 0) << "the sender learns nothing";
    const bool got = receiver_.receive(socket, 300ms) == 1;
    receiver_.close(socket);
    return got;
  }

 private:
  Endpoint there_{"198.51.100.2", port};
  Actor sender_;
  Actor receiver_;
};

TEST_F(StrictFollow, G8AVethOfTheContainerThatIsMadeAnewIsGuardedAgain) {
  const Actor container = lab().actor("/a");
  (void)done("drop cgroup /a to 198.51.100.2");
  make_wire();
  ChildPlace there;
  there.netns = host();
  const Witness witness(lab(), there);
  ASSERT_TRUE(witness.arrives());
  Running follower = follow(host(), "--container-of /a");
  ASSERT_TRUE(guards(2));
  EXPECT_FALSE(witness.arrives());
  const nlohmann::json before = guarded();
  for (int round = 0; round < 3; ++round) {
    ip(host(), "link delete h1");
    ASSERT_TRUE(guards(1)) << "the entry of the device that is gone: " << guarded().dump();
    make_wire();
    ASSERT_TRUE(guards(2)) << guarded().dump();
    EXPECT_FALSE(witness.arrives());
  }
  EXPECT_NE(guarded(), before) << "the device has another number";
  follower.signal(SIGTERM);
  const Outcome outcome = follower.finish();
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  std::vector<std::string> told;
  for (const nlohmann::json& event : events_of(outcome))
    told.push_back(event["event"].get<std::string>() + " " + event["device"].get<std::string>());
  EXPECT_EQ(told, (std::vector<std::string>{"off h1", "on h1", "off h1", "on h1", "off h1", "on h1"}))
      << outcome.text();
  EXPECT_FALSE(witness.arrives()) << "the layers stay";
  ASSERT_EQ(done("strict off").status, 0);
  EXPECT_TRUE(witness.arrives());
}

// J6: a container that is started again has another cgroup of the same path, and rules by name go on to hold.
TEST_F(StrictFollow, J6ACgroupMadeAnewIsBoundToItsDeviceAgain) {
  (void)lab().actor("/a");
  (void)done("drop cgroup /a to 198.51.100.2");
  make_wire();
  ChildPlace there;
  there.netns = host();
  const Witness witness(lab(), there);
  Running follower = follow(host(), "--dev h1 --as /a");
  ASSERT_TRUE(guards(1));
  ASSERT_FALSE(witness.arrives());
  lab().remove_cgroup("/a");
  lab().make_cgroup("/a");
  EXPECT_TRUE(eventually(soon, [&] { return guarded()[0]["cgroup"] == "/a"; })) << guarded().dump();
  EXPECT_FALSE(witness.arrives());
  follower.signal(SIGINT);
  const Outcome outcome = follower.finish();
  EXPECT_EQ(outcome.status, 0) << outcome.text();
}

TEST_F(StrictFollow, G8ALayerThatSomebodyTookOffIsPutOnAgain) {
  (void)lab().actor("/a");
  (void)done("load");
  Running follower = follow(inside(), "--dev c0 --as-filter");
  ASSERT_TRUE(guards(1));
  ASSERT_EQ(at(inside(), words_of("tc qdisc del dev c0 clsact")).status, 0);
  EXPECT_TRUE(guards(1)) << guarded().dump();
  ASSERT_EQ(lab().egress("strict off").status, 0);
  EXPECT_TRUE(guards(1)) << guarded().dump();
  follower.signal(SIGTERM);
  const Outcome outcome = follower.finish();
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_FALSE(events_of(outcome).empty());
}

TEST_F(StrictFollow, WhatIsMissingIsToldOnceAndUnloadEndsIt) {
  (void)done("load");
  ip(host(), "link add d0 type veth peer name d1");
  Running follower = follow(host(), "--dev d0 --dev p0");
  ASSERT_TRUE(guards(2));
  ip(host(), "link delete d0");
  ASSERT_TRUE(guards(1)) << "p0 stays guarded: " << guarded().dump();
  for (int look = 0; look < 5; ++look) {  // each has the follower look, and nothing new is to be told
    ip(host(), "link add x0 type veth peer name x1");
    ip(host(), "link delete x0");
  }
  ASSERT_EQ(done("unload").status, 0);
  const Outcome outcome = follower.finish();
  EXPECT_EQ(outcome.status, 3) << outcome.text();
  EXPECT_NE(outcome.err.find("unloaded"), std::string::npos) << outcome.text();
  const std::vector<nlohmann::json> events = events_of(outcome);
  ASSERT_EQ(events.size(), 2U) << outcome.text();
  EXPECT_EQ(events[0]["event"], "off");
  EXPECT_EQ(events[1]["event"], "waiting");
  EXPECT_EQ(events[1]["device"], "d0");
}

// Nothing that an unload takes off is put on again, nor told as missing, wherever in it the follower looks.
TEST_F(StrictFollow, AnUnloadIsToldAsNothingElse) {
  for (const char* way : {"--dev p0", "--dev p0 --as-filter"}) {
    for (int round = 0; round < 4; ++round) {
      (void)done("load");
      Running follower = follow(host(), way);
      ASSERT_TRUE(guards(1));
      Running unload(lab().invocation({"unload"}));
      for (int look = 0; look < 6; ++look) {
        ip(host(), "link add x0 type veth peer name x1");
        ip(host(), "link delete x0");
      }
      ASSERT_EQ(unload.finish().status, 0);
      const Outcome outcome = follower.finish();
      ASSERT_EQ(outcome.status, 3) << outcome.text();
      ASSERT_TRUE(events_of(outcome).empty()) << way << "\n" << outcome.text();
      const Outcome filters = at(host(), words_of("tc filter show dev p0 egress"));
      ASSERT_EQ(filters.out, "") << "stayed";
    }
  }
}

TEST_F(StrictFollow, AProcessIsFollowedAsItsCgroup) {
  const auto container = std::make_unique<Actor>(lab().actor("/a"));
  (void)done("load");
  Running follower = follow(host(), "--container-of " + std::to_string(container->pid()));
  ASSERT_TRUE(guards(1));
  EXPECT_EQ(guarded()[0]["cgroup"], "/a");
  make_wire();
  EXPECT_TRUE(guards(2)) << "a device more: " << guarded().dump();
  follower.signal(SIGTERM);
  EXPECT_EQ(follower.finish().status, 0);
}

TEST_F(StrictFollow, WhatCannotBeFollowedIsSaidAtOnce) {
  const Actor witness = lab().actor("/");
  (void)done("load");
  const auto expect = [&](const std::string& line, int status, const std::string& part) {
    Invocation call = lab().invocation(words_of(line));
    call.place.netns = host();
    const Outcome outcome = run(call);
    EXPECT_EQ(outcome.status, status) << line << "\n" << outcome.text();
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  expect("strict on --follow", 2, "--dev");
  expect("strict status --follow", 2, "--follow");
  expect("strict off --follow", 2, "--follow");
  expect("strict on --dev nosuch --follow", 3, "no such device");
  expect("strict on --container-of 4194304000 --follow", 3, "4194304000");
  expect("strict on --container-of " + std::to_string(witness.pid()) + " --follow", 2, "root of the enforced subtree");
}

}  // namespace
}  // namespace egress::test
