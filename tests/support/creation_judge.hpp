// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>

#include "support/actor.hpp"

namespace egress::test {

/// Asks the datapath of a loaded instance about sockets without making them, where the kernel attaches no program to
/// functions.
class CreationJudge {
 public:
  /// Loads a program that shares the instance's maps and pins it as if it were the hook. `pin_dir` is the instance's.
  explicit CreationJudge(const std::string& pin_dir);

  /// 0, or the errno with which an attached hook would refuse the socket to the actor now.
  [[nodiscard]] int ask(const Actor& actor, int family, int type) const {
    return actor.judge_socket(pin_, family, type);
  }

 private:
  std::string pin_;
};

}  // namespace egress::test
