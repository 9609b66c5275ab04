// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_ids.hpp"

#include <bpf/bpf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "sys/bpf_map.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/program.hpp"
#include "sys/strict_program.hpp"

namespace egress {
namespace {

/// What a program tells about the instance it belongs to.
struct Belonging {
  const Hook* hook = nullptr;  ///< nullptr: it is a program of the strict layers
  egress_meta meta{};
  std::vector<std::uint32_t> map_ids;
};

std::optional<egress_meta> meta_among(const std::vector<std::uint32_t>& map_ids) {
  for (const std::uint32_t id : map_ids) {
    Result<Fd> fd = open_map_id(id);
    if (!fd) continue;
    Result<MapInfo> info = map_info(fd->get());
    if (!info || info->name != "meta") continue;
    if (Result<egress_meta> meta = read_meta(fd->get())) return *meta;
  }
  return std::nullopt;
}

/// nullopt if the program is not one of ours.
std::optional<Belonging> belonging_of(std::uint32_t program_id) {
  Result<Program> program = Program::open_id(program_id);
  if (!program) return std::nullopt;
  Result<ProgramInfo> info = program->info();
  if (!info) return std::nullopt;
  const Hook* hook = hook_of_program(info->name);
  if (hook == nullptr && std::ranges::find(strict_programs, info->name) == strict_programs.end()) return std::nullopt;
  std::optional<egress_meta> meta = meta_among(info->map_ids);
  if (!meta) return std::nullopt;
  return Belonging{hook, *meta, std::move(info->map_ids)};
}

bool same_instance(const egress_meta& a, const egress_meta& b) {
  return std::memcmp(a.instance, b.instance, sizeof(a.instance)) == 0;
}

FoundInstance& instance_of(std::vector<FoundInstance>& all, const egress_meta& meta) {
  const auto known =
      std::find_if(all.begin(), all.end(), [&](const FoundInstance& one) { return same_instance(one.meta, meta); });
  if (known != all.end()) return *known;
  return all.emplace_back(FoundInstance{meta, {}, {}, {}});
}

void add_maps(FoundInstance& instance, const std::vector<std::uint32_t>& map_ids) {
  for (const std::uint32_t id : map_ids) {
    Result<Fd> fd = open_map_id(id);
    if (!fd) continue;
    Result<MapInfo> info = map_info(fd->get());
    if (info && is_instance_map(info->name)) instance.maps.try_emplace(info->name, std::move(*fd));
  }
}

void add_link(std::vector<FoundInstance>& all, std::uint32_t id) {
  Result<Link> link = Link::open_id(id);
  if (!link) return;
  Result<LinkInfo> info = link->info();
  if (!info) return;
  std::optional<Belonging> owner = belonging_of(info->program_id);
  if (!owner) return;
  FoundInstance& instance = instance_of(all, owner->meta);
  add_maps(instance, owner->map_ids);
  if (owner->hook == nullptr) {
    instance.device_links.push_back(FoundDeviceLink{*info, std::move(*link)});
  } else {
    instance.links.push_back(FoundLink{owner->hook, *info, std::move(*link)});
  }
}

/// The id of the directory's inode: for a cgroup its cgroup id.
std::optional<std::uint64_t> inode_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

}  // namespace

bool is_instance_map(std::string_view name) {
  const auto layouts = map_layouts();
  return std::ranges::any_of(layouts, [&](const MapLayout& one) { return one.name == name; }) ||
         std::ranges::find(private_maps, name) != private_maps.end();
}

bool is_meta_of(const egress_meta& meta, const Instance& instance) {
  const std::string pin_dir = meta.pin_dir;
  if (pin_dir != instance.pin_dir && pin_dir != canonical_pin_dir(instance.pin_dir)) return false;
  if (instance.cgroup_root.empty()) return true;
  const std::optional<std::uint64_t> root = inode_of(instance.cgroup_root);
  return root ? *root == meta.root_id : instance.cgroup_root == meta.root_path;
}

const FoundLink* FoundInstance::attached(const Hook& hook) const {
  for (const FoundLink& one : links) {
    const bool alive = hook.kind != Hook::Kind::Cgroup || one.info.cgroup_id == meta.root_id;
    if (one.hook == &hook && alive) return &one;
  }
  return nullptr;
}

std::string canonical_pin_dir(const std::string& path) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, error);
  std::string text = error ? path : canonical.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::optional<egress_meta> instance_of_program(std::uint32_t program_id) {
  const std::optional<Belonging> owner = belonging_of(program_id);
  return owner ? std::optional(owner->meta) : std::nullopt;
}

Result<std::vector<FoundInstance>> find_instances() {
  std::vector<FoundInstance> all;
  std::uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) add_link(all, id);
  const int err = errno;
  if (err != ENOENT) return system_error("list links", {}, err);
  return all;
}

Result<std::optional<FoundInstance>> find_instance(const Instance& instance) {
  Result<std::vector<FoundInstance>> all = find_instances();
  if (!all) return std::move(all).error();
  for (FoundInstance& one : *all) {
    if (is_meta_of(one.meta, instance)) return std::optional<FoundInstance>(std::move(one));
  }
  return std::optional<FoundInstance>();
}

}  // namespace egress
