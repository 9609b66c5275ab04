// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include <new>
#include <string_view>

#include "cli/command.hpp"
#include "egress/error.hpp"

namespace {

/// A change that had begun is as invisible as what a killed process leaves: the next writer repairs it.
[[noreturn]] void end_without_memory() {
  constexpr std::string_view text = "egress: out of memory (raise the limit: ulimit -v, MemoryMax=)\n";
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) ::_exit(static_cast<int>(egress::ErrorKind::Failed));
  ::_exit(static_cast<int>(egress::ErrorKind::Failed));
}

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler(end_without_memory);
  return egress::cli::run_command({argv + 1, argv + (argc > 0 ? argc : 1)});
}
