// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>

#include "egress/error.hpp"
#include "sys/fd.hpp"

namespace egress::cli {

/// SIGINT and SIGTERM as something to wait for, for verbs that go on until the user has enough. While one is there
/// the signals do not end the process.
class Ending {
 public:
  [[nodiscard]] static Result<Ending> watch();

  /// Waits for so long, or until `also` is readable; false once a signal has come.
  [[nodiscard]] bool go_on(std::chrono::milliseconds bound, int also = -1) const;

 private:
  explicit Ending(Fd signals) : signals_(std::move(signals)) {}
  Fd signals_;
};

}  // namespace egress::cli
