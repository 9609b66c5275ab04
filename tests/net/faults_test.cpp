// SPDX-License-Identifier: GPL-2.0
// J9, H5: a command that is killed at, or fails in, any of its system calls leaves the old state or the new one, and
// the next command works. What the state is, the listing and a packet to each destination say.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <set>

#include "support/net_test.hpp"
#include "support/syscall_faults.hpp"

namespace egress::test {
namespace {

const std::vector<std::string> destinations{"203.0.113.7", "203.0.113.8", "203.0.113.9", "203.0.113.99",
                                            "198.51.100.1"};

/// One command, and how to get from any of its two states to the old one. A command behind '?' may fail.
struct Case {
  const char* name;
  const char* command;
  std::vector<std::string> to_old;
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }

const Case cases[] = {
    {"drop", "drop cgroup /a to 203.0.113.7,203.0.113.8,203.0.113.9 --reason why", {"rm --all"}},
    {"replace",
     "reject cgroup /a to 203.0.113.7,203.0.113.8 --replace",
     {"rm --all", "drop cgroup /a to 203.0.113.7,203.0.113.9"}},
    {"rm",
     "rm cgroup /a",
     {"rm --all", "drop cgroup /a to 203.0.113.7,203.0.113.8", "drop cgroup /a to 203.0.113.9 --name p"}},
    {"extend", "extend $ for 7h", {"rm --all", "drop cgroup /a to 203.0.113.7"}},
    {"isolate", "isolate cgroup /a allow 203.0.113.7", {"rm --all", "drop unit a to 203.0.113.99"}},
    {"apply", "apply -f $two", {"rm --all", "apply -f $one"}},
    {"apply_on_trial", "apply -f $two --confirm 10m", {"?confirm", "rm --all", "apply -f $one"}},
    {"confirm", "confirm", {"?confirm", "rm --all", "apply -f $one", "apply -f $two --confirm 10m"}},
};

class Faults : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    (void)done("load");
    actor_ = std::make_unique<Actor>(lab().actor("/a"));
    lab().peer().take_datagrams(port);
    one_ = policy("one.yaml", R"(["203.0.113.7", "203.0.113.99"])");
    two_ = policy("two.yaml", R"(["203.0.113.8", "203.0.113.99"])");
  }

  [[nodiscard]] std::string fates() const {
    std::string text;
    for (const std::string& to : destinations) text += actor_->try_udp({to, port}) == EPERM ? 'x' : '-';
    return text;
  }
  /// Rules without their ids and counts, and the fate of a packet to each destination.
  [[nodiscard]] std::string state() const {
    const Outcome listing = lab().egress("ls -o json");
    std::set<std::string> rules;
    const nlohmann::json listed = listing.json();
    if (listing.status != 0 || !listed.is_array()) return "ls: " + listing.text();
    for (const nlohmann::json& rule : listed) {
      const double left = rule["ttl_left_s"].is_null() ? -1 : rule["ttl_left_s"].get<double>() / 3600;
      rules.insert(rule["action"].get<std::string>() + " " + rule["destination"].get<std::string>() + " " +
                   rule["subject"]["name"].get<std::string>() + " " + rule["policy"].dump() + " " +
                   std::to_string(static_cast<int>(left + 0.5)) + "h " + rule["reason"].dump());
    }
    return nlohmann::json(rules).dump() + " packets " + fates() + (asks_trial_ ? trial() : "");
  }
  [[nodiscard]] std::string trial() const {
    return lab().egress("status -o json").json()["rules"].value("trial", 0) > 0 ? " on trial" : "";
  }
  [[nodiscard]] Words words(const std::string& line) const {
    Words result = words_of(line);
    for (std::string& word : result) {
      if (word == "$one") word = one_;
      if (word == "$two") word = two_;
      if (word == "$") word = std::to_string(lab().list().at(0)["id"].get<std::uint32_t>());
    }
    return result;
  }
  void make_old(const Case& one) const {
    for (const std::string& line : one.to_old) {
      const bool may_fail = line.starts_with('?');
      const Outcome outcome = lab().egress(words(may_fail ? line.substr(1) : line));
      ASSERT_TRUE(outcome.status == 0 || may_fail) << line << "\n" << outcome.text();
    }
  }
  void expect_enforcing() const {
    const Outcome status = lab().egress("status -o json");
    EXPECT_EQ(status.status, 0) << status.text();
    EXPECT_EQ(status.json().value("enforcing", false), true) << status.text();
  }
  /// The hooks that have their program.
  [[nodiscard]] std::string attached() const {
    std::set<std::string> names;
    const nlohmann::json status = lab().egress("status -o json").json();
    for (const nlohmann::json& hook : status["hooks"]) {
      if (hook["attached"] == true) names.insert(hook["hook"].get<std::string>());
    }
    return nlohmann::json(names).dump();
  }
  static void expect_one_line(const Outcome& outcome) {
    EXPECT_EQ(outcome.err.rfind("egress: ", 0), 0U) << outcome.text();
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.text();
  }
  /// How many calls the command makes.
  [[nodiscard]] std::uint64_t count_calls(const Words& arguments, Fault::Calls calls) const {
    return run_with_fault(lab(), arguments, {0, 0, calls}).calls;
  }
  bool asks_trial_ = false;  ///< the state includes whether a confirmation is awaited

 private:
  [[nodiscard]] std::string policy(const char* name, const char* to) const {
    return lab().write_file(
        name, std::string("policy: p\nsubjects: [{cgroup: /a}]\nrules:\n  - {action: drop, to: ") + to + "}\n");
  }
  std::unique_ptr<Actor> actor_;
  std::string one_, two_;
};

/// At most `most` of 1..count, evenly spread from a random start; EGRESS_TEST_SCALE replaces `most`.
std::vector<std::uint64_t> sample(std::uint64_t count, std::uint64_t most) {
  const std::uint64_t step = std::max<std::uint64_t>((count + scaled(most) - 1) / scaled(most), 1);
  std::random_device random;
  std::vector<std::uint64_t> chosen;
  for (std::uint64_t at = 1 + random() % step; at <= count; at += step) chosen.push_back(at);
  return chosen;
}

class FaultsOf : public Faults, public ::testing::WithParamInterface<Case> {
 protected:
  void learn_states() {
    asks_trial_ = std::string(GetParam().command).find("confirm") != std::string::npos;
    make_old(GetParam());
    old_ = state();
    const Words arguments = words(GetParam().command);
    changes_ = count_calls(arguments, Fault::Calls::Changes);
    new_ = state();
    ASSERT_NE(old_, new_);
    make_old(GetParam());
    ASSERT_EQ(state(), old_);
    calls_ = count_calls(words(GetParam().command), Fault::Calls::All);
    ASSERT_GT(changes_, 0U);
    ASSERT_GT(calls_, changes_);
  }
  std::string old_, new_;
  std::uint64_t changes_ = 0, calls_ = 0;
};

TEST_P(FaultsOf, J9KilledAtAnyChangeLeaveTheOldOrTheNewState) {
  learn_states();
  for (const std::uint64_t at : sample(changes_, 20)) {
    make_old(GetParam());
    const Faulted run = run_with_fault(lab(), words(GetParam().command), {at});
    SCOPED_TRACE(Fault{at}.text() + " (" + run.hit + ")");
    ASSERT_EQ(run.outcome.status, 128 + SIGKILL) << run.outcome.text();
    const std::string left = state();
    ASSERT_TRUE(left == old_ || left == new_) << left << "\nis not the old state\n"
                                              << old_ << "\nnor the new\n"
                                              << new_;
    if (at % 4 == 0) expect_enforcing();
    if (HasFailure()) return;
  }
}

TEST_P(FaultsOf, H5FailingInAnyCallChangeAllOrNothing) {
  learn_states();
  constexpr int errors[] = {ENOMEM, E2BIG, EPERM, EINTR};
  for (const std::uint64_t at : sample(calls_, 20)) {
    make_old(GetParam());
    const Fault fault{at, errors[at % 4], Fault::Calls::All};
    const Faulted run = run_with_fault(lab(), words(GetParam().command), fault);
    SCOPED_TRACE(fault.text() + " (" + run.hit + ")\n" + run.outcome.text());
    if (run.outcome.status == 0) {
      ASSERT_EQ(state(), new_);
    } else {
      expect_one_line(run.outcome);
      ASSERT_EQ(state(), old_);
    }
    if (HasFailure()) return;
  }
  expect_enforcing();
}

INSTANTIATE_TEST_SUITE_P(Commands, FaultsOf, share_of(cases, 2), [](const auto& tested) { return tested.param.name; });

using LoadFaults = Faults;

TEST_F(LoadFaults, J9AFirstLoadKilledAnywhereIsMadeGoodByTheNext) {
  (void)done("unload");
  const std::uint64_t calls = count_calls({"load"}, Fault::Calls::Changes);
  ASSERT_GT(calls, 20U);
  for (const std::uint64_t at : sample(calls, 5)) {
    (void)done("unload");
    const Faulted run = run_with_fault(lab(), {"load"}, {at});
    SCOPED_TRACE(Fault{at}.text() + " (" + run.hit + ")");
    ASSERT_EQ(run.outcome.status, 128 + SIGKILL) << run.outcome.text();
    EXPECT_EQ(fates(), "-----");
    (void)added("drop cgroup /a to 203.0.113.7");  // loads what is missing, or what is there is complete
    if (lab().egress("status").status != 0) (void)done("load");
    expect_enforcing();
    EXPECT_EQ(fates(), "x----");
    if (HasFailure()) return;
  }
}

// The last calls of a load only read what it made: the instance is complete by then, has no rules and stays.
TEST_F(LoadFaults, H5AFirstLoadThatFailsLeavesNothingHalfDone) {
  const std::string complete = attached();
  (void)done("unload");
  const std::uint64_t calls = count_calls({"load"}, Fault::Calls::All);
  (void)done("unload");
  const std::uint64_t changes = count_calls({"load"}, Fault::Calls::Changes);
  constexpr int errors[] = {ENOMEM, E2BIG, EPERM};
  std::vector<Fault> faults;
  for (const std::uint64_t at : sample(calls, 8)) faults.push_back({at, errors[at % 3], Fault::Calls::All});
  for (const std::uint64_t at : sample(changes, 12)) faults.push_back({at, errors[at % 3], Fault::Calls::Changes});
  for (const Fault& fault : faults) {
    (void)lab().egress("unload");
    const Faulted run = run_with_fault(lab(), {"load"}, fault);
    SCOPED_TRACE(fault.text() + " (" + run.hit + ")\n" + run.outcome.text());
    const nlohmann::json status = lab().egress("status -o json").json();
    if (run.outcome.status != 0) expect_one_line(run.outcome);
    if (status["loaded"] == true) {
      EXPECT_EQ(status["enforcing"], true) << status.dump();
      if (run.outcome.status != 0) {
        EXPECT_EQ(attached(), complete);
      }
    } else {
      EXPECT_NE(run.outcome.status, 0);
      EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "the pin directory stayed";
    }
    if (HasFailure()) return;
  }
}

TEST_F(LoadFaults, J9ALoadOverALoadedInstanceKilledOrFailedAnywhereKeepsItsRules) {
  const auto ids = added("drop cgroup /a to 203.0.113.7");
  const std::uint64_t changes = count_calls({"load"}, Fault::Calls::Changes);
  const std::uint64_t calls = count_calls({"load"}, Fault::Calls::All);
  std::vector<Fault> faults;
  for (const std::uint64_t at : sample(changes, 4)) faults.push_back({at});
  for (const std::uint64_t at : sample(calls, 4)) faults.push_back({at, ENOMEM, Fault::Calls::All});
  for (const Fault& fault : faults) {
    const Faulted run = run_with_fault(lab(), {"load"}, fault);
    SCOPED_TRACE(fault.text() + " (" + run.hit + ")\n" + run.outcome.text());
    if (fault.error != 0 && run.outcome.status != 0) expect_one_line(run.outcome);
    expect_enforcing();
    EXPECT_EQ(fates(), "x----");
    (void)done("extend " + std::to_string(ids.at(0)) + " for 2h");
    if (HasFailure()) return;
  }
  (void)done("load");
  EXPECT_EQ(fates(), "x----");
  EXPECT_EQ(lab().list().size(), 1U);
}

TEST_F(LoadFaults, J9AnUnloadKilledAnywhereIsEndedByTheNextOrTakenBackByALoad) {
  const std::uint64_t calls = count_calls({"unload"}, Fault::Calls::Changes);
  for (const std::uint64_t at : sample(calls, 6)) {
    (void)done("load");
    (void)added("drop cgroup /a to 203.0.113.7");
    const Faulted run = run_with_fault(lab(), {"unload"}, {at});
    SCOPED_TRACE(Fault{at}.text() + " (" + run.hit + ")\n" + run.outcome.text());
    const nlohmann::json status = lab().egress("status -o json").json();
    EXPECT_EQ(status["enforcing"], fates() == "x----") << "status says what is not so: " << status.dump();
    if (at % 2 == 0) {
      (void)done("load");
      expect_enforcing();
      EXPECT_EQ(fates(), lab().list().empty() ? "-----" : "x----");
    }
    const Outcome again = lab().egress("unload --force");
    EXPECT_EQ(again.status, 0) << again.text();
    EXPECT_EQ(fates(), "-----");
    // Empty, it may as well be somebody else's: what is left when the very last call was not reached.
    if (run.hit.starts_with("rmdir")) static_cast<void>(rmdir(lab().pin_dir().c_str()));
    EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "the pin directory stayed";
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace egress::test
