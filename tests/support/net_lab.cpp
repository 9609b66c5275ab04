// SPDX-License-Identifier: GPL-2.0
#include "support/net_lab.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "support/janitor.hpp"

namespace egress::test {
namespace {

constexpr std::uint16_t marker_port = 9;
constexpr std::uint16_t probe_port = 10;  ///< not the markers': a late probe must not pass for one

/// Mounts of this process are seen by it and its children only, and gone with them.
void leave_mount_namespace() {
  static const bool left = [] {
    require(unshare(CLONE_NEWNS) == 0, "make mount namespace");
    // EINVAL: "/" is no mount point, as in a chroot. The janitor unmounts in any case.
    require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 || errno == EINVAL, "make mounts private");
    return true;
  }();
  (void)left;
}

std::string lab_name() {
  static int number = 0;
  return "egress-test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
}

[[noreturn]] void wait_and_clean_up(int pipe, const Leftovers& leftovers) {
  setsid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) std::signal(number, SIG_IGN);
  close_files_except({pipe});
  char byte = 0;
  while (read(pipe, &byte, 1) < 0 && errno == EINTR) {
  }
  clean_up(leftovers);
  _exit(0);
}

/// Sends one datagram through each CPU this process may use.
unsigned send_markers(int fd, const Endpoint& to) {
  const SocketAddress address = socket_address(to);
  cpu_set_t all;
  CPU_ZERO(&all);
  sched_getaffinity(0, sizeof(all), &all);
  unsigned sent = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    require(sendto(fd, "", 1, 0, address.get(), address.length) == 1, "send marker");
    ++sent;
  }
  sched_setaffinity(0, sizeof(all), &all);
  return sent;
}

}  // namespace

std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, directory, type;
    words >> device >> directory >> type;
    if (type == "cgroup2") return directory;
  }
  return {};
}

Lab::Lab() {
  leave_mount_namespace();
  const std::string name = lab_name();
  directory_ = std::filesystem::temp_directory_path() / name;
  pin_dir_ = directory_ + "/bpf/egress";
  cgroup_root_ = cgroup2_mount() + "/" + name;
  start_janitor();
  mount_bpffs();
  require(mkdir(cgroup_root_.c_str(), 0755) == 0, "make cgroup", cgroup_root_.c_str());
  network_ = std::make_unique<Network>();
  peer_ = std::make_unique<Peer>(Peer::start(network_->peer(), Network::peer_device));
  marker_ = Fd(datagram_socket_in(network_->client()));
  peer_->take_datagrams(marker_port);
  peer_->take_datagrams(probe_port);
  ChildPlace outside;
  outside.netns = network_->client();
  witness_ = std::make_unique<Actor>(Actor::start(outside));
  wait_for_wire();
}

/// A device that was just set up loses what is sent until the kernel has noticed its carrier, which it does on a
/// work queue.
void Lab::wait_for_wire() const {
  const Endpoint to{"192.0.2.2", probe_port};
  const SocketHandle socket = witness_->udp(to);
  for (int tries = 0; tries < 200; ++tries) {
    (void)witness_->send_to(socket, to, 1);
    if (peer_->wait_for({to.address, to.port, IPPROTO_UDP, {}}, 1, std::chrono::milliseconds(50))) {
      witness_->close(socket);
      return;
    }
  }
  require(false, "reach the peer");
}

Lab::~Lab() {
  close(janitor_pipe_);
  waitpid(janitor_, nullptr, 0);
}

void Lab::start_janitor() {
  int pipe[2];
  require(pipe2(pipe, O_CLOEXEC) == 0, "make pipe");
  janitor_ = fork();
  require(janitor_ >= 0, "fork janitor");
  if (janitor_ == 0) wait_and_clean_up(pipe[0], {cgroup_root_, directory_ + "/bpf", directory_});
  close(pipe[0]);
  janitor_pipe_ = pipe[1];
}

void Lab::mount_bpffs() const {
  const std::string bpffs = directory_ + "/bpf";
  require(mkdir(directory_.c_str(), 0755) == 0 && mkdir(bpffs.c_str(), 0700) == 0, "make directory", bpffs.c_str());
  require(mount("bpf", bpffs.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0, "mount bpffs");
}

std::string Lab::cgroup_directory(std::string_view path) const {
  if (path == "/") return cgroup_root_;
  return cgroup_root_ + (path.starts_with('/') ? "" : "/") + std::string(path);
}

std::string Lab::make_cgroup(std::string_view path) const {
  std::string directory = cgroup_directory(path);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  errno = error.value();
  require(!error, "make cgroup", directory.c_str());
  return directory;
}

void Lab::remove_cgroup(std::string_view path) const {
  const std::string directory = cgroup_directory(path);
  for (int tries = 0; rmdir(directory.c_str()) != 0; ++tries) {
    require(errno == EBUSY && tries < 2000, "remove cgroup", directory.c_str());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::uint64_t Lab::cgroup_id(std::string_view path) const {
  struct stat status {};
  const std::string directory = cgroup_directory(path);
  require(stat(directory.c_str(), &status) == 0, "find cgroup", directory.c_str());
  return status.st_ino;
}

Actor Lab::actor(std::string_view cgroup, uid_t uid) const {
  return Actor::start({make_cgroup(cgroup), network_->client(), uid});
}

void Lab::settle() const {
  const Endpoint to{"192.0.2.2", marker_port};
  const std::uint64_t before = peer_->datagrams(to).packets;
  const unsigned markers = send_markers(marker_.get(), to);
  require(peer_->wait_for({to.address, to.port, IPPROTO_UDP, {}}, before + markers, std::chrono::seconds(5)),
          "see markers arrive");
}

Invocation Lab::invocation(const Words& arguments) const {
  Invocation result;
  result.words = {command_path()};
  result.words.insert(result.words.end(), arguments.begin(), arguments.end());
  // Leaks are looked for in the unit tests; at the end of each of some thousand commands it takes a third of their
  // time.
  result.environment = {{"EGRESS_PIN_DIR", pin_dir_},
                        {"EGRESS_CGROUP_ROOT", cgroup_root_},
                        {"NO_COLOR", "1"},
                        {"ASAN_OPTIONS", "detect_leaks=0"}};
  return result;
}

Outcome Lab::egress(const Words& arguments, const std::string& input) const {
  Invocation call = invocation(arguments);
  call.input = input;
  return run(call);
}

Outcome Lab::egress(const std::string& line, const std::string& input) const { return egress(words_of(line), input); }

nlohmann::json Lab::list() const {
  const Outcome outcome = egress("ls -o json");
  nlohmann::json rules = outcome.json();
  return outcome.status == 0 && rules.is_array() ? rules : nlohmann::json::array();
}

Outcome Lab::bpftool(const std::string& line) {
  Invocation call;
  call.words = words_of("bpftool " + line);
  return run(call);
}

std::string Lab::write_file(const std::string& name, const std::string& text) const {
  std::string path = directory_ + "/" + name;
  std::ofstream(path) << text;
  return path;
}

}  // namespace egress::test
