// SPDX-License-Identifier: GPL-2.0
// What a packet, a sender and a command pay, beside no filter, an empty program and the peers, in one run.
//
// Contenders take turns, pinned to one CPU; the tables show medians and quartiles. The null control measures the
// baseline against itself: when it does not read 1.00 within a hundredth, the run is worthless and says so.
// A child measures; the parent clears up after it, however it ended. Writes build/bench.json, and curves: those of a
// whole run that is worth something into docs/, others into build/.
#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "contests.hpp"
#include "curves.hpp"
#include "figures.hpp"
#include "sizes.hpp"
#include "support/child_process.hpp"
#include "support/janitor.hpp"

namespace {

using namespace egress;
using bench::Table;

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int number) { interrupted = number; }

void pin_to_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  test::require(sched_setaffinity(0, sizeof one, &one) == 0, "pin to one CPU");
}

/// With the seconds since the start.
void say(const char* what) {
  static const auto start = std::chrono::steady_clock::now();
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
  fmt::print("\nbench: {} s: {}\n", since.count(), what);
  std::fflush(stdout);
}

bench::Results measure_all(bench::Ground& ground) {
  using namespace bench;
  Results results;
  say("loading lists");
  contest_loads(ground, results.commands);
  say("changing single rules");
  contest_single_rules(ground, results.commands);
  results.other_commands = contest_commands(ground);
  say("packets");
  results.hot = contest_hot(ground, Family::V4);
  results.hot6 = contest_hot(ground, Family::V6);
  results.back_to_back = contest_back_to_back(ground, Family::V4);
  results.back_to_back6 = contest_back_to_back(ground, Family::V6);
  results.cold = contest_cold(ground, Family::V4);
  results.cold6 = contest_cold(ground, Family::V6);
  say("sockets");
  results.sends = contest_sends(ground, Family::V4);
  results.sends_to_many = contest_sends_to_many(ground, Family::V4);
  results.sends6 = contest_sends(ground, Family::V6);
  results.sends_to_many6 = contest_sends_to_many(ground, Family::V6);
  results.unconnected = contest_unconnected_sends(ground);
  results.drops = contest_drops(ground);
  results.round_trips = contest_round_trips(ground);
  results.throughput = contest_throughput(ground);
  say("removing lists");
  contest_last_flush(ground, results.commands);
  return results;
}

using Named = std::vector<std::pair<const char*, const Table*>>;

Named command_tables(const bench::CommandTables& tables) {
  return {{"load_ms", &tables.load},     {"load_cpu_ms", &tables.load_cpu},
          {"flush_ms", &tables.flush},   {"flush_cpu_ms", &tables.flush_cpu},
          {"add_ms", &tables.add},       {"add_cpu_ms", &tables.add_cpu},
          {"remove_ms", &tables.remove}, {"remove_cpu_ms", &tables.remove_cpu},
          {"bytes", &tables.bytes},      {"own_bytes", &tables.own_bytes},
          {"whole_mb", &tables.whole},   {"empty_mb", &tables.empty}};
}

Named packet_tables(const bench::Results& results) {
  return {{"hot_ns", &results.hot},
          {"hot6_ns", &results.hot6},
          {"back_to_back_ns", &results.back_to_back},
          {"back_to_back6_ns", &results.back_to_back6},
          {"cold_ns", &results.cold},
          {"cold6_ns", &results.cold6}};
}

/// With a baseline that is measured twice.
Named socket_tables(const bench::Results& results) {
  return {{"sends", &results.sends},
          {"sends_to_many", &results.sends_to_many},
          {"sends6", &results.sends6},
          {"sends_to_many6", &results.sends_to_many6},
          {"unconnected_sends", &results.unconnected},
          {"drops", &results.drops},
          {"round_trips", &results.round_trips},
          {"throughput", &results.throughput}};
}

void write(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::trunc);
  file << content;
  test::require(file.flush().good(), "write", path.c_str());
  fmt::print("Written: {}\n", path);
}

/// Whether every null control held; says which did not.
bool say_whether_sound(const bench::Results& results) {
  bool sound = true;
  for (const auto& [key, table] : socket_tables(results)) {
    if (bench::is_sound(*table)) continue;
    sound = false;
    fmt::print("The null control is off by more than a hundredth: {}.\n", table->title);
  }
  if (!sound) fmt::print("This run is worthless.\n");
  return sound;
}

void report(const bench::Results& results) {
  for (const auto& [key, table] : command_tables(results.commands)) table->print();
  const std::vector<bench::Figure> figures = bench::figures_of(results);
  bench::print(figures);
  fmt::print("\n");
  const bool sound = say_whether_sound(results);
  utsname kernel{};
  uname(&kernel);
  nlohmann::json json{{"kernel", kernel.release},
                      {"quick", bench::sizes().quick},
                      {"sound", sound},
                      {"figures", bench::json_of(figures)}};
  for (const Named& tables : {packet_tables(results), socket_tables(results), command_tables(results.commands)}) {
    for (const auto& [key, table] : tables) json[key] = table->json();
  }
  json["other_commands_ms"] = results.other_commands.json();
  write(EGRESS_BUILD_DIR "/bench.json", json.dump(2) + "\n");
  const std::string pictures = sound && !bench::sizes().quick ? EGRESS_SOURCE_DIR "/docs" : EGRESS_BUILD_DIR;
  write(pictures + "/bench-packets.svg", bench::draw_packets(results));
  write(pictures + "/bench-sends.svg", bench::draw_sends(results));
  std::fflush(stdout);
}

int measure(const bench::Field& field) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_DFL);
  pin_to_one_cpu();
  say("laying rules");
  bench::Ground ground(field);
  const bench::Results results = measure_all(ground);
  say("done");
  report(results);
  return 0;
}

void clear_up(const test::PrivateInstance& instance) {
  (void)unload(instance.get());
  test::clean_up({.cgroup_root = instance.root().directory(), .bpffs = {}, .directory = {}});
}

/// Cgroups below, too; whoever is still in them is killed.
void clear_up(const bench::Field& field) {
  for (const test::PrivateCgroup* each : {&field.none, &field.empty, &field.peers}) {
    test::clean_up({.cgroup_root = each->directory(), .bpffs = {}, .directory = {}});
  }
  clear_up(field.instance);
  clear_up(field.unloaded);
  for (const test::PrivateInstance& each : field.present) clear_up(each);
  std::error_code ignored;
  std::filesystem::remove_all(bench::lists_directory, ignored);
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
