// SPDX-License-Identifier: GPL-2.0
// `egress run`: a command under rules from its first act on, and nothing left of it.
#include <csignal>
#include <filesystem>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

/// Read at the start: a laboratory leaves the mount namespace, and in a chroot the link then leads out of it.
const std::string this_program = std::filesystem::read_symlink("/proc/self/exe");

class Run : public NetTest {
 protected:
  [[nodiscard]] Invocation run_of(const std::string& options, const Words& command) const {
    Words words = words_of("run " + options + " --");
    words.insert(words.end(), command.begin(), command.end());
    Invocation call = lab().invocation(words);
    call.place.netns = lab().network().client();
    return call;
  }
  [[nodiscard]] bool nothing_left() const {
    const bool rules = !lab().list().empty();
    for (const auto& entry : std::filesystem::directory_iterator(lab().cgroup_root())) {
      if (entry.is_directory()) return false;
    }
    return !rules;
  }
  /// What the command's first act, one send, got: an errno.
  [[nodiscard]] std::string act(const std::string& options, const std::string& address, const char* protocol = "udp") {
    const Outcome outcome = run(run_of(options, {this_program, "--act", protocol, address, "53"}));
    EXPECT_EQ(outcome.status, 0) << outcome.text();
    return outcome.out;
  }
};

const std::string eperm = std::to_string(EPERM) + "\n";
const std::string passed = "0\n";

TEST_F(Run, RulesAreInForceBeforeTheFirstAct) {
  lab().peer().take_datagrams(53);
  EXPECT_EQ(act("--drop 203.0.113.7", "203.0.113.7"), eperm);
  EXPECT_EQ(act("--drop 203.0.113.7", "203.0.113.8"), passed);
  EXPECT_EQ(act("--reject 203.0.113.7 --drop 203.0.113.8", "203.0.113.7", "tcp"), eperm);
  EXPECT_EQ(act("--default-deny --allow 203.0.113.7", "203.0.113.7"), passed);
  EXPECT_EQ(act("--default-deny --allow 203.0.113.7", "203.0.113.8"), eperm);
  EXPECT_EQ(act("--drop 203.0.113.7,203.0.113.8 for 5m", "203.0.113.8"), eperm);
  EXPECT_TRUE(nothing_left());
  lab().settle();
  EXPECT_EQ(lab().peer().arrived({{}, 53, {}, {}}).packets, 2U);
}

TEST_F(Run, PassesTheExitStatusOn) {
  for (const int status : {0, 1, 37, 255}) {
    EXPECT_EQ(run(run_of("--drop 203.0.113.7", {"sh", "-c", "exit " + std::to_string(status)})).status, status);
  }
  EXPECT_EQ(run(run_of("--drop 203.0.113.7", {"sh", "-c", "kill -KILL $$"})).status, 128 + SIGKILL);
  EXPECT_EQ(run(run_of("--drop 203.0.113.7", {"sh", "-c", "kill -TERM $$"})).status, 128 + SIGTERM);
  EXPECT_TRUE(nothing_left());
}

TEST_F(Run, ACommandThatCannotBeStartedIsToldLikeAShellDoes) {
  EXPECT_EQ(run(run_of("--drop 203.0.113.7", {"/no/such/command"})).status, 127);
  EXPECT_TRUE(nothing_left());
}

TEST_F(Run, PassesInputOutputAndArgumentsThrough) {
  Invocation call = run_of("--drop 203.0.113.7", {"sh", "-c", "cat; echo \"$1\" >&2", "name", "--drop an argument"});
  call.input = "to standard input";
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "to standard input");
  EXPECT_EQ(outcome.err, "--drop an argument\n");
}

TEST_F(Run, WhatTheCommandLeavesBehindIsEndedWithIt) {
  const Outcome outcome = run(run_of("--drop 203.0.113.7", {"sh", "-c", "sleep 300 >/dev/null 2>&1 & exit 3"}));
  EXPECT_EQ(outcome.status, 3) << outcome.text();
  EXPECT_TRUE(nothing_left());
}

TEST_F(Run, TakesItsRulesAwayWhenItIsTerminated) {
  Running running(run_of("--drop 203.0.113.7", {"sleep", "300"}));
  ASSERT_TRUE(eventually(10s, [&] { return !nothing_left() && !lab().list().empty(); }));
  running.signal(SIGTERM);
  const Outcome outcome = running.finish();
  EXPECT_EQ(outcome.status, 128 + SIGTERM) << outcome.text();
  EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace egress::test
