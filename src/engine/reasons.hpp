// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/tables.hpp"

namespace egress {

/// The texts of `reasons`, which rules name by number. A text that is found stays at least until prune_reasons(), which
/// only the holder of the lock of writers calls: name it in a record before.
class Reasons {
 public:
  explicit Reasons(Tables& tables) : tables_(tables) {}

  /// The number of a text, which is stored if it was not; 0 for an empty one.
  [[nodiscard]] Result<std::uint16_t> number_of(const std::string& text);

 private:
  [[nodiscard]] Result<std::uint16_t> look_for(const std::string& text);

  Tables& tables_;
  std::map<std::string, std::uint16_t> known_;
};

/// Gives a rule another reason, by one store.
void store_reason(Tables& tables, egress_rule& record, std::uint16_t reason);

/// Removes the texts that no record names.
[[nodiscard]] Result<void> prune_reasons(Tables& tables);

}  // namespace egress
