// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <vector>

#include "egress/policy.hpp"

namespace egress::cli {

/// Reads every policy of a file ("-" is standard input), which may hold several YAML documents. Paths of
/// lists are relative to the file, or to the working directory for standard input.
[[nodiscard]] Result<std::vector<Policy>> read_policies(const std::string& file);

/// Parts a YAML stream at its "---" lines; each document keeps its line numbers by leading blank lines.
[[nodiscard]] std::vector<std::string> split_documents(const std::string& text);

/// How errors call the file.
[[nodiscard]] std::string source_name(const std::string& file);

}  // namespace egress::cli
