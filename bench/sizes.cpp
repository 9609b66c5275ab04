// SPDX-License-Identifier: GPL-2.0
#include "sizes.hpp"

#include <cstdlib>

namespace egress::bench {
namespace {

Sizes chosen() {
  const char* quick = std::getenv("BENCH_QUICK");
  if (quick == nullptr || *quick == '\0' || *quick == '0') return {};
  return {.quick = true,
          .exact = {1, 100, 10'000},
          .mixed = {100, 1'000},
          .packet_rounds = 11,
          .cold_rounds = 61,
          .send_rounds = 9,
          .stream_rounds = 7,
          .command_rounds = 5,
          .strange = 16'384,
          .max_rules = 65'536};
}

}  // namespace

int Sizes::load_rounds(int count) const {
  if (quick) return 2;
  return count >= 1'000'000 ? 3 : 5;
}

const Sizes& sizes() {
  static const Sizes all = chosen();
  return all;
}

std::string grouped(int number) {
  std::string digits = std::to_string(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

}  // namespace egress::bench
