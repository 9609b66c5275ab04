// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <string>

#include "support/net_lab.hpp"

namespace egress::test {

/// What happens to one system call of a command.
struct Fault {
  enum class Calls { Changes, All };

  std::uint64_t at = 0;          ///< the n-th call, from 1; 0 = none: they are only counted
  int error = 0;                 ///< what it fails with; 0 = the process is killed before it
  Calls calls = Calls::Changes;  ///< those that change what outlives the process, or all of bpf(2) and mmap(2)

  [[nodiscard]] std::string text() const;
};

/// A run with a fault.
struct Faulted {
  Outcome outcome;
  std::string hit;          ///< the call; empty if the command has fewer calls than that
  std::uint64_t calls = 0;  ///< of a run without a fault: how many there were
};

/// Runs the command under test with a library preloaded that makes the fault.
[[nodiscard]] Faulted run_with_fault(const Lab& lab, const Words& arguments, const Fault& fault);

}  // namespace egress::test
