// SPDX-License-Identifier: GPL-2.0
// What a packet and a command cost, against "no filter" and "empty program" in the same run.
//
// Contenders take turns, pinned to one CPU; the tables show medians and quartiles. The null control measures the
// baseline against itself: when it does not read 1.00 within a hundredth, the run is worthless and says so.
// A child measures; the parent clears up after it, however it ended. Writes build/bench.json.
#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "contests.hpp"
#include "support/child_process.hpp"
#include "support/janitor.hpp"

namespace {

using namespace egress;

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int number) { interrupted = number; }

void pin_to_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  test::require(sched_setaffinity(0, sizeof one, &one) == 0, "pin to one CPU");
}

int measure(const bench::Field& field) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_DFL);
  pin_to_one_cpu();
  auto filter = Filter::load(field.instance.get(), bench::settings);
  if (!filter) {
    fmt::print(stderr, "bench: {}\n", filter.error().message());
    return 1;
  }
  bench::lay_rules(*filter, field);
  bool sound = false;
  nlohmann::json report;
  utsname kernel{};
  uname(&kernel);
  report["kernel"] = kernel.release;
  report["hot_ns"] = bench::contest_hot(field);
  report["cold_ns"] = bench::contest_cold(field);
  report["udp_sends"] = bench::contest_sends(field, sound);
  report["commands_ms"] = bench::contest_commands(field);
  report["sound"] = sound;
  std::ofstream(EGRESS_BUILD_DIR "/bench.json") << report.dump(2) << '\n';
  fmt::print("\n{}\n", sound ? "Written: " EGRESS_BUILD_DIR "/bench.json"
                             : "The null control is off by more than a hundredth: this run is worthless.");
  std::fflush(stdout);
  return 0;
}

void clear_up(const test::PrivateInstance& instance) {
  (void)unload(instance.get());
  test::clean_up({.cgroup_root = instance.root().directory(), .bpffs = {}, .directory = {}});
}

/// Cgroups below, too; whoever is still in them is killed.
void clear_up(const bench::Field& field) {
  for (const test::PrivateCgroup* each : {&field.none, &field.empty, &field.lpm, &field.nft}) {
    test::clean_up({.cgroup_root = each->directory(), .bpffs = {}, .directory = {}});
  }
  clear_up(field.instance);
  clear_up(field.unloaded);
  for (const test::PrivateInstance& each : field.present) clear_up(each);
}

}  // namespace

int main() {
  if (geteuid() != 0) {
    fmt::print(stderr, "bench: loading a BPF program needs root: sudo make bench\n");
    return 7;
  }
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, on_signal);
  const bench::Field field;
  int status = 0;
  {
    auto child = test::ChildProcess::start({}, {}, [&] { return measure(field); });
    std::optional<int> ended;
    while (!interrupted && !ended) ended = child.wait(std::chrono::milliseconds(200));
    if (interrupted) {
      status = 128 + interrupted;
    } else {
      status = WIFEXITED(*ended) ? WEXITSTATUS(*ended) : 128 + WTERMSIG(*ended);
    }
  }
  clear_up(field);
  return status;
}
