// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <vector>

namespace egress::bench {

/// How many rules, and how often. BENCH_QUICK=1 in the environment: smaller, to see whether the code works.
struct Sizes {
  bool quick = false;
  std::vector<int> exact{1, 100, 10'000, 100'000, 1'000'000};
  std::vector<int> mixed{1'000, 100'000};
  int packet_rounds = 61, cold_rounds = 501, send_rounds = 35, stream_rounds = 31, command_rounds = 15;
  int strange = 65'536;            ///< destinations that match nothing
  unsigned max_rules = 3'000'000;  ///< of the instance with all of them, IPv6 included

  [[nodiscard]] int most() const { return exact.back(); }
  [[nodiscard]] int most_mixed() const { return mixed.back(); }
  /// Of loading so many from a file and removing them.
  [[nodiscard]] int load_rounds(int count) const;
};

[[nodiscard]] const Sizes& sizes();

/// "1,000,000".
[[nodiscard]] std::string grouped(int number);

}  // namespace egress::bench
