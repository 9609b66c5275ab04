// SPDX-License-Identifier: GPL-2.0
// Many commands at once, and commands that are killed at any moment.
#include <csignal>
#include <random>
#include <set>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Concurrency : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    lab().make_cgroup("/a");
    (void)done("load");
  }
  [[nodiscard]] static std::string address(int worker, int number) {
    return "198.51.100." + std::to_string(worker * 25 + number + 1);
  }
};

TEST_F(Concurrency, TwoHundredCommandsFromEightProcessesLoseNothing) {
  std::vector<ChildProcess> workers;
  for (int worker = 0; worker < 8; ++worker) {
    workers.push_back(ChildProcess::start({}, {}, [this, worker] {
      for (int i = 0; i < 25; ++i) {
        const Outcome outcome = lab().egress("drop cgroup /a to " + address(worker, i));
        if (outcome.status != 0) return 1;
      }
      return 0;
    }));
  }
  for (ChildProcess& worker : workers) EXPECT_EQ(worker.wait(60s), 0);
  std::set<std::string> destinations;
  std::set<std::uint32_t> ids;
  for (const auto& rule : lab().list()) {
    destinations.insert(rule["destination"]);
    ids.insert(rule["id"].get<std::uint32_t>());
  }
  EXPECT_EQ(destinations.size(), 200U);
  EXPECT_EQ(ids.size(), 200U);
  EXPECT_EQ(lab().actor("/a").try_udp({"198.51.100.9", 7}), EPERM);
}

// J9: whatever a killed command left, the state is the old or the new one and the next command works.
TEST_F(Concurrency, J9CommandsKilledAtRandomMomentsLeaveTheOldOrTheNewState) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Actor actor = lab().actor("/a");
  const auto policy = [](const char* destination) {
    return std::string("policy: p\nsubjects: [{cgroup: /a}]\nrules:\n  - {action: drop, to: [\"") + destination +
           "\", \"203.0.113.99\"]}\n";
  };
  const std::string one = lab().write_file("one.yaml", policy("203.0.113.7"));
  const std::string two = lab().write_file("two.yaml", policy("203.0.113.8"));
  (void)done("apply -f " + one);
  for (std::uint64_t i = 0; i < scaled(60); ++i) {
    Running command(lab().invocation(words_of("apply -f " + (i % 2 == 0 ? two : one))));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 12'000));
    command.signal(SIGKILL);
    (void)command.finish();
    const bool first = actor.try_udp({"203.0.113.7", 7}) == EPERM;
    const bool second = actor.try_udp({"203.0.113.8", 7}) == EPERM;
    ASSERT_NE(first, second) << "round " << i << ": neither or both";
    ASSERT_EQ(actor.try_udp({"203.0.113.99", 7}), EPERM) << "round " << i;
    const auto rules = lab().list();
    ASSERT_EQ(rules.size(), 2U) << "round " << i << rules.dump();
    if (i % 10 == 9) {
      const auto ids = added("drop cgroup /a to 203.0.113.50");
      (void)done("rm " + std::to_string(ids.at(0)));
    }
  }
}

}  // namespace
}  // namespace egress::test
