// SPDX-License-Identifier: GPL-2.0
// What a sender feels: connected UDP sockets on loopback.
#include <fmt/format.h>
#include <sys/socket.h>

#include "contests.hpp"
#include "support/command.hpp"
#include "turns.hpp"

namespace egress::bench {
namespace {

constexpr int sends = 10'000;  ///< of one slice
constexpr int many = 10'000;   ///< destinations of the longer lists

double sends_per_second(int fd) {
  const char datagram[64] = {};
  const double start = cpu_time();
  for (int i = 0; i < sends; ++i) test::require(send(fd, datagram, sizeof datagram, 0) > 0, "send");
  return sends / (cpu_time() - start) * 1e9;
}

Contender socket_in(std::string name, const std::string& cgroup) {
  return {std::move(name), [fd = connected_socket(cgroup)] { return sends_per_second(fd); }};
}

/// A set of the same destinations for the packets of one cgroup. nft finds cgroups below /sys/fs/cgroup only.
std::string nft_rules(const std::string& cgroup, const std::vector<RuleSpec>& rules) {
  const std::string base = "/sys/fs/cgroup/";
  if (!cgroup.starts_with(base)) return {};
  std::string elements;
  for (const RuleSpec& rule : rules) elements += format(*rule.destination.prefix).append(",");
  return fmt::format(
      "table ip bench {{ set denied {{ type ipv4_addr; elements = {{ {} }} }}\n"
      "chain out {{ type filter hook output priority 0;\nsocket cgroupv2 level 1 \"{}\" ip daddr @denied "
      "drop\n}}\n}}\n",
      elements, cgroup.substr(base.size()));
}

/// A peer that lets everything pass would look fast: the rule must drop what it names, in its cgroup alone.
bool drops(int fd) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9009);
  to.sin_addr.s_addr = htonl(0x7F000009);
  return sendto(fd, "", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 && errno == EPERM;
}

/// In a network namespace of its own: the hook of nftables is on the way of every packet there.
void add_nftables(const Field& field, std::vector<Contender>& contenders) {
  enter_new_network();
  contenders.push_back(socket_in("no filter, in the other namespace", field.none.directory()));
  std::vector<RuleSpec> denied = exact(many);
  denied.push_back(drop("127.0.0.9"));
  const test::Outcome nft = test::run({.words = {"nft", "-f", "-"}, .input = nft_rules(field.nft.directory(), denied)});
  if (nft.status != 0) {
    fmt::print("\nnftables is left out: {}\n", nft.text().substr(0, 300));
    return;
  }
  const bool works = drops(connected_socket(field.nft.directory())) && !drops(connected_socket(field.none.directory()));
  test::require(works, "see nftables drop");
  contenders.push_back(socket_in("nftables, set of 10,000", field.nft.directory()));
}

}  // namespace

nlohmann::json contest_sends(const Field& field, bool& sound) {
  const std::string root = field.instance.root().directory();
  const Attached empty = attach_empty(field.empty.directory());
  const Attached lpm = attach_lpm(field.lpm.directory(), exact(many));
  enter_new_network();
  Contest contest{.title = "Connected UDP, 64 bytes, loopback",
                  .unit = "sends a second of CPU time,",
                  .against = Against::Ratio,
                  .rounds = 61,
                  .contenders = {
                      socket_in("no filter", field.none.directory()),
                      socket_in("no filter again (null control)", field.none.directory()),
                      socket_in("empty program", field.empty.directory()),
                      socket_in("egress, cgroup without rules", root + "/free"),
                      socket_in("egress, 1 rule", root + "/one"),
                      socket_in("egress, 10,000 exact", root + "/exact10k"),
                      socket_in("egress, 1,000 mixed prefixes", root + "/mixed1k"),
                      socket_in("LPM program, 10,000 exact", field.lpm.directory()),
                  }};
  add_nftables(field, contest.contenders);
  enter(field.none.directory());
  nlohmann::json rows = hold(std::move(contest));
  const double control = rows[1]["against"];
  sound = control > 0.99 && control < 1.01;
  return rows;
}

}  // namespace egress::bench
