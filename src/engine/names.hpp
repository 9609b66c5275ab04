// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "engine/tables.hpp"

namespace egress {

/// Subjects' names and the cgroups that bear them: anchors, the tree of names, bindings.
///
/// A name is entered into the tree first, then the cgroups that exist already are bound. A cgroup made
/// meanwhile is either bound by the cgroup_mkdir program (which then sees the tree) or found here (after
/// wait_for_mkdir() it is visible). Values are always computed whole, so that both write the same.
class Names {
 public:
  Names(Tables& tables, World& world) : tables_(tables), world_(world) {}

  /// The anchor of a subject's name; nullopt if it has none.
  [[nodiscard]] Result<std::optional<std::uint32_t>> find(Subject::Kind kind, const std::string& name) const;

  /// Makes anchors for names that have none, and binds the cgroups that bear them. Scopes do not matter.
  /// After a failure what was made stands without sets: prune() removes it.
  [[nodiscard]] Result<void> ensure(std::span<const Subject> subjects);

  /// Removes anchors without sets, and everything that leads to them. Waits for readers if there are any.
  /// `thorough` looks for edges and bindings that a killed writer left, too.
  enum class Prune { Anchors, Thorough };
  /// Whether there was something to wait for readers for: who was on an anchor, rule or set at the call is not any
  /// more.
  [[nodiscard]] Result<bool> prune(Prune how);

  /// The subject of an anchor, with scope Subtree; nullopt if it is not in use.
  [[nodiscard]] Result<std::optional<Subject>> subject_of(std::uint32_t anchor) const;

 private:
  [[nodiscard]] Result<std::uint32_t> make_anchor(const Subject& subject);
  [[nodiscard]] Result<void> enter_path(const std::string& path, std::uint32_t anchor);
  [[nodiscard]] Result<void> bind_paths(std::span<const Subject> subjects);
  [[nodiscard]] Result<void> bind_units(std::span<const Subject> subjects);
  [[nodiscard]] Result<void> bind_ids(std::span<const Subject> subjects);
  [[nodiscard]] Result<void> bind(CgroupId id, const std::string& path);
  [[nodiscard]] Result<egress_binding> binding_of(CgroupId id, const std::string& path) const;
  [[nodiscard]] Result<std::optional<egress_name>> walk(const std::string& path) const;
  [[nodiscard]] std::optional<std::uint32_t> anchor_of_id(std::uint64_t id) const;
  [[nodiscard]] Result<void> prune_names(const std::unordered_set<std::uint32_t>& idle);
  [[nodiscard]] Result<void> prune_bindings(const std::unordered_set<std::uint32_t>& idle);

  Tables& tables_;
  World& world_;
  std::uint32_t search_from_ = 1;  ///< no free anchor below
};

/// The cgroup id of a subject of kind Id; 0 if its name is no number.
[[nodiscard]] CgroupId id_of(const Subject& subject);

/// Whether a cgroup has ended: its directory is gone and, as cgroup_release tells by removing the binding, its
/// last socket too. Rules by id end then. Precondition: an anchor names the id.
[[nodiscard]] bool has_ended(Tables& tables, const World& world, CgroupId id);

/// "/a/b" is {"a", "b"}; "/" is {}.
[[nodiscard]] std::vector<std::string> components(const std::string& path);

/// The path one level up: "/a" of "/a/b", "/" of "/a".
[[nodiscard]] std::string parent_path(const std::string& path);

}  // namespace egress
