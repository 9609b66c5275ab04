// SPDX-License-Identifier: GPL-2.0
#include "sys/canary.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>

#include "drop_egress_by_cgroup.h"
#include "sys/fd.hpp"

namespace egress {
namespace {

constexpr int bound_ms = 2000;
constexpr std::uint32_t ttl_s = 5;
constexpr std::uint16_t port = 47013;  // any; the network namespace is the child's own
constexpr int judged_within_ms = 50;   // a rule of the template's maps is in force within 10 ms
constexpr long retry_ns = 2'000'000;

/// Exit statuses of the child.
enum Outcome : int {
  Dropped = 0,
  Passed = 1,
  NeighbourDropped = 2,
  CannotEnter = 3,
  CannotUnshare = 4,
  CannotSend = 5
};

/// A cgroup of its own below the root, removed again.
class CanaryCgroup {
 public:
  static Result<CanaryCgroup> make(int root_fd) {
    static std::atomic<unsigned> number{0};
    CanaryCgroup made(root_fd, "egress-canary-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
    const int failed = ::mkdirat(root_fd, made.name_.c_str(), 0755);
    const int err = errno;
    if (failed) return made.name_.clear(), system_error("make cgroup", "canary", err);
    made.directory_.reset(::openat(root_fd, made.name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    const bool known = made.directory_.valid() && ::fstat(made.directory_.get(), &status) == 0;
    const int code = errno;
    if (!known) return system_error("open cgroup", made.name_, code);
    made.id_ = status.st_ino;
    return made;
  }
  CanaryCgroup(CanaryCgroup&& other) noexcept
      : root_fd_(other.root_fd_),
        name_(std::exchange(other.name_, {})),
        directory_(std::move(other.directory_)),
        id_(other.id_) {}
  CanaryCgroup& operator=(CanaryCgroup&&) = delete;

  ~CanaryCgroup() {
    if (name_.empty()) return;
    const timespec pause{0, retry_ns};
    // EBUSY for a moment after the last process was reaped.
    for (int tries = 0; tries < 100; ++tries) {
      if (::unlinkat(root_fd_, name_.c_str(), AT_REMOVEDIR) == 0 || errno != EBUSY) return;
      ::nanosleep(&pause, nullptr);
    }
  }

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] int fd() const { return directory_.get(); }

 private:
  CanaryCgroup(int root_fd, std::string name) : root_fd_(root_fd), name_(std::move(name)) {}

  int root_fd_;
  std::string name_;
  Fd directory_;
  std::uint64_t id_ = 0;
};

std::uint64_t boot_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

Error write_error(const char* map, int code) {
  Error error = system_error("write map", map, code);
  if (code != E2BIG) return error;
  error.cause = "full of rules of other tools";
  error.remedy = "remove some, or load with more: egress load --max-map-rules N";
  return error;
}

/// The entries of the template's maps that make the rule, removed again.
class CanaryRule {
 public:
  static Result<CanaryRule> make(const CanarySite& site, std::uint64_t cgroup) {
    drop_config config{};
    config.dst_ip = htonl(INADDR_LOOPBACK);
    config.dst_port = port;
    config.flags = DROP_CONFIG_CANARY;
    config.cgroup_id = cgroup;
    config.ttl = ttl_s;
    config.created_at = boot_clock();
    CanaryRule rule(site, cgroup);
    if (Result<void> done = rule.take_free_id(config); !done) return std::move(done).error();
    const int failed = bpf_map_update_elem(site.cgroup_rules_fd, &cgroup, &rule.id_, BPF_NOEXIST);
    const int err = errno;
    if (failed) return write_error("cgroup_rules", err);
    return rule;
  }
  CanaryRule(CanaryRule&& other) noexcept
      : site_(other.site_), cgroup_(other.cgroup_), id_(std::exchange(other.id_, 0)) {}
  CanaryRule& operator=(CanaryRule&&) = delete;

  ~CanaryRule() {
    if (id_ == 0) return;
    bpf_map_delete_elem(site_.cgroup_rules_fd, &cgroup_);
    bpf_map_delete_elem(site_.drop_configs_fd, &id_);
  }

 private:
  CanaryRule(const CanarySite& site, std::uint64_t cgroup) : site_(site), cgroup_(cgroup) {}

  /// An id of the upper half: rules of the command start at 1.
  Result<void> take_free_id(const drop_config& config) {
    int err = EEXIST;
    for (int tries = 0; tries < 16 && err == EEXIST; ++tries) {
      std::uint32_t id = 0;
      if (::getrandom(&id, sizeof(id), 0) != static_cast<ssize_t>(sizeof(id))) continue;
      id |= 0x80000000u;
      if (bpf_map_update_elem(site_.drop_configs_fd, &id, &config, BPF_NOEXIST) == 0) return id_ = id, Result<void>();
      err = errno;
    }
    return write_error("drop_configs", err);
  }

  CanarySite site_;
  std::uint64_t cgroup_;
  std::uint32_t id_ = 0;
};

// ---- in the child: system calls only, the parent may have had threads ----

bool enter_cgroup(int cgroup_fd) {
  const int procs = ::openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  return procs >= 0 && ::write(procs, "0", 1) == 1;
}

bool bring_loopback_up(int socket_fd) {
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ::ioctl(socket_fd, SIOCSIFFLAGS, &request) == 0;
}

/// 0 or errno.
int send_datagram(int socket_fd, std::uint16_t to_port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(to_port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const ssize_t sent = ::sendto(socket_fd, "c", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  return sent == 1 ? 0 : errno;
}

Outcome child_outcome(int cgroup_fd) {
  if (!enter_cgroup(cgroup_fd)) return CannotEnter;
  if (::unshare(CLONE_NEWNET) != 0) return CannotUnshare;
  const int socket_fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0 || !bring_loopback_up(socket_fd)) return CannotSend;
  const int neighbour = send_datagram(socket_fd, port + 1);
  if (neighbour != 0) return neighbour == EPERM ? NeighbourDropped : CannotSend;
  const timespec pause{0, retry_ns};
  for (const std::uint64_t until = boot_clock() + judged_within_ms * 1'000'000ull; boot_clock() < until;) {
    if (send_datagram(socket_fd, port) == EPERM) return Dropped;
    ::nanosleep(&pause, nullptr);
  }
  return Passed;
}

// ---- in the parent ----

/// Waits for the child and reaps it, killed if it takes too long. Its exit status, or -1.
int reap(pid_t child) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd wait_for{process.get(), POLLIN, 0};
  if (!process.valid() || ::poll(&wait_for, 1, bound_ms) != 1) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Error untested(const char* cause) { return Error{ErrorKind::Failed, "self-test", "canary", cause, {}, 0}; }

Result<CanaryReport> report_of(int outcome) {
  switch (outcome) {
    case Dropped:
      return CanaryReport{true, {}};
    case Passed:
      return CanaryReport{false, "a packet that a rule names was not dropped"};
    case NeighbourDropped:
      return untested("a packet that the canary's rule does not name was refused");
    case CannotEnter:
      return untested("a process could not enter the cgroup made for it");
    case CannotUnshare:
      return untested("no network namespace could be made");
    case CannotSend:
      return untested("no datagram could be sent over loopback");
    default:
      return untested("the process that sends it did not end in time");
  }
}

}  // namespace

Result<CanaryReport> send_canary(const CanarySite& site) {
  Result<CanaryCgroup> cgroup = CanaryCgroup::make(site.root_fd);
  if (!cgroup) return std::move(cgroup).error();
  Result<CanaryRule> rule = CanaryRule::make(site, cgroup->id());
  if (!rule) return std::move(rule).error();
  const pid_t child = ::fork();
  const int err = errno;
  if (child < 0) return system_error("self-test", "fork", err);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(child_outcome(cgroup->fd()));
  }
  return report_of(reap(child));
}

}  // namespace egress
