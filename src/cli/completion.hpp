// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/options.hpp"

namespace egress::cli {

/// The words a verb's sentence is made of, for completion: "cgroup", "to", "for" …
[[nodiscard]] std::vector<std::string_view> sentence_words(Words words);

/// Whether ids of existing rules can stand among the words.
[[nodiscard]] bool takes_rule_ids(Words words);

/// A completion script made from the option tables.
[[nodiscard]] std::string bash_completion();
[[nodiscard]] std::string zsh_completion();
[[nodiscard]] std::string fish_completion();

/// Shell functions that list cgroup paths and rule ids, the same for every POSIX-like shell.
[[nodiscard]] std::string_view listing_functions();

}  // namespace egress::cli
