// SPDX-License-Identifier: GPL-2.0
#include "lab.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <set>

#include "empty.skel.h"
#include "lpm.skel.h"

namespace egress::bench {
namespace {

Attached attach(int program, const std::string& cgroup) {
  LIBBPF_OPTS(bpf_link_create_opts, no_options);
  const Fd directory(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Attached attached{program, Fd(bpf_link_create(program, directory.get(), BPF_CGROUP_INET_EGRESS, &no_options))};
  test::require(attached.link.valid(), "attach a program to", cgroup.c_str());
  return attached;
}

sockaddr_in sink_address() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9009);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Of an IPv4 destination, host byte order.
std::uint32_t bits_of(const Prefix& prefix) {
  const auto& bytes = prefix.address.bytes;
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string text_of(std::uint32_t bits, unsigned length) {
  return fmt::format("{}.{}.{}.{}/{}", bits >> 24, bits >> 16 & 255, bits >> 8 & 255, bits & 255, length);
}

std::uint32_t random_address(std::mt19937& random) { return 10u << 24 | (static_cast<std::uint32_t>(random()) >> 8); }

struct LpmKey {
  std::uint32_t plen, addr;
};

}  // namespace

Attached attach_empty(const std::string& cgroup) {
  struct empty* object = empty__open_and_load();
  test::require(object != nullptr, "load the empty program");
  return attach(bpf_program__fd(object->progs.empty), cgroup);
}

Attached attach_lpm(const std::string& cgroup, const std::vector<RuleSpec>& denied) {
  struct lpm* object = lpm__open_and_load();
  test::require(object != nullptr, "load the LPM program");
  const std::uint64_t value = 1;
  for (const RuleSpec& rule : denied) {
    const Prefix& prefix = *rule.destination.prefix;
    const LpmKey key{prefix.length, htonl(bits_of(prefix))};
    test::require(bpf_map_update_elem(bpf_map__fd(object->maps.denied), &key, &value, BPF_ANY) == 0, "fill the trie");
  }
  return attach(bpf_program__fd(object->progs.lpm), cgroup);
}

void enter(const std::string& cgroup) {
  std::ofstream procs(cgroup + "/cgroup.procs");
  procs << getpid() << std::flush;
  test::require(procs.good(), "enter cgroup", cgroup.c_str());
}

int program_of(const test::PrivateInstance& instance) {
  const Fd link(bpf_obj_get(instance.pin("link_egress_skb").c_str()));
  bpf_link_info info{};
  std::uint32_t size = sizeof info;
  test::require(bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0, "ask link");
  return bpf_prog_get_fd_by_id(info.prog_id);
}

void enter_new_network() {
  test::require(unshare(CLONE_NEWNET) == 0, "make network namespace");
  const int sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::snprintf(request.ifr_name, IFNAMSIZ, "lo");
  request.ifr_flags = IFF_UP;
  test::require(ioctl(sink, SIOCSIFFLAGS, &request) == 0, "set lo up");
  const sockaddr_in here = sink_address();
  test::require(bind(sink, reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0, "bind");
}

int connected_socket(const std::string& cgroup) {
  enter(cgroup);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in to = sink_address();
  test::require(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "connect");
  return fd;
}

RuleSpec drop(const std::string& destination, Lifetime lifetime) {
  RuleSpec spec;
  spec.destination = parse_destination(destination).value();
  spec.lifetime = lifetime;
  return spec;
}

std::vector<RuleSpec> exact(int count) {
  std::mt19937 random(3);
  std::set<std::uint32_t> addresses;
  while (static_cast<int>(addresses.size()) < count) addresses.insert(random_address(random) & ~1u);
  std::vector<RuleSpec> rules;
  for (const std::uint32_t address : addresses) rules.push_back(drop(text_of(address, 32)));
  return rules;
}

std::vector<RuleSpec> mixed(int count) {
  std::mt19937 random(7);
  std::set<std::string> seen;
  std::vector<RuleSpec> rules;
  for (unsigned i = 0; static_cast<int>(rules.size()) < count; ++i) {
    RuleSpec rule = drop(text_of(random_address(random), 16 + i % 17));
    if (seen.insert(format(rule.destination)).second) rules.push_back(std::move(rule));
  }
  return rules;
}

std::vector<std::uint32_t> strangers(int count, const std::vector<RuleSpec>& networks) {
  std::set<std::pair<std::uint32_t, unsigned>> known;
  for (const RuleSpec& rule : networks) {
    known.emplace(bits_of(*rule.destination.prefix), rule.destination.prefix->length);
  }
  const auto met = [&](std::uint32_t address) {
    for (unsigned length = 16; length <= 32; ++length) {
      if (known.contains({address & ~0u << (32 - length), length})) return true;
    }
    return false;
  };
  std::mt19937 random(11);
  std::vector<std::uint32_t> found;
  while (static_cast<int>(found.size()) < count) {
    const std::uint32_t address = random_address(random) | 1;
    if (!met(address)) found.push_back(address);
  }
  return found;
}

}  // namespace egress::bench
