// SPDX-License-Identifier: GPL-2.0
#include "support/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <sstream>

#include "support/require.hpp"

#ifndef EGRESS_COMMAND
#define EGRESS_COMMAND "build/egress"
#endif

namespace egress::test {
namespace {

using Clock = std::chrono::steady_clock;

int exec(const Invocation& invocation) {
  for (const auto& [name, value] : invocation.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& word : invocation.words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  std::perror(arguments[0]);
  return 127;
}

/// Appends what waits in the pipe; false at its end.
bool take(int fd, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

void give(int fd, const std::string& input) {
  std::size_t given = 0;
  while (given < input.size()) {
    const ssize_t wrote = write(fd, input.data() + given, input.size() - given);
    if (wrote <= 0) return;  // the program does not read it
    given += static_cast<std::size_t>(wrote);
  }
}

int left_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<long>(left, 0));
}

}  // namespace

std::string Outcome::text() const {
  return "exit status " + std::to_string(status) + "\nstdout: " + out + "\nstderr: " + err;
}

Running Running::launch(const Invocation& invocation) {
  std::signal(SIGPIPE, SIG_IGN);
  int in[2], out[2], err[2];
  require(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0, "make pipes");
  ChildProcess child = ChildProcess::start(invocation.place, {in[0], out[1], err[1]}, [&] {
    std::signal(SIGPIPE, SIG_DFL);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    return exec(invocation);
  });
  close(in[0]);
  close(out[1]);
  close(err[1]);
  give(in[1], invocation.input);
  close(in[1]);
  return Running(std::move(child), Pipes{-1, out[0], err[0]});
}

Running::Running(const Invocation& invocation) : Running(launch(invocation)) {}

Running::Running(Running&& other) noexcept
    : child_(std::move(other.child_)), pipes_(std::exchange(other.pipes_, Pipes{})) {}

Running::~Running() {
  for (const int fd : {pipes_.out, pipes_.err}) {
    if (fd >= 0) close(fd);
  }
}

Outcome Running::finish(std::chrono::milliseconds bound) {
  Outcome outcome;
  const auto end = Clock::now() + bound;
  std::array<pollfd, 2> files{{{pipes_.out, POLLIN, 0}, {pipes_.err, POLLIN, 0}}};
  while (files[0].fd >= 0 || files[1].fd >= 0) {
    if (poll(files.data(), files.size(), left_until(end)) <= 0) break;
    if (files[0].revents != 0 && !take(pipes_.out, outcome.out)) files[0].fd = -1;
    if (files[1].revents != 0 && !take(pipes_.err, outcome.err)) files[1].fd = -1;
  }
  const std::optional<int> status = child_.wait(std::chrono::milliseconds(left_until(end)));
  if (!status) {
    outcome.err += "\n(killed by the test: it did not end in time)";
    child_.signal(SIGKILL);
    return outcome;
  }
  outcome.status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  return outcome;
}

Outcome run(const Invocation& invocation) { return Running(invocation).finish(); }

Words words_of(const std::string& text) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string command_path() {
  const char* path = std::getenv("EGRESS_COMMAND");
  return path != nullptr ? path : EGRESS_COMMAND;
}

}  // namespace egress::test
