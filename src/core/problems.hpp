// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <string>

#include "egress/error.hpp"

namespace egress {

/// A place in a text; both count from 1, columns in bytes.
struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
};

/// "FILE:LINE:COLUMN", as compilers and editors know it.
[[nodiscard]] std::string format(const std::string& source, Position at);

/// Everything that is wrong with an input, so that one run tells it all.
class Problems {
 public:
  /// Only so many are told in full; the rest is counted.
  static constexpr std::size_t most_told = 1000;

  void add(const std::string& source, Position at, const Error& problem);
  [[nodiscard]] bool empty() const { return count_ == 0; }

  /// One Error (Usage), a line for each problem. Precondition: !empty().
  [[nodiscard]] Error error() const;

 private:
  std::string text_;
  std::size_t count_ = 0;
};

}  // namespace egress
