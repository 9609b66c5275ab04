// SPDX-License-Identifier: GPL-2.0
#include "cli/run_child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/escape.hpp"
#include "sys/fd.hpp"

namespace egress::cli {
namespace {

/// Tells the parent what failed in the child before the command started.
struct StartFailure {
  int at_exec = 0;  ///< 0: entering the cgroup failed
  int code = 0;
};

sigset_t handed_on() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&signals, number);
  return signals;
}

/// Blocks signals for a scope.
class SignalMask {
 public:
  explicit SignalMask(const sigset_t& signals) { ::sigprocmask(SIG_BLOCK, &signals, &former_); }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;
  ~SignalMask() { ::sigprocmask(SIG_SETMASK, &former_, nullptr); }
  [[nodiscard]] const sigset_t& former() const { return former_; }

 private:
  sigset_t former_{};
};

/// The child's side: only calls that are safe after fork.
[[noreturn]] void become(const RunCgroup& cgroup, char* const* argv, const sigset_t& mask, int report) {
  StartFailure failure;
  failure.code = cgroup.enter();
  if (failure.code == 0) {
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execvp(argv[0], argv);
    failure = {1, errno};
  }
  (void)!::write(report, &failure, sizeof failure);
  ::_exit(start_status(failure.code));
}

int exit_status(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/// Waits for the end of the child; other signals go on to it meanwhile.
int wait_and_hand_on(pid_t child, const sigset_t& signals) {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return exit_status(status);
    siginfo_t info{};
    const int number = ::sigwaitinfo(&signals, &info);
    // The terminal signals its whole foreground group, the child too: once is enough.
    if (number > 0 && number != SIGCHLD && info.si_code <= 0) ::kill(child, number);
  }
}

Error start_error(const StartFailure& failure, const std::string& command) {
  if (failure.at_exec == 0) return system_error("enter cgroup", "egress run", failure.code);
  Error error = system_error("run", quote(command), failure.code);
  // The caller tells 126 and 127 from an error of egress by this kind.
  error.kind = ErrorKind::NotFound;
  return error;
}

}  // namespace

int start_status(int exec_errno) {
  return exec_errno == ENOENT || exec_errno == ENOTDIR ? exit_not_found : exit_not_executable;
}

Result<int> run_child(const RunCgroup& cgroup, const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("make pipe", {}, errno);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);

  const sigset_t signals = handed_on();
  const SignalMask mask(signals);
  const pid_t child = ::fork();
  const int err = errno;
  if (child < 0) return system_error("start process", {}, err);
  if (child == 0) become(cgroup, argv.data(), mask.former(), writer.get());

  writer.reset();
  StartFailure failure;
  // Ends with the exec, which closes the other side, or with what went wrong.
  const bool failed = ::read(reader.get(), &failure, sizeof failure) == static_cast<ssize_t>(sizeof failure);
  const int status = wait_and_hand_on(child, signals);
  if (failed) return start_error(failure, command.front());
  return status;
}

}  // namespace egress::cli
