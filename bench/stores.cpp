// SPDX-License-Identifier: GPL-2.0
#include "stores.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>

#include "destinations.hpp"
#include "sizes.hpp"
#include "support/command.hpp"

namespace egress::bench {
namespace {

using test::Words;

double child_cpu() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto milliseconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}

/// What is started meanwhile may run on every CPU, as the command of a user may: this process is pinned to one.
class Unpinned {
 public:
  Unpinned() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t every;
    CPU_ZERO(&every);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &every);
    test::require(sched_setaffinity(0, sizeof every, &every) == 0, "leave the CPU");
  }
  Unpinned(const Unpinned&) = delete;
  Unpinned& operator=(const Unpinned&) = delete;
  ~Unpinned() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

struct Done {
  Cost cost;
  test::Outcome outcome;
};

Done run_command(const test::Invocation& invocation) {
  const Unpinned everywhere;
  const double cpu = child_cpu();
  const auto start = std::chrono::steady_clock::now();
  test::Outcome outcome = test::Running(invocation).finish(std::chrono::minutes(5));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return {{took.count(), child_cpu() - cpu}, std::move(outcome)};
}

Cost must_run(const test::Invocation& invocation) {
  Done done = run_command(invocation);
  if (done.outcome.status != 0) fmt::print(stderr, "{}\n", done.outcome.text().substr(0, 500));
  test::require(done.outcome.status == 0, "run", invocation.words.front().c_str());
  return done.cost;
}

/// What stands around the destinations in a file that a command reads.
struct Form {
  std::string begin = {}, before = {}, after = "\n", end = {};
};

std::string write_list(const std::string& name, const List& list, const Form& form) {
  std::string path = fmt::format("{}/{}-{}{}{}", lists_directory, name, list.count, list.networks ? "m" : "",
                                 list.family == Family::V6 ? "-6" : "");
  std::ofstream file(path);
  file << form.begin;
  for (const Prefix& each : list.destinations()) file << form.before << format(each) << form.after;
  file << form.end;
  test::require(file.flush().good(), "write", path.c_str());
  return path;
}

/// Below the mount of cgroup v2: as iptables names it.
std::string below_mount(const std::string& cgroup) { return cgroup.substr(test::cgroup2_mount().size() + 1); }

test::Invocation invocation_of(const test::PrivateInstance& instance, Words words) {
  words.insert(words.begin(), test::command_path());
  return {
      .words = std::move(words),
      .environment = {{"EGRESS_PIN_DIR", instance.get().pin_dir}, {"EGRESS_CGROUP_ROOT", instance.get().cgroup_root}}};
}

class Egress : public Store {
 public:
  Egress(const List& list, const test::PrivateInstance& instance, int network)
      : Store(ours, list, {instance.root().directory() + "/list", network}), instance_(instance) {}

  bool set_up() override {
    test::require(mkdir(place().cgroup.c_str(), 0755) == 0, "make cgroup", place().cgroup.c_str());
    const int room = std::max(static_cast<int>(default_max_rules), list().count + 16);
    if (room > static_cast<int>(default_max_rules)) weigh_empty();
    (void)command({"load", "--max-rules", std::to_string(room)});
    program_ = program_of(instance_);
    file_ = write_list("egress", list(), {});
    return true;
  }
  Cost load() override { return command({"drop", "cgroup", "/list", "forever", "-f", file_}); }
  Cost flush() override { return command({"rm", "--all"}); }
  Cost add(const std::string& to) override { return command({"drop", "cgroup", "/one", "to", to, "forever"}); }
  Cost remove(const std::string&) override { return command({"rm", "cgroup", "/one"}); }
  [[nodiscard]] int program() const override { return program_; }
  std::uint64_t memory() override {
    return run_command(invocation_of(instance_, {"status", "-o", "json"}))
        .outcome.json()
        .value("memory_bytes", std::uint64_t{0});
  }

 private:
  [[nodiscard]] Cost command(Words words) const { return run_egress(instance_, std::move(words)); }

  /// Peers are weighed by what a list adds to them. Our maps have their sizes from the load on: what a list adds is
  /// what an instance with room for it takes more than the default one, which is made for subjects, policies, rules of
  /// other tools, and 65,536 rules. Those do not count as destinations either: what remains is the price of each
  /// further one, with its part of every index and filter.
  void weigh_empty() {
    (void)command({"load"});
    empty_ = {static_cast<double>(memory()), static_cast<int>(default_max_rules)};
    (void)command({"unload"});
  }

  const test::PrivateInstance& instance_;
  int program_ = -1;
  std::string file_;
};

/// Peers live in a network namespace: their commands run there.
class Peer : public Store {
 public:
  using Store::Store;

 protected:
  [[nodiscard]] Cost command(Words words) const {
    return must_run({.words = std::move(words), .place = {.netns = place().network}});
  }
  /// A command that this machine may not be able to run.
  [[nodiscard]] bool attempt(Words words, const std::string& input = {}) const {
    const Done done = run_command({.words = std::move(words), .input = input, .place = {.netns = place().network}});
    if (done.outcome.status != 0) fmt::print("\n{} is left out: {}\n", name(), done.outcome.text().substr(0, 300));
    return done.outcome.status == 0;
  }
  [[nodiscard]] bool is_v4() const { return list().family == Family::V4; }
};

class Nft : public Peer {
 public:
  using Peer::Peer;

  bool set_up() override {
    const std::string base = "/sys/fs/cgroup/";  // nft looks for cgroups there
    if (!place().cgroup.starts_with(base)) return false;
    if (!attempt({"nft", "-f", "-"}, table(place().cgroup.substr(base.size())))) return false;
    file_ = write_list(is_map() ? "map" : "set", list(),
                       {.begin = fmt::format("add element {} bench denied {{\n", family()),
                        .after = is_map() ? ": drop,\n" : ",\n",
                        .end = "}\n"});
    return true;
  }
  Cost load() override { return command({"nft", "-f", file_}); }
  Cost flush() override { return command({"nft", "flush", is_map() ? "map" : "set", family(), "bench", "denied"}); }
  Cost add(const std::string& to) override {
    return command({"nft", "add", "element", family(), "bench", "denied", "{", to, is_map() ? ": drop" : "", "}"});
  }
  Cost remove(const std::string& to) override {
    return command({"nft", "delete", "element", family(), "bench", "denied", "{", to, is_map() ? ": drop" : "", "}"});
  }

 private:
  [[nodiscard]] bool is_map() const { return who() == nft_map; }
  [[nodiscard]] std::string family() const { return is_v4() ? "ip" : "ip6"; }
  [[nodiscard]] std::string table(const std::string& cgroup) const {
    const std::string type = is_v4() ? "ipv4_addr" : "ipv6_addr";
    const std::string kept =
        is_map()
            ? fmt::format("map denied {{ type {} : verdict; flags timeout; timeout 1d; }}", type)
            : fmt::format("set denied {{ type {};{} }}", type, list().networks ? " flags interval; auto-merge;" : "");
    const auto level = std::ranges::count(below_mount(place().cgroup), '/') + 1;
    return fmt::format(
        "table {0} bench {{\n{1}\nchain out {{ type filter hook output priority 0;\n"
        "socket cgroupv2 level {2} \"{3}\" {0} daddr {4}\n}}\n}}\n",
        family(), kept, level, cgroup, is_map() ? "vmap @denied" : "@denied drop");
  }

  std::string file_;
};

class Ipset : public Peer {
 public:
  using Peer::Peer;

  bool set_up() override {
    const std::string tables = is_v4() ? "iptables" : "ip6tables";
    const bool made = attempt({"ipset", "create", "denied", list().networks ? "hash:net" : "hash:ip", "family",
                               is_v4() ? "inet" : "inet6", "maxelem", std::to_string(list().count + 16)}) &&
                      attempt({tables, "-A", "OUTPUT", "-m", "cgroup", "--path", below_mount(place().cgroup), "-m",
                               "set", "--match-set", "denied", "dst", "-j", "DROP"});
    if (made) file_ = write_list("ipset", list(), {.before = "add denied "});
    return made;
  }
  Cost load() override { return command({"ipset", "restore", "-f", file_}); }
  Cost flush() override { return command({"ipset", "flush", "denied"}); }
  Cost add(const std::string& to) override { return command({"ipset", "add", "denied", to}); }
  Cost remove(const std::string& to) override { return command({"ipset", "del", "denied", to}); }

 private:
  std::string file_;
};

double kernel_bytes_now() {
  std::ifstream file("/proc/meminfo");
  double sum = 0;
  std::string key;
  double kilobytes = 0;
  for (std::string rest; file >> key >> kilobytes && std::getline(file, rest);) {
    if (key == "Slab:" || key == "VmallocUsed:" || key == "Percpu:") sum += kilobytes * 1024;
  }
  return sum;
}

}  // namespace

std::string List::what() const {
  return fmt::format("{} {}{}", grouped(count), networks ? "mixed" : "exact", family == Family::V6 ? ", IPv6" : "");
}

std::string name_of(const std::string& who, const List& list) { return who + ", " + list.what(); }

std::vector<Prefix> List::destinations() const { return networks ? mixed(family, count) : exact(family, count); }

Cost run_egress(const test::PrivateInstance& instance, Words words) {
  return must_run(invocation_of(instance, std::move(words)));
}

std::unique_ptr<Store> make_egress(const List& list, const test::PrivateInstance& instance, int network) {
  return std::make_unique<Egress>(list, instance, network);
}

std::unique_ptr<Store> make_peer(const std::string& who, const List& list, const std::string& cgroup) {
  test::require(mkdir(cgroup.c_str(), 0755) == 0, "make cgroup", cgroup.c_str());
  const Place place{cgroup, make_network()};
  if (who == ipset) return std::make_unique<Ipset>(who, list, place);
  return std::make_unique<Nft>(who, list, place);
}

bool is_weighed(const List& list) { return list.count >= 10'000; }

double kernel_bytes(const List& list) {
  if (!is_weighed(list)) return 0;
  // What was freed goes after a grace period, and element by element.
  double last = kernel_bytes_now();
  for (int tries = 0; tries < 10; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double now = kernel_bytes_now();
    if (std::abs(now - last) < 64 * 1024) return now;
    last = now;
  }
  return last;
}

}  // namespace egress::bench
