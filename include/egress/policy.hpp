// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "egress/rule.hpp"

namespace egress {

/// A named set of rules for a list of subjects: what a policy file says.
/// Every subject gets every rule. `apply` makes the rules of this name equal to it.
struct Policy {
  std::string name;               ///< 1 to 255 bytes, printable
  std::vector<Subject> subjects;  ///< at least one, no two alike
  bool default_deny = false;      ///< as `isolate`: closing `drop any` and open loopback
  std::vector<RuleSpec> rules;    ///< destinations differ; lists already read in; without the closing rule
                                  ///< and loopback exceptions of default_deny (see expand())

  /// The rules each subject gets, those of default_deny included: loopback exceptions (except where a rule
  /// names that destination itself) and the closing rule, which comes last. These live for `lifetime`.
  [[nodiscard]] std::vector<RuleSpec> expand() const;

  Lifetime lifetime = default_lifetime;  ///< of every rule that names none
  std::string reason;                    ///< of every rule
  bool loopback = true;                  ///< default_deny leaves 127.0.0.0/8 and ::1 open
  bool include_nd = false;               ///< of every rule that does not say, the closing one included
  bool no_packet_sockets = false;        ///< of the closing rule of default_deny

  bool operator==(const Policy&) const = default;
};

/// Reads the text of a list file by its path as written in the policy. I/O is the caller's.
using ListReader = std::function<Result<std::string>(const std::string& path)>;

/// Reads a policy file (YAML, so JSON too; contract section 5). `source` names the file in errors, which read
/// "FILE:LINE:COLUMN: object: cause (remedy)". Unknown keys, bad values and duplicate destinations are errors
/// (Usage). All errors of a file and of its lists are told in one Error's cause, a line each.
[[nodiscard]] Result<Policy> parse_policy(std::string_view text, const std::string& source,
                                          const ListReader& read_list);

/// The policy as a file that parse_policy reads back to the same policy. Rules with the lifetime
/// `policy.lifetime` name no ttl of their own; a ttl is exact to the millisecond.
[[nodiscard]] std::string format(const Policy& policy);

/// Reads a list of destinations, one a line; '#' starts a comment. Errors name `source`, line and column, all
/// in one Error; a destination that stands there twice is one.
[[nodiscard]] Result<std::vector<Destination>> parse_destination_list(std::string_view text, const std::string& source);

}  // namespace egress
