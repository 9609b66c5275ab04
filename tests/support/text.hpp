// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "egress/destination.hpp"

namespace egress::test {

/// A text that is refused, and what is said of it.
struct BadCase {
  std::string text;
  std::string message;  ///< all of it, or a part
};

inline std::ostream& operator<<(std::ostream& out, const BadCase& bad) { return out << bad.text.substr(0, 80); }

inline Destination destination(std::string_view text) {
  auto out = parse_destination(text);
  EXPECT_TRUE(out) << text << ": " << (out ? "" : out.error().message());
  return out ? *out : Destination{};
}

inline bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace egress::test

#define EXPECT_HAS(text, part) EXPECT_TRUE(::egress::test::has(text, part)) << (text)
