// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace egress::cli {

/// --established; what the action of each rule says if it is not given.
[[nodiscard]] Result<Established> established_of(const Options& options);

/// What new rules mean for sockets that exist, before and after they are made.
class SocketsOfRules {
 public:
  /// Looks what the rules (an Addition or a Policy) would reach. Refused if they would cut the caller's own session
  /// and --yes-really is not given. Not being able to look is no failure: report() tells.
  template <typename Rules>
  [[nodiscard]] static Result<SocketsOfRules> look(const Context& context, const Filter& filter, const Rules& rules);

  /// When the rules are made: destroys what they do not reach if that is asked for.
  void settle(const Context& context, const Filter& filter);

  /// Adds "cut", "not_cut", "foreign_sockets" and "killed" to what a command prints.
  void add_to(Json& json) const;

  /// Tells on standard error what was cut and what was not, and what the rules do not reach. The exit status, which
  /// is 5 with --strict when the rules are not in force on every socket, or that is not known.
  [[nodiscard]] int report(const Context& context) const;

 private:
  void name_origins(const Filter& filter);
  [[nodiscard]] std::optional<std::string> origin_of(const Socket& socket) const;
  [[nodiscard]] std::vector<std::string> notes() const;

  Reach reach_;
  CutReport cut_;
  CutReport killed_;
  bool kill_ = false;
  std::map<CgroupId, std::string> origins_;  ///< paths of the cgroups of foreign sockets, where they have one
};

}  // namespace egress::cli
