// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "cli/command.hpp"
#include "cli/ending.hpp"

namespace egress::cli {
namespace {

std::string totals_text(const Totals& totals) {
  return fmt::format("packets processed  {}\npackets dropped    {}\nbytes dropped      {}\n", totals.packets_processed,
                     totals.packets_dropped, totals.bytes_dropped);
}

std::string totals_line(const Totals& totals) {
  return fmt::format("processed {} dropped {} bytes {}\n", totals.packets_processed, totals.packets_dropped,
                     totals.bytes_dropped);
}

/// Three lines that are painted over, or a line each second where nothing can be painted over.
void show(const Context& context, const Totals& totals, bool terminal, bool again) {
  if (context.json()) {
    context.print_json(to_json(totals));
  } else if (terminal) {
    context.print((again ? "\033[3F\033[J" : "") + totals_text(totals));
  } else {
    context.print(totals_line(totals));
  }
  std::fflush(stdout);
}

Result<int> watch(const Context& context, const Filter& filter) {
  const auto ending = Ending::watch();
  if (!ending) return ending.error();
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  bool again = false;
  do {
    const auto totals = filter.totals();
    if (!totals) return totals.error();
    show(context, *totals, terminal, again);
    if (std::ferror(stdout) != 0) return exit_failed;
    again = true;
  } while (ending->go_on(std::chrono::seconds(1)));
  return exit_done;
}

}  // namespace

Result<int> verb_stats(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  const auto filter = context.open();
  if (!filter) return filter.error();
  if (context.options().watch) return watch(context, *filter);
  const auto totals = filter->totals();
  if (!totals) return totals.error();
  if (context.json()) {
    context.print_json(to_json(*totals));
  } else {
    context.print(totals_text(*totals));
  }
  return exit_done;
}

}  // namespace egress::cli
