// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <optional>
#include <string_view>

#include "cli/grammar.hpp"
#include "cli/words.hpp"

namespace egress::cli {

/// The words that may end a sentence; each at most once.
struct Tail {
  std::optional<Lifetime> lifetime;
  bool only = false;
};

/// Reads `for DUR`, `until TIME`, `forever` and `only` up to the end of the words.
[[nodiscard]] Result<Tail> read_tail(WordReader& words, WallTime now);

/// The lifetime from --ttl or from the words, but not from both; `otherwise` from neither.
[[nodiscard]] Result<Lifetime> choose_lifetime(std::string_view verb, const Options& options, const Tail& tail,
                                               Lifetime otherwise);

/// The subject from --cgroup, --unit, --cgroup-id or --pid; nullopt if none is given.
[[nodiscard]] Result<std::optional<SubjectWords>> subject_of_options(std::string_view verb, const Options& options);

/// The subject from the options, or from the next words, but not from both.
[[nodiscard]] Result<SubjectWords> option_or_words_subject(std::string_view verb, const Options& options,
                                                           WordReader& words);

}  // namespace egress::cli
