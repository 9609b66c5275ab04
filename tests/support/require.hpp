// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace egress::test {

/// Ends the test program when the machine cannot do what a test stands on: the laboratory, not the code
/// under test, is broken. What was made is cleaned up by the lab's janitor.
inline void require(bool holds, const char* what, const char* object = "") {
  if (holds) return;
  const int err = errno;
  std::fprintf(stderr, "test support: %s %s: %s\n", what, object, std::strerror(err));
  std::abort();
}

}  // namespace egress::test
