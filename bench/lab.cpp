// SPDX-License-Identifier: GPL-2.0
#include "lab.hpp"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "empty.skel.h"
#include "lpm.skel.h"
#include "support/command.hpp"
#include "support/network.hpp"

namespace egress::bench {
namespace {

Attached attach(int program, const std::string& cgroup) {
  LIBBPF_OPTS(bpf_link_create_opts, no_options);
  const Fd directory(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Attached attached{program, Fd(bpf_link_create(program, directory.get(), BPF_CGROUP_INET_EGRESS, &no_options))};
  test::require(attached.link.valid(), "attach a program to", cgroup.c_str());
  return attached;
}

struct LpmKey {
  std::uint32_t length;
  std::array<std::uint8_t, 16> address;
};

void swallow(int family) {
  const int sink = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (family == AF_INET6) setsockopt(sink, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const Endpoint here(Address{.family = family == AF_INET ? Family::V4 : Family::V6}, sink_port);
  test::require(bind(sink, here.raw(), here.length) == 0, "bind");
}

}  // namespace

Attached attach_empty(const std::string& cgroup) {
  struct empty* object = empty__open_and_load();
  test::require(object != nullptr, "load the empty program");
  return attach(bpf_program__fd(object->progs.empty), cgroup);
}

Attached attach_lpm(const std::string& cgroup, const std::vector<Prefix>& denied) {
  struct lpm* object = lpm__open();
  test::require(object != nullptr, "open the LPM program");
  bpf_map* map = denied.front().address.family == Family::V4 ? object->maps.denied4 : object->maps.denied6;
  bpf_map__set_max_entries(map, static_cast<std::uint32_t>(denied.size()) + 1);
  test::require(lpm__load(object) == 0, "load the LPM program");
  const std::uint64_t value = 1;
  for (const Prefix& prefix : denied) {
    const LpmKey key{prefix.length, prefix.address.bytes};
    test::require(bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) == 0, "fill the trie");
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

int make_network() {
  const int network = test::make_network_namespace();
  const test::Outcome made = test::run({.words = {"ip", "-batch", "-"},
                                        .input = "link set lo up\n"
                                                 "address add 192.0.2.1/32 dev lo\n"
                                                 "address add 2001:db8::1/128 dev lo nodad\n"
                                                 "route add local 0.0.0.0/0 dev lo\n"
                                                 "route add local ::/0 dev lo\n",
                                        .place = {.netns = network}});
  test::require(made.status == 0, "configure network", made.err.c_str());
  test::require(setns(network, CLONE_NEWNET) == 0, "enter network namespace");
  swallow(AF_INET);
  swallow(AF_INET6);
  return network;
}

Endpoint::Endpoint(const Address& address, std::uint16_t port) {
  if (address.family == Family::V4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
    std::copy_n(address.bytes.begin(), 4, reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
    length = sizeof v4;
  } else {
    storage.sin6_family = AF_INET6;
    storage.sin6_port = htons(port);
    std::ranges::copy(address.bytes, storage.sin6_addr.s6_addr);
    length = sizeof storage;
  }
}

int socket_in(const Place& place, int family, int type) {
  enter(place.cgroup);
  test::require(setns(place.network, CLONE_NEWNET) == 0, "enter network namespace");
  const int fd = socket(family, type | SOCK_CLOEXEC, 0);
  test::require(fd >= 0, "make socket");
  return fd;
}

int connected_socket(const Place& place, const Address& to) {
  const Endpoint end(to, sink_port);
  const int fd = socket_in(place, end.family(), SOCK_DGRAM);
  test::require(connect(fd, end.raw(), end.length) == 0, "connect");
  return fd;
}

bool is_dropped(const Place& place, const Address& to) {
  const Endpoint end(to, sink_port);
  const Fd fd(socket_in(place, end.family(), SOCK_DGRAM));
  return sendto(fd.get(), "", 1, 0, end.raw(), end.length) < 0 && errno == EPERM;
}

}  // namespace egress::bench
