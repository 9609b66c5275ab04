// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/evaluate.hpp"
#include "egress/filter.hpp"
#include "engine/snapshot.hpp"
#include "engine/tables.hpp"

namespace egress {

/// The sets that a change is about, as they will be, and no others.
struct Prospect {
  Snapshot after;
  std::set<RuleId> fresh;         ///< the rules whose verdict the change is about; ids of rules to come are made up
  std::vector<Subject> subjects;  ///< of the sets

  /// Whether any fresh rule drops or rejects.
  [[nodiscard]] bool closes() const;
  [[nodiscard]] bool has(Action action) const;
};

/// Of an addition: the new rules, and those that stand beside them in their set.
[[nodiscard]] Result<Prospect> prospect_of(Tables& tables, World& world, const Addition& addition);
/// Without those beside them: what these stop, the whole set may pass, and never the other way round.
[[nodiscard]] Prospect draft_of(const Addition& addition);
/// Of a policy: all of its rules, as if they were new.
[[nodiscard]] Prospect prospect_of(const Policy& policy);

/// What a prospect means for a socket, by the reference evaluator.
class Prediction {
 public:
  Prediction(const World& world, const Prospect& prospect) : world_(world), prospect_(prospect) {}

  /// Whether any of the sets judges packets of the cgroup at `path`.
  [[nodiscard]] bool covers(const std::string& path);
  /// Whether they judge every cgroup of the machine, those included that are gone and whose sockets live on.
  [[nodiscard]] bool covers_all() const;
  /// The action, drop or reject, by which a fresh rule stops what a connected socket sends, made in the cgroup at
  /// `path`; nullopt if none does.
  [[nodiscard]] std::optional<Action> stops(const std::string& path, const Socket& socket);
  /// Whether a fresh rule would stop some packets of such a socket, whose peers are not known.
  [[nodiscard]] bool could_stop(const std::string& path, const Socket& socket);

  /// Where the cgroup of a socket is; nullopt if that is gone or outside of the enforced subtree.
  [[nodiscard]] std::optional<std::string> path_of(const Socket& socket);

 private:
  const std::vector<JudgedSet>& sets_at(const std::string& path);

  const World& world_;
  const Prospect& prospect_;
  std::map<std::string, std::vector<JudgedSet>> sets_;  ///< by path: many sockets share one
  std::map<CgroupId, std::optional<std::string>> paths_;
};

}  // namespace egress
