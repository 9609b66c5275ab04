// SPDX-License-Identifier: GPL-2.0
#include "engine/doors.hpp"

#include "core/encode.hpp"

namespace egress {

Result<void> DoorRemoval::remove_one(const DoorEntry& door) {
  auto config = tables_.drop_configs().get(door.key);
  if (!config) return std::move(config).error();
  if (!*config || (*config)->cgroup_id != static_cast<std::uint64_t>(door.cgroup)) return {};  // replaced meanwhile
  auto named = tables_.cgroup_rules().get((*config)->cgroup_id);
  if (!named) return std::move(named).error();
  const bool was_named = *named == door.key;
  if (was_named) {
    if (auto done = tables_.cgroup_rules().erase((*config)->cgroup_id); !done) return done;
  }
  taken_.push_back({door.key, **config, was_named});
  return tables_.drop_configs().erase(door.key);
}

Result<void> DoorRemoval::remove(const std::vector<DoorEntry>& doors) {
  for (const DoorEntry& door : doors) {
    if (auto done = remove_one(door); !done) {
      undo();
      return done;
    }
  }
  return {};
}

/// The rule before the name: half an entry matches nothing.
void DoorRemoval::undo() {
  for (const Taken& taken : taken_) {
    static_cast<void>(tables_.drop_configs().put(taken.key, taken.config));
    if (taken.was_named) static_cast<void>(tables_.cgroup_rules().put(taken.config.cgroup_id, taken.key));
  }
  taken_.clear();
}

Result<void> extend_door(Tables& tables, const DoorEntry& door, Lifetime lifetime, BootTime now) {
  DoorRule rule{door.cgroup, door.rule.destination, now, std::nullopt, false};
  if (lifetime) rule.expires_at = BootTime{now.since_boot + *lifetime};
  auto config = encode_door(rule);
  if (!config) return std::move(config).error();
  auto present = tables.drop_configs().get(door.key);
  if (!present) return std::move(present).error();
  if (!*present || (*present)->cgroup_id != config->cgroup_id || (*present)->dst_ip != config->dst_ip) {
    return Error{ErrorKind::NotFound, "", "id " + std::to_string(door.key), "another tool has just replaced it", "", 0};
  }
  return tables.drop_configs().put(door.key, *config);
}

}  // namespace egress
