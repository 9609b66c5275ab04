// SPDX-License-Identifier: GPL-2.0
#include "cli/ending.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>

namespace egress::cli {

Result<Ending> Ending::watch() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  const int err = errno;
  if (!fd.valid()) return system_error("watch signals", {}, err);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return Ending(std::move(fd));
}

bool Ending::go_on(std::chrono::milliseconds bound, int also) const {
  // A negative descriptor is not looked at.
  std::array<pollfd, 2> files{{{signals_.get(), POLLIN, 0}, {also, POLLIN, 0}}};
  const int ready = ::poll(files.data(), files.size(), static_cast<int>(bound.count()));
  return ready <= 0 || (files[0].revents & POLLIN) == 0;
}

}  // namespace egress::cli
