// SPDX-License-Identifier: GPL-2.0
// What a user of the command waits for otherwise: starting, loading, listing.
#include <fmt/format.h>

#include "contests.hpp"
#include "sizes.hpp"

namespace egress::bench {
namespace {

constexpr int longest_listing = 100'000;

Contender by(const test::PrivateInstance& instance, const std::string& name, const std::string& words) {
  return {name, [&instance, words] { return run_egress(instance, test::words_of(words)).wall; }};
}

}  // namespace

Table contest_commands(const Ground& ground) {
  const test::PrivateInstance& unloaded = ground.field.unloaded;
  Contest contest{
      .title = "Other commands", .unit = "ms,", .against = Against::Ratio, .rounds = sizes().command_rounds};
  contest.contenders = {by(unloaded, "version", "version"), {"load and unload", [&unloaded] {
                                                               const double loading =
                                                                   run_egress(unloaded, {"load"}).wall;
                                                               return loading + run_egress(unloaded, {"unload"}).wall;
                                                             }}};
  auto instance = ground.field.present.begin();
  for (const List& list : loaded_lists()) {
    for (const char* verb : {"stats", "ls"}) {
      if (list.count > longest_listing) continue;
      contest.contenders.push_back(by(*instance, fmt::format("{}, {} present", verb, list.what()), verb));
    }
    ++instance;
  }
  return hold(contest);
}

}  // namespace egress::bench
