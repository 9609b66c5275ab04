// SPDX-License-Identifier: GPL-2.0
// What a packet and a command cost, against "no filter" and "empty program" in the same run.
//
// Every figure comes from rounds in which the contenders take turns, pinned to one CPU; the table shows
// medians and quartiles. The null control measures the baseline against itself: when it does not read 1.00 within a
// hundredth, the run is worthless and says so. Writes build/bench.json.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpf/private_instance.hpp"
#include "egress/filter.hpp"
#include "empty.skel.h"
#include "support/packet_builder.hpp"
#include "support/require.hpp"

namespace {

using namespace std::chrono_literals;
using namespace egress;
using Clock = std::chrono::steady_clock;

constexpr int rounds = 31;
constexpr int repeats = 200'000;  ///< of one BPF_PROG_TEST_RUN
constexpr int sends = 20'000;     ///< of one slice

struct Spread {
  double low, median, high;  ///< quartiles
};

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 4], values[values.size() / 2], values[values.size() * 3 / 4]};
}

/// A contender and what it measured, a value a round.
struct Contender {
  std::string name;
  std::function<double()> measure;
  std::vector<double> values = {};
};

void take_turns(std::vector<Contender>& contenders) {
  for (Contender& each : contenders) (void)each.measure();  // warm
  for (int round = 0; round < rounds; ++round) {
    for (Contender& each : contenders) each.values.push_back(each.measure());
  }
}

void enter(const std::string& directory) {
  std::ofstream procs(directory + "/cgroup.procs");
  procs << getpid() << std::flush;
  test::require(procs.good(), "enter cgroup", directory.c_str());
}

/// A socket keeps the cgroup it is made in.
int connected_socket(const std::string& cgroup, const std::string& home) {
  enter(cgroup);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  enter(home);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9009);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  test::require(fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0, "connect");
  return fd;
}

double sends_per_second(int fd) {
  const char datagram[64] = {};
  const auto start = Clock::now();
  for (int i = 0; i < sends; ++i) test::require(send(fd, datagram, sizeof datagram, 0) > 0, "send");
  return sends / std::chrono::duration<double>(Clock::now() - start).count();
}

/// Own network namespace with loopback, and a socket that swallows the datagrams.
void set_up_network() {
  test::require(unshare(CLONE_NEWNET) == 0, "make network namespace");
  const int sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::snprintf(request.ifr_name, IFNAMSIZ, "lo");
  request.ifr_flags = IFF_UP;
  test::require(ioctl(sink, SIOCSIFFLAGS, &request) == 0, "set lo up");
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(9009);
  test::require(bind(sink, reinterpret_cast<sockaddr*>(&here), sizeof here) == 0, "bind");
}

double nanoseconds_of(int program, const testing::Packet& packet) {
  auto frame = packet.ethernet();
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<std::uint32_t>(frame.size()), .repeat = repeats);
  test::require(bpf_prog_test_run_opts(program, &options) == 0, "run program");
  return options.duration;
}

int program_of(const test::PrivateInstance& instance) {
  const Fd link(bpf_obj_get(instance.pin("link_egress_skb").c_str()));
  bpf_link_info info{};
  std::uint32_t size = sizeof info;
  test::require(bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0, "ask link");
  return bpf_prog_get_fd_by_id(info.prog_id);
}

RuleSpec drop(const std::string& destination, Lifetime lifetime = std::nullopt) {
  RuleSpec spec;
  spec.destination = parse_destination(destination).value();
  spec.lifetime = lifetime;
  return spec;
}

void add(Filter& filter, const std::string& path, std::vector<RuleSpec> rules) {
  auto ids = filter.add({Subject{Subject::Kind::Path, path}, std::move(rules), std::nullopt});
  if (!ids) fmt::print(stderr, "{}\n", ids.error().message());
  test::require(ids.ok(), "add rules");
}

std::vector<RuleSpec> many(int count) {
  std::vector<RuleSpec> rules;
  for (int i = 0; i < count; ++i) {
    rules.push_back(drop(fmt::format("10.{}.{}.{}:4660/udp", i / 65536, i / 256 % 256, i % 256)));
  }
  return rules;
}

nlohmann::json table(const std::string& title, std::vector<Contender>& contenders, bool ratio) {
  take_turns(contenders);
  nlohmann::json rows = nlohmann::json::array();
  fmt::print("\n{}\n", title);
  const std::vector<double> base = contenders.front().values;
  for (Contender& each : contenders) {
    std::vector<double> relative;
    for (std::size_t i = 0; i < base.size(); ++i) {
      relative.push_back(ratio ? each.values[i] / base[i] : each.values[i] - base[i]);
    }
    const Spread all = spread_of(each.values);
    const Spread against = spread_of(relative);
    if (ratio) {
      fmt::print("  {:<34} {:>12.0f}   {:>6.3f} [{:.3f} {:.3f}]\n", each.name, all.median, against.median, against.low,
                 against.high);
    } else {
      fmt::print("  {:<34} {:>12.1f}   {:>+6.1f} [{:+.1f} {:+.1f}]\n", each.name, all.median, against.median,
                 against.low, against.high);
    }
    rows.push_back({{"name", each.name},
                    {"median", all.median},
                    {"against", against.median},
                    {"quartiles", {against.low, against.high}}});
  }
  return rows;
}

nlohmann::json bench_program(const test::PrivateInstance& instance, int floor, const std::string& home) {
  const int ours = program_of(instance);
  const testing::Packet packet = testing::Ipv4({.dst = "192.0.2.9"}).udp(0x1234);
  const testing::Packet hit = testing::Ipv4({.dst = "203.0.113.7"}).udp(0x1234);
  const auto in = [&](const char* path, int program, const testing::Packet& what) {
    const std::string cgroup = instance.root().directory() + path;
    return [=] {
      enter(cgroup);
      const double ns = nanoseconds_of(program, what);
      enter(home);
      return ns;
    };
  };
  std::vector<Contender> contenders{
      {"empty program", in("/free", floor, packet)},
      {"empty program again (null control)", in("/free", floor, packet)},
      {"cgroup without rules", in("/free", ours, packet)},
      {"  5 levels deeper", in("/free/1/2/3/4/5", ours, packet)},
      {"1 rule, no match", in("/one", ours, packet)},
      {"10,000 rules, no match", in("/many", ours, packet)},
      {"5 prefix lengths, no match", in("/prefixes", ours, packet)},
      {"match with a deadline", in("/one", ours, hit)},
  };
  return table("BPF_PROG_TEST_RUN: ns a packet, and ns over the empty program [quartiles]", contenders, false);
}

nlohmann::json bench_sends(const test::PrivateInstance& instance, const std::string& empty_cgroup,
                           const std::string& home, bool& sound) {
  const auto socket_in = [&](const std::string& cgroup) {
    const int fd = connected_socket(cgroup, home);
    return [fd] { return sends_per_second(fd); };
  };
  const std::string root = instance.root().directory();
  std::vector<Contender> contenders{
      {"no filter", socket_in(home)},
      {"no filter again (null control)", socket_in(home)},
      {"empty program", socket_in(empty_cgroup)},
      {"egress, cgroup without rules", socket_in(root + "/free")},
      {"egress, 1 rule", socket_in(root + "/one")},
      {"egress, 10,000 rules", socket_in(root + "/many")},
  };
  auto rows =
      table("Connected UDP, 64 bytes, loopback: sends a second, and ratio to no filter [quartiles]", contenders, true);
  const double control = rows[1]["against"];
  sound = control > 0.99 && control < 1.01;
  return rows;
}

nlohmann::json bench_commands(Filter& filter) {
  nlohmann::json rows = nlohmann::json::array();
  fmt::print("\nOne rule added and removed by the library (ms)\n");
  for (const int present : {0, 10'000}) {
    if (present) add(filter, "/many2", many(present));
    std::vector<double> adds, removes;
    for (int i = 0; i < 21; ++i) {
      const auto start = Clock::now();
      auto ids = filter.add({Subject{Subject::Kind::Path, "/free"}, {drop("198.51.100.77")}, std::nullopt});
      const auto middle = Clock::now();
      test::require(ids.ok() && filter.remove({.ids = *ids, .subject = {}, .policy = {}}).ok(), "add and remove");
      adds.push_back(std::chrono::duration<double, std::milli>(middle - start).count());
      removes.push_back(std::chrono::duration<double, std::milli>(Clock::now() - middle).count());
    }
    fmt::print("  with {:>6} more present   add {:>7.2f}   remove {:>7.2f}\n", present, spread_of(adds).median,
               spread_of(removes).median);
    rows.push_back(
        {{"present", present}, {"add_ms", spread_of(adds).median}, {"remove_ms", spread_of(removes).median}});
  }
  return rows;
}

std::string own_cgroup() {
  std::ifstream self("/proc/self/cgroup");
  for (std::string line; std::getline(self, line);) {
    if (line.starts_with("0::")) return test::cgroup2_mount() + line.substr(3);
  }
  return test::cgroup2_mount();
}

}  // namespace

int main() {
  if (geteuid() != 0) {
    fmt::print(stderr, "bench: loading a BPF program needs root: sudo make bench\n");
    return 7;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  sched_setaffinity(0, sizeof one, &one);

  const std::string home = own_cgroup();
  const test::PrivateInstance instance("bench");
  const std::string root = instance.root().directory();
  const std::vector<std::string> below{"/free",           "/free/1", "/free/1/2", "/free/1/2/3", "/free/1/2/3/4",
                                       "/free/1/2/3/4/5", "/one",    "/many",     "/prefixes"};
  for (const std::string& path : below) mkdir((root + path).c_str(), 0755);
  auto filter = Filter::load(instance.get(), {.max_rules = 65536});
  if (!filter) {
    fmt::print(stderr, "{}\n", filter.error().message());
    return 1;
  }
  add(*filter, "/one", {drop("203.0.113.7:4660/udp", 10h)});
  add(*filter, "/many", many(10'000));
  add(*filter, "/prefixes",
      {drop("10.0.0.0/8"), drop("172.16.0.0/12"), drop("198.18.0.0/15"), drop("203.0.113.0/24"), drop("203.0.112.1")});

  struct empty* object = empty__open_and_load();
  test::require(object != nullptr, "load the empty program");
  const test::PrivateCgroup empty_cgroup("bench-empty");
  const Fd empty_directory = empty_cgroup.open();
  const int floor = bpf_program__fd(object->progs.empty);
  LIBBPF_OPTS(bpf_link_create_opts, no_options);
  const Fd empty_link(bpf_link_create(floor, empty_directory.get(), BPF_CGROUP_INET_EGRESS, &no_options));
  test::require(empty_link.valid(), "attach the empty program");

  set_up_network();
  bool sound = false;
  nlohmann::json report;
  report["test_run_ns"] = bench_program(instance, floor, home);
  report["udp_sends"] = bench_sends(instance, empty_cgroup.directory(), home, sound);
  report["commands"] = bench_commands(*filter);
  report["sound"] = sound;
  std::ofstream(EGRESS_BUILD_DIR "/bench.json") << report.dump(2) << '\n';
  empty__destroy(object);
  for (auto path = below.rbegin(); path != below.rend(); ++path) rmdir((root + *path).c_str());
  if (!sound)
    fmt::print("\nThe null control is off by more than a hundredth: the machine is too busy, this run is worthless.\n");
  return 0;
}
