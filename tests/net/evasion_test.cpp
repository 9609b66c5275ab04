// SPDX-License-Identifier: GPL-2.0
// Rows B, C, D and E of the list of failures as one matrix: each way to make a packet, at each layer. The table is in
// support/ways.cpp. Each cell is printed for tests/vm/test-kernels:
//
//   matrix|ROW|HOW|cgroup, tc or xdp|stopped, passes or lacks
#include <sys/utsname.h>

#include <cstdio>

#include "support/net_test.hpp"
#include "support/ways.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

const char* name_of(Layer layer) { return layer == Layer::Cgroup ? "cgroup" : layer == Layer::Device ? "tc" : "xdp"; }

bool is_before_6_6() {
  utsname name{};
  uname(&name);
  int major = 0, minor = 0;
  return std::sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 6));
}

bool stops(const Way& way, Layer layer) {
  const Fate answer = way.answers[static_cast<std::size_t>(layer)];
  return answer == Fate::Stopped || (answer == Fate::PassesBefore6_6 && !is_before_6_6());
}

class Evasion : public NetTest, public ::testing::WithParamInterface<Layer> {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().peer().take_datagrams(port);
    lab().peer().accept_connections(port);
    stage_ = std::make_unique<Stage>(lab());
  }

  [[nodiscard]] Stage& stage() { return *stage_; }

  void guard() const {
    Invocation call;
    if (GetParam() == Layer::Cgroup) return;
    if (GetParam() == Layer::Device) {
      call = lab().invocation(words_of("strict on --dev c0"));
      call.place.netns = lab().network().client();
    } else {
      call = lab().invocation(words_of("strict on --dev p0 --as /a"));
      call.place.netns = lab().network().peer();
    }
    const Outcome outcome = run(call);
    ASSERT_EQ(outcome.status, 0) << outcome.text();
  }

  [[nodiscard]] std::uint64_t seen(const Way& way, const Endpoint& to) {
    lab().settle();
    const auto arrived = [&](const std::string& address) {
      return lab().peer().arrived({address, {}, {}, {}}).packets;
    };
    switch (way.seen) {
      case Seen::InSocket:
        return stage().inbox();
      case Seen::AsSession:
        return stage().sessions();
      case Seen::InContainer:
        return stage().copies();
      case Seen::AtHop:
        return arrived(to.v6() ? permitted6.address : permitted.address);
      case Seen::AtGateway:
        return lab().peer().arrived({gateway, {}, IPPROTO_ESP, {}}).packets;
      case Seen::BehindNat:
        return arrived(address_behind_nat);
      case Seen::AtPeer:
        break;
    }
    return arrived(to.address);
  }

  /// Whether a packet got through; waited for only if one should.
  [[nodiscard]] std::optional<bool> passes(const Way& way, const Attempt& attempt, bool should) {
    const std::uint64_t before = seen(way, attempt.to);
    const int error = way.make(attempt);
    if (error == ENOSYS) return std::nullopt;
    const auto got = [&] { return seen(way, attempt.to) > before; };
    const bool passed = should ? eventually(5s, got) : got();
    if (passed != should) std::printf("%s, %s: errno %d\n", way.row, way.how, error);
    return passed;
  }

 private:
  std::unique_ptr<Stage> stage_;
};

TEST_P(Evasion, BToEEveryWayToMakeAPacketIsAnsweredAsDocumented) {
  const Layer layer = GetParam();
  const Actor actor = lab().actor("/a");
  const Actor other = lab().actor("/c");  // in the same container
  struct Attempts {
    Attempt forbidden, permitted, of_other;
  };
  std::vector<Attempts> attempts;
  for (const Way& way : ways()) {
    Attempts made{
        {stage(), actor, forbidden_to(way)}, {stage(), actor, permitted_to(way)}, {stage(), other, forbidden_to(way)}};
    for (Attempt* attempt : {&made.forbidden, &made.permitted, &made.of_other})
      if (way.before != nullptr) attempt->prepared = way.before(*attempt);
    attempts.push_back(made);
  }
  (void)done("drop cgroup /a to " + forbidden_destinations() + " --established keep");
  guard();
  for (std::size_t i = 0; i < ways().size(); ++i) {
    const Way& way = ways()[i];
    SCOPED_TRACE(std::string(way.row) + ", " + way.how + ", " + name_of(layer));
    const bool stopped = stops(way, layer);
    const std::optional<bool> passed = passes(way, attempts[i].forbidden, !stopped);
    const char* answer = !passed ? "lacks" : *passed ? "passes" : "stopped";
    std::printf("matrix|%s|%s|%s|%s\n", way.row, way.how, name_of(layer), answer);
    if (!passed) continue;
    EXPECT_EQ(*passed, !stopped);
    if (!stopped || !way.to_anywhere) {
      EXPECT_EQ(passes(way, attempts[i].permitted, true), true) << "to a permitted destination";
    } else if (layer != Layer::Container) {
      EXPECT_EQ(passes(way, attempts[i].of_other, true), true) << "of another cgroup";
    }
    // The rules of the other cgroup stop nothing before it leaves.
    if (layer == Layer::Container && stopped && way.seen != Seen::InContainer) {
      EXPECT_EQ(passes(way, attempts[i].of_other, false), false) << "whoever made it";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, Evasion, share_of(std::array{Layer::Cgroup, Layer::Device, Layer::Container}, 3),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

// What the whole is for.
TEST(EvasionTable, WithTheLayerOfTheContainerNoPacketToAForbiddenDestinationReachesThePeer) {
  for (const Way& way : ways()) {
    const bool is_to_another = way.seen == Seen::BehindNat || way.seen == Seen::AtGateway;  // on the wire
    if (way.seen == Seen::InContainer || is_to_another) continue;
    EXPECT_TRUE(stops(way, Layer::Container)) << way.row << ", " << way.how;
  }
}

}  // namespace
}  // namespace egress::test
