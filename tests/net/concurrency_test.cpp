// SPDX-License-Identifier: GPL-2.0
// Many commands at once, and commands that are killed at any moment.
#include <algorithm>
#include <csignal>
#include <random>
#include <set>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Concurrency : public NetTest {
 protected:
  [[nodiscard]] std::set<std::string> destinations() const {
    std::set<std::string> result;
    for (const nlohmann::json& rule : lab().list()) result.insert(rule["destination"]);
    return result;
  }
};

/// Runs commands one after the other; the number of those that failed.
int run_all(const Lab& lab, const std::vector<std::string>& lines) {
  int failed = 0;
  for (const std::string& line : lines) {
    const Outcome outcome = lab.egress(line);
    if (outcome.status == 0) continue;
    std::fprintf(stderr, "egress %s: %s", line.c_str(), outcome.text().c_str());
    ++failed;
  }
  return failed;
}

TEST_F(Concurrency, CommandsOfManyProcessesAllTakeEffect) {
  constexpr int processes = 8;
  const int commands = static_cast<int>(scaled(25));
  (void)done("load");
  std::vector<ChildProcess> workers;
  std::set<std::string> expected;
  for (int process = 0; process < processes; ++process) {
    std::vector<std::string> lines;
    for (int i = 0; i < commands; ++i) {
      const std::string destination = "203.0.113." + std::to_string(process) + ":" + std::to_string(3000 + i);
      lines.push_back("drop cgroup /c" + std::to_string(process % 3) + " to " + destination);
      expected.insert(destination);
    }
    workers.push_back(ChildProcess::start({}, {}, [this, lines] { return run_all(lab(), lines); }));
  }
  for (ChildProcess& worker : workers) EXPECT_EQ(worker.wait(60s), 0) << "commands failed";
  EXPECT_EQ(destinations(), expected);
  std::set<std::uint32_t> ids;
  for (const nlohmann::json& rule : lab().list()) ids.insert(rule["id"].get<std::uint32_t>());
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(processes * commands));
  const Actor actor = lab().actor("/c1");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 3000}), EPERM);  // 7 % 3 == 1
  EXPECT_EQ(actor.try_udp({"203.0.113.7", static_cast<std::uint16_t>(3000 + commands)}), 0);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 3000}), 0);
}

TEST_F(Concurrency, AddsAndRemovalsOfOneSubjectDoNotLoseEachOther) {
  (void)done("load");
  std::vector<ChildProcess> workers;
  for (int process = 0; process < 4; ++process) {
    std::vector<std::string> lines;
    for (int i = 0; i < 10; ++i) {
      const std::string policy = " --name p" + std::to_string(process);
      lines.push_back("drop cgroup /a to 203.0.113.7" + policy);
      if (i < 9) lines.push_back("rm" + policy);
    }
    workers.push_back(ChildProcess::start({}, {}, [this, lines] { return run_all(lab(), lines); }));
  }
  for (ChildProcess& worker : workers) EXPECT_EQ(worker.wait(60s), 0) << "commands failed";
  EXPECT_EQ(lab().list().size(), 4U);
  const Actor actor = lab().actor("/a");
  for (int process = 0; process < 4; ++process) {
    EXPECT_EQ(actor.try_udp({"203.0.113.7", 1}), EPERM);
    (void)done("rm --name p" + std::to_string(process));
  }
  EXPECT_EQ(actor.try_udp({"203.0.113.7", 1}), 0);
}

/// Kills commands at random moments. After each the rules are those of before or of after, packets agree,
/// and the next command works.
TEST_F(Concurrency, AKilledCommandLeavesTheOldStateOrTheNew) {
  const std::uint64_t times = std::min<std::uint64_t>(scaled(60), 400);
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> delay_us(0, 20'000);
  const auto policy = [](const std::string& to) {
    return "{policy: p, subjects: [{cgroup: /a}], rules: [{action: drop, to: [" + to + "]}]}";
  };
  const std::string large = lab().write_file("large.yaml", policy("203.0.113.7, 203.0.113.8, 203.0.113.9"));
  const std::string small = lab().write_file("small.yaml", policy("203.0.113.7, 198.51.100.9"));
  const std::string commands[] = {"apply -f " + large, "drop cgroup /a to 8.8.8.8", "apply -f " + small,
                                  "rm cgroup /a"};
  const std::set<std::string> others{"192.0.2.77"};
  const std::set<std::string> of_large{"203.0.113.7", "203.0.113.8", "203.0.113.9"};
  const std::set<std::string> of_small{"203.0.113.7", "198.51.100.9"};
  const Actor actor = lab().actor("/a");
  (void)done("drop cgroup /b to 192.0.2.77 forever");
  std::uint64_t done_before_kill = 0;
  for (std::uint64_t i = 0; i < times; ++i) {
    const std::string& command = commands[i % 4];
    std::set<std::string> before = destinations();
    std::set<std::string> after = before;
    if (i % 4 == 0 || i % 4 == 2) {
      for (const char* each : {"203.0.113.7", "203.0.113.8", "203.0.113.9", "198.51.100.9"}) after.erase(each);
      after.insert(i % 4 == 0 ? of_large.begin() : of_small.begin(), i % 4 == 0 ? of_large.end() : of_small.end());
    } else if (i % 4 == 1) {
      after.insert("8.8.8.8");
    } else {
      after = others;
    }
    Running running(lab().invocation(words_of(command)));
    const int delay = delay_us(random);
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
    running.signal(SIGKILL);
    done_before_kill += running.finish().status == 0 ? 1 : 0;
    const std::set<std::string> now = destinations();
    EXPECT_TRUE(now == before || now == after)
        << "egress " << command << " killed after " << delay << " us, seed " << seed << ": " << lab().list().dump();
    for (const char* address : {"203.0.113.7", "203.0.113.8", "203.0.113.9", "198.51.100.9", "8.8.8.8"}) {
      EXPECT_EQ(actor.try_udp({address, 1}), now.contains(address) ? EPERM : 0)
          << address << " after egress " << command << " killed after " << delay << " us";
    }
    const Outcome next = lab().egress("drop cgroup /d to 192.0.2.78 for 1h --replace");
    ASSERT_EQ(next.status, 0) << next.text() << "after egress " << command << " killed after " << delay << " us";
    (void)done("rm cgroup /d");
  }
  RecordProperty("completed_before_kill", static_cast<int>(done_before_kill));
}

TEST_F(Concurrency, ALoadKilledAtAnyMomentDoesNotHinderTheNext) {
  std::mt19937 random(std::random_device{}());
  for (int i = 0; i < 8; ++i) {
    Running running(lab().invocation(words_of("load")));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
    running.signal(SIGKILL);
    (void)running.finish();
    const auto ids = added("drop cgroup /a to 203.0.113.7");
    ASSERT_EQ(ids.size(), 1U);
    EXPECT_EQ(lab().actor("/a").try_udp({"203.0.113.7", 1}), EPERM);
    (void)done("unload");
    EXPECT_EQ(lab().actor("/a").try_udp({"203.0.113.7", 1}), 0);
  }
}

}  // namespace
}  // namespace egress::test
