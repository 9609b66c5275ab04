// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.hpp"

namespace egress::test {

/// What a program said and how it ended.
struct Outcome {
  int status = -1;  ///< exit status; 128 + signal number if it was killed
  std::string out;
  std::string err;

  /// The output as JSON; a discarded value (is_discarded()) if it is none.
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
  /// Everything, for failure messages.
  [[nodiscard]] std::string text() const;
};

using Words = std::vector<std::string>;

/// A program to run, and where.
struct Invocation {
  Words words;                                                        ///< program and arguments
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< added to the test's own
  std::string input = {};
  ChildPlace place = {};
};

/// A running program; killed when destroyed.
class Running {
 public:
  explicit Running(const Invocation& invocation);
  Running(Running&& other) noexcept;
  Running(const Running&) = delete;
  ~Running();

  [[nodiscard]] pid_t pid() const { return child_.pid(); }
  void signal(int number) const { child_.signal(number); }
  /// Reads what it says until it ends; it is killed after `bound`, which is a failure of the test.
  [[nodiscard]] Outcome finish(std::chrono::milliseconds bound = std::chrono::seconds(30));

 private:
  struct Pipes {
    int in = -1, out = -1, err = -1;
  };
  Running(ChildProcess child, Pipes pipes) : child_(std::move(child)), pipes_(pipes) {}
  static Running launch(const Invocation& invocation);

  ChildProcess child_;
  Pipes pipes_;
};

[[nodiscard]] Outcome run(const Invocation& invocation);

/// Splits at blanks.
[[nodiscard]] Words words_of(const std::string& text);

/// The command under test: environment EGRESS_COMMAND, else what the build says.
[[nodiscard]] std::string command_path();

}  // namespace egress::test
