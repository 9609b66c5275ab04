// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace egress {

/// `text` made safe for a terminal and for one line of a log: every byte of a control character (C0, DEL,
/// C1, line and paragraph separators, direction overrides) and every byte that is not UTF-8 becomes \xNN.
/// Text that is escaped already stays as it is.
[[nodiscard]] std::string escape(std::string_view text);

inline constexpr std::size_t longest_quote = 60;

/// `text` escaped for an error message, cut to `longest_quote` bytes with "..." behind if it is longer.
[[nodiscard]] std::string quote(std::string_view text);

/// Whether all of `text` is UTF-8 (RFC 3629: shortest forms only, no surrogates).
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace egress
