// SPDX-License-Identifier: GPL-2.0
// What a user waits for: whole commands, from fork to exit.
#include <fmt/format.h>

#include <chrono>

#include "contests.hpp"
#include "support/command.hpp"
#include "turns.hpp"

namespace egress::bench {
namespace {

void fill(const test::PrivateInstance& instance, int count) {
  auto filter = Filter::load(instance.get(), settings);
  test::require(filter.ok(), "load");
  if (count == 0) return;
  test::require(filter->add({Subject{Subject::Kind::Path, "/many"}, exact(count), std::nullopt}).ok(), "add rules");
}

double milliseconds_of(const test::PrivateInstance& instance, const std::string& words) {
  test::Words command = test::words_of(words);
  command.insert(command.begin(), test::command_path());
  const auto start = std::chrono::steady_clock::now();
  const test::Outcome outcome = test::run({.words = command,
                                           .environment = {{"EGRESS_PIN_DIR", instance.get().pin_dir},
                                                           {"EGRESS_CGROUP_ROOT", instance.get().cgroup_root}}});
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (outcome.status != 0) fmt::print(stderr, "{}\n", outcome.err);
  test::require(outcome.status == 0, "run egress", words.c_str());
  return took.count();
}

void add_contenders(std::vector<Contender>& contenders, const test::PrivateInstance& instance, int count) {
  const auto here = [&](const std::string& name, const std::string& words) {
    contenders.push_back(
        {fmt::format("{}, {} present", name, count), [words, &instance] { return milliseconds_of(instance, words); }});
  };
  here("add", "drop cgroup /one to 198.51.100.7 --replace");
  here("ls", "ls");
  here("stats", "stats");
  contenders.push_back({fmt::format("add and remove, {} present", count), [&instance] {
                          const double adding = milliseconds_of(instance, "drop cgroup /two to 198.51.100.7");
                          return adding + milliseconds_of(instance, "rm cgroup /two");
                        }});
}

}  // namespace

nlohmann::json contest_commands(const Field& field) {
  enter(field.none.directory());
  Contest contest{.title = "Whole commands", .unit = "ms,", .against = Against::Ratio, .rounds = 7, .contenders = {}};
  const test::PrivateInstance& unloaded = field.unloaded;
  contest.contenders.push_back({"version", [&] { return milliseconds_of(unloaded, "version"); }});
  contest.contenders.push_back({"load and unload", [&] {
                                  const double loading = milliseconds_of(unloaded, "load");
                                  return loading + milliseconds_of(unloaded, "unload");
                                }});
  for (std::size_t i = 0; i < field.present.size(); ++i) {
    fill(field.present[i], Field::counts[i]);
    add_contenders(contest.contenders, field.present[i], Field::counts[i]);
  }
  return hold(std::move(contest));
}

}  // namespace egress::bench
