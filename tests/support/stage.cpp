// SPDX-License-Identifier: GPL-2.0
#include "support/stage.hpp"

#include <linux/if_ether.h>
#include <unistd.h>

#include <fstream>

#include "support/acts.hpp"
#include "support/require.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

int bind_anywhere(int, const SocketAddress&) {
  std::ofstream("/proc/sys/net/ipv6/ip_nonlocal_bind") << 1;
  return 0;
}

int forward(int, const SocketAddress&) {
  std::ofstream("/proc/sys/net/ipv4/ip_forward") << 1;
  for (const char* device : {"all", "i0"})
    std::ofstream(std::string("/proc/sys/net/ipv4/conf/") + device + "/rp_filter") << 0;
  return 0;
}

Outcome fed(int netns, const Words& words, const std::string& input) {
  Invocation call{words};
  call.input = input;
  call.place.netns = netns;
  return run(call);
}

void expect_done(const Outcome& outcome) { require(outcome.status == 0, "configure:", outcome.text().c_str()); }

Words batch_of(const std::string& tool) { return tool == "ip" ? Words{"ip", "-batch", "-"} : Words{tool, "-f", "-"}; }

Actor at(int netns) {
  ChildPlace place;
  place.netns = netns;
  return Actor::start(place);
}

}  // namespace

Stage::Stage(const Lab& lab) : lab_(lab), far_(at(lab.network().peer())), receiver_(lab.actor("/receiver")) {
  expect_done(fed(lab.network().peer(), {"ip", "-batch", "-"},
                  "route add local 203.0.113.0/24 dev lo\n"
                  "route add local 198.51.100.0/24 dev lo\n"
                  "route add local 2001:db8:bad::/48 dev lo\n"
                  "route add local 2001:db8:fee::/48 dev lo\n"));
  make_inner_network();
  open_receivers();
}

Stage::~Stage() { close(inner_netns_); }

void Stage::make_inner_network() {
  inner_netns_ = make_network_namespace();
  const std::string inside = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(inner_netns_);
  expect_done(configure("ip", "link add i0 type veth peer name i1 netns " + inside +
                                  "\nlink set i0 addrgenmode none\n"
                                  "address add 198.51.100.245/30 dev i0\n"
                                  "link set i0 up\n"));
  expect_done(fed(inner_netns_, {"ip", "-batch", "-"},
                  "link set lo up\n"
                  "link set i1 addrgenmode none\n"
                  "address add 198.51.100.246/30 dev i1\n"
                  "link set i1 up\n"
                  "route add default via 198.51.100.245\n"));
  (void)receiver_.perform(SocketHandle{-1}, {"0.0.0.0"}, forward);
}

void Stage::open_receivers() {
  (void)far_.perform(SocketHandle{-1}, {"::"}, bind_anywhere);
  inbox_socket_ = far_.open(AF_INET6, SOCK_DGRAM);
  require(far_.bind(inbox_socket_, {"::", tagged_port}) == 0, "bind peer's socket");
  session_socket_ = far_.open(AF_PACKET, SOCK_DGRAM, htons(ETH_P_PPP_SES));
  copy_socket4_ = receiver_.open(AF_INET, SOCK_DGRAM);
  copy_socket6_ = receiver_.open(AF_INET6, SOCK_DGRAM);
  require(receiver_.bind(copy_socket4_, {"0.0.0.0", group_port}) == 0, "bind receiver's socket");
  // Beside the other: without the part that would take IPv4 too.
  require(receiver_.perform(copy_socket6_, {"::", group_port},
                            [](int socket, const SocketAddress& here) {
                              const int on = 1;
                              setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
                              return bind(socket, here.get(), here.length);
                            }) == 0,
          "bind receiver's socket");
  for (const char* group : {"239.1.1.1", "239.1.1.2"})
    require(receiver_.perform(copy_socket4_, {group}, join_group) == 0, "join", group);
  for (const char* group : {"ff05::1234", "ff05::1235"})
    require(receiver_.perform(copy_socket6_, {group}, join_group) == 0, "join", group);
}

const Actor& Stage::inner(const std::string& cgroup) {
  const auto found = inner_.find(cgroup);
  if (found != inner_.end()) return found->second;
  return inner_.emplace(cgroup, Actor::start({lab_.make_cgroup(cgroup), inner_netns_})).first->second;
}

std::uint64_t Stage::inbox() { return inbox_ += far_.receive(inbox_socket_, 0ms); }
std::uint64_t Stage::sessions() { return sessions_ += far_.receive(session_socket_, 0ms); }
std::uint64_t Stage::copies() {
  return copies_ += receiver_.receive(copy_socket4_, 0ms) + receiver_.receive(copy_socket6_, 0ms);
}

std::string Stage::beyond_tunnel(const std::string& remote) {
  const auto found = beyond_.find(remote);
  if (found != beyond_.end()) return found->second;
  const bool first = beyond_.empty();
  const std::string device = first ? "x0" : "x1";
  const std::string here = first ? "198.51.100.249/30" : "198.51.100.253/30";
  const std::string there = first ? "198.51.100.250" : "198.51.100.254";
  const std::string commands = "link add " + device + " type vxlan id " + (first ? "7" : "8") + " remote " + remote +
                               " dstport 4789 dev c0\n"
                               "link set " +
                               device +
                               " addrgenmode none\n"  // no packets of the kernel's own
                               "address add " +
                               here + " dev " + device + "\nlink set " + device + " up\nneighbor add " + there +
                               " lladdr 02:00:00:00:00:77 dev " + device + " nud permanent\n";
  return beyond_[remote] = configure("ip", commands).status == 0 ? there : "";
}

Outcome Stage::configure(const std::string& tool, const std::string& input) const {
  return fed(lab_.network().client(), batch_of(tool), input);
}

Outcome Stage::configure_peer(const std::string& tool, const std::string& input) const {
  return fed(lab_.network().peer(), batch_of(tool), input);
}

}  // namespace egress::test
