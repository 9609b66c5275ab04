// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "egress/filter.hpp"
#include "engine/prospect.hpp"
#include "engine/tables.hpp"

namespace egress {

/// What a prospect means for the sockets that there are. Looks for none where no cgroup of a subject exists or no
/// rule drops or rejects. `supposed`, `wants_stopped`: see Filter::reach().
[[nodiscard]] Reach reach_of(World& world, const Prospect& prospect, std::span<const Socket> supposed,
                             const std::function<bool()>& wants_stopped);

/// Destroys sockets of the last listing and looks whether they are gone.
[[nodiscard]] CutReport destroy_sockets(World& world, std::span<const Socket> sockets);

/// Destroys sockets that a change of rules would stop, in two strokes: before the change is visible, while resets
/// can still leave (the rules would drop them); and behind it, for those who connected anew in between.
class Cutter {
 public:
  Cutter(World& world, Established established) : world_(world), established_(established) {}

  /// Without it nothing is cut.
  [[nodiscard]] Result<void> prepare(Tables& tables, const Addition& addition);
  void prepare(const Policy& policy);

  void cut();
  [[nodiscard]] CutReport cut_again();
  /// What to say when the change failed.
  [[nodiscard]] Error told_in(Error error) const;

 private:
  [[nodiscard]] bool wants(std::span<const Subject> subjects, std::span<const RuleSpec> rules) const;
  [[nodiscard]] std::vector<Socket> targets();

  World& world_;
  Established established_;
  std::optional<Prospect> prospect_;  ///< nullopt: there is nothing to cut
  CutReport report_;
};

}  // namespace egress
