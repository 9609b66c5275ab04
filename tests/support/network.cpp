// SPDX-License-Identifier: GPL-2.0
#include "support/network.hpp"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "support/require.hpp"

namespace egress::test {
namespace {

constexpr std::array peer_addresses{
    "203.0.113.7",     "203.0.113.8",     "203.0.113.9",     "198.51.100.9",    "8.8.8.8",
    "2001:db8:bad::1", "2001:db8:bad::2", "2001:db8:bad::3", "2001:db8:fee::9",
};

int open_own_netns() {
  const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "open network namespace");
  return fd;
}

/// Runs `ip -batch` in a network namespace.
void configure(int netns, int home, const std::string& commands) {
  const int input = memfd_create("ip", MFD_CLOEXEC);
  require(write(input, commands.data(), commands.size()) == static_cast<ssize_t>(commands.size()), "write commands");
  require(lseek(input, 0, SEEK_SET) == 0 && setns(netns, CLONE_NEWNET) == 0, "enter network namespace");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  std::array<char*, 4> arguments{const_cast<char*>("ip"), const_cast<char*>("-batch"), const_cast<char*>("-")};
  pid_t pid = 0;
  errno = posix_spawnp(&pid, "ip", &actions, nullptr, arguments.data(), environ);
  require(errno == 0, "run ip");
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  require(waitpid(pid, &status, 0) == pid && status == 0, "configure network by:\n", commands.c_str());
  require(setns(home, CLONE_NEWNET) == 0, "return to network namespace");
  close(input);
}

std::string client_commands(const std::string& peer_netns) {
  return "link set lo up\n"
         "link add name c0 address 02:00:00:00:00:01 type veth peer name p0 address 02:00:00:00:00:02 netns " +
         peer_netns +
         "\n"
         "link set c0 addrgenmode none\n"
         "address add 192.0.2.1/24 dev c0\n"
         "address add 2001:db8::1/64 dev c0 nodad\n"
         "link set c0 up\n"
         "neighbor add 192.0.2.2 lladdr 02:00:00:00:00:02 dev c0 nud permanent\n"
         "neighbor add 2001:db8::2 lladdr 02:00:00:00:00:02 dev c0 nud permanent\n"
         "route add default via 192.0.2.2\n"
         "route add default via 2001:db8::2 dev c0\n";
}

std::string peer_commands() {
  std::string commands =
      "link set lo up\n"
      "link set p0 addrgenmode none\n"
      "address add 192.0.2.2/24 dev p0\n"
      "address add 2001:db8::2/64 dev p0 nodad\n"
      "link set p0 up\n"
      "neighbor add 192.0.2.1 lladdr 02:00:00:00:00:01 dev p0 nud permanent\n"
      "neighbor add 2001:db8::1 lladdr 02:00:00:00:00:01 dev p0 nud permanent\n";
  for (const std::string_view address : peer_addresses) {
    const bool v6 = address.find(':') != std::string_view::npos;
    commands += "address add " + std::string(address) + (v6 ? "/128 dev lo nodad\n" : "/32 dev lo\n");
  }
  return commands;
}

bool segments(std::string_view feature) {
  return feature == "tx-udp-segmentation" || (feature.starts_with("tx-tcp") && feature.ends_with("-segmentation"));
}

/// Reads the kernel's list of device features; the position is the feature's number.
std::vector<std::string> device_features(int fd, ifreq& request) {
  // struct ethtool_sset_info: command, reserved, 64 bits of sets, then a count for each set asked for.
  std::array<__u32, 5> sets{ETHTOOL_GSSET_INFO, 0, 1U << ETH_SS_FEATURES, 0, 0};
  request.ifr_data = reinterpret_cast<char*>(sets.data());
  require(ioctl(fd, SIOCETHTOOL, &request) == 0, "count device features");
  const std::size_t count = sets[4];
  // struct ethtool_gstrings: command, set, count, then the names.
  const std::array<__u32, 3> header{ETHTOOL_GSTRINGS, ETH_SS_FEATURES, sets[4]};
  std::vector<char> buffer(sizeof(header) + count * ETH_GSTRING_LEN);
  std::memcpy(buffer.data(), header.data(), sizeof(header));
  request.ifr_data = buffer.data();
  require(ioctl(fd, SIOCETHTOOL, &request) == 0, "name device features");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    const char* name = buffer.data() + sizeof(header) + i * ETH_GSTRING_LEN;
    names.emplace_back(name, strnlen(name, ETH_GSTRING_LEN));
  }
  return names;
}

void stop_segmenting(int netns, int home) {
  require(setns(netns, CLONE_NEWNET) == 0, "enter network namespace");
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, Network::client_device, IFNAMSIZ - 1);
  const std::vector<std::string> names = device_features(fd, request);
  const std::size_t words = (names.size() + 31) / 32;
  std::vector<__u32> command{ETHTOOL_SFEATURES, static_cast<__u32>(words)};
  command.resize(2 + words * 2);  // of each word: which bits are meant, and their values
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (segments(names[i])) command[2 + i / 32 * 2] |= 1U << (i % 32);
  }
  request.ifr_data = reinterpret_cast<char*>(command.data());
  require(ioctl(fd, SIOCETHTOOL, &request) >= 0, "switch segmentation off");
  close(fd);
  require(setns(home, CLONE_NEWNET) == 0, "return to network namespace");
}

}  // namespace

int datagram_socket_in(int netns) {
  const int home = open_own_netns();
  require(setns(netns, CLONE_NEWNET) == 0, "enter network namespace");
  const int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  require(setns(home, CLONE_NEWNET) == 0, "return to network namespace");
  close(home);
  require(made >= 0, "make a socket");
  return made;
}

int make_network_namespace() {
  const int home = open_own_netns();
  require(unshare(CLONE_NEWNET) == 0, "make network namespace");
  const int made = open_own_netns();
  require(setns(home, CLONE_NEWNET) == 0, "return to network namespace");
  close(home);
  return made;
}

Network::Network() : client_(make_network_namespace()), peer_(make_network_namespace()) {
  const int home = open_own_netns();
  const std::string peer_name = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(peer_);
  configure(client_, home, client_commands(peer_name));
  configure(peer_, home, peer_commands());
  stop_segmenting(client_, home);
  close(home);
}

Network::~Network() {
  close(client_);
  close(peer_);
}

}  // namespace egress::test
