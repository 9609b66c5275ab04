// SPDX-License-Identifier: GPL-2.0
#include "support/fake_world.hpp"

#include <cerrno>
#include <cstring>

#include "engine/names.hpp"
#include "support/fake_tables.hpp"

namespace egress::test {

namespace {

std::optional<egress_name> look_up(Tables& tables, std::uint32_t node, const std::string& name) {
  egress_name_key key{};
  key.node = node;
  std::memcpy(key.name, name.data(), name.size());
  return *tables.names().get(key);
}

}  // namespace

void FakeWorld::wait_for_readers() {
  ++grace_periods;
  if (while_readers_finish) while_readers_finish();
}

std::optional<CgroupId> FakeWorld::cgroup_at(const std::string& path) const {
  const auto found = tree_.find(path);
  return found == tree_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> FakeWorld::path_of(CgroupId id) const {
  for (const auto& [path, known] : tree_) {
    if (known == id) return path;
  }
  return std::nullopt;
}

std::vector<CgroupId> FakeWorld::cgroups_named(const std::string& name) const {
  std::vector<CgroupId> found;
  for (const auto& [path, id] : tree_) {
    if (path != "/" && components(path).back() == name) found.push_back(id);
  }
  return found;
}

Result<void> FakeWorld::wait_for_mkdir() {
  if (meanwhile) meanwhile();
  return {};
}

SocketListing FakeWorld::sockets() {
  ++listings;
  return {existing, listing_problem};
}

std::vector<int> FakeWorld::destroy(std::span<const Socket> sockets) {
  std::vector<int> results;
  const std::vector<Socket> doomed(sockets.begin(), sockets.end());
  for (const Socket& socket : doomed) {
    const auto same = [&socket](const Socket& other) { return other.key == socket.key; };
    if (destroy_error != 0) {
      results.push_back(destroy_error);
    } else {
      results.push_back(std::erase_if(existing, same) > 0 ? 0 : ENOENT);
    }
  }
  if (!doomed.empty() && when_destroyed) when_destroyed();
  return results;
}

std::vector<HeldSocket> FakeWorld::held_sockets(const std::string& path, Subject::Scope scope) const {
  std::vector<HeldSocket> found;
  for (const auto& [cgroup, sockets] : held) {
    const bool below = path == "/" || cgroup.starts_with(path + "/");
    if (cgroup != path && !(scope == Subject::Scope::Subtree && below)) continue;
    found.insert(found.end(), sockets.begin(), sockets.end());
  }
  return found;
}

CgroupId FakeWorld::mkdir_unbound(const std::string& path) {
  if (!tree_.contains(parent_path(path))) mkdir_unbound(parent_path(path));
  return tree_.try_emplace(path, CgroupId{next_++}).first->second;
}

CgroupId FakeWorld::mkdir(const std::string& path) {
  if (const auto found = tree_.find(path); found != tree_.end()) return found->second;
  if (!tree_.contains(parent_path(path))) mkdir(parent_path(path));
  const CgroupId id{next_++};
  bind(path, id);
  tree_[path] = id;
  return id;
}

/// What src/datapath/names.bpf.h does.
void FakeWorld::bind(const std::string& path, CgroupId id) {
  const std::string name = components(path).back();
  egress_binding binding{};
  const auto parent = *tables_.bindings().get(static_cast<std::uint64_t>(tree_.at(parent_path(path))));
  if (parent && parent->node != 0) {
    if (const auto found = look_up(tables_, parent->node, name)) {
      binding.node = found->node;
      binding.path_anchor = found->anchor;
    }
  }
  if (const auto found = look_up(tables_, EGRESS_NODE_ANYWHERE, name)) binding.unit_anchor = found->anchor;
  if (binding.node == 0 && binding.unit_anchor == 0) return;
  static_cast<FakeTable<std::uint64_t, egress_binding>&>(tables_.bindings())
      .set(static_cast<std::uint64_t>(id), binding);
}

void FakeWorld::rmdir(const std::string& path) { tree_.erase(path); }

void FakeWorld::release(CgroupId id) {
  static_cast<FakeTable<std::uint64_t, egress_binding>&>(tables_.bindings()).remove(static_cast<std::uint64_t>(id));
}

}  // namespace egress::test
