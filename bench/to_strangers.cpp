// SPDX-License-Identifier: GPL-2.0
#include "to_strangers.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <numeric>
#include <string>
#include <vector>

#include "destinations.hpp"
#include "strangers.h"
#include "support/require.hpp"

namespace egress::bench {
namespace {

constexpr const char* variant = "to_strangers";

Fd make_array(const char* name, std::size_t value_size, std::uint32_t entries) {
  Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(std::uint32_t), static_cast<std::uint32_t>(value_size),
                        entries, nullptr));
  test::require(map.valid(), "make map", name);
  return map;
}

void fill(int map, Family family) {
  std::vector<decltype(Address::bytes)> values;
  for (const Address& each : strangers(family, STRANGERS)) values.push_back(each.bytes);
  std::vector<std::uint32_t> keys(values.size());
  std::iota(keys.begin(), keys.end(), 0u);
  auto count = static_cast<std::uint32_t>(values.size());
  test::require(bpf_map_update_batch(map, keys.data(), values.data(), &count, nullptr) == 0, "fill map of strangers");
}

std::string name_of_program(int program) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  test::require(bpf_obj_get_info_by_fd(program, &info, &size) == 0, "ask program");
  return info.name;
}

std::vector<Fd> maps_of(int program) {
  std::vector<std::uint32_t> ids(256);
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<std::uint32_t>(ids.size());
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  std::uint32_t size = sizeof info;
  test::require(bpf_obj_get_info_by_fd(program, &info, &size) == 0, "ask program");
  std::vector<Fd> maps;
  for (std::uint32_t i = 0; i < info.nr_map_ids; ++i) maps.emplace_back(bpf_map_get_fd_by_id(ids[i]));
  return maps;
}

/// As the object file names it. Of constants only those of our program are shared: the settings of its load.
std::string name_of_map(int map) {
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  test::require(bpf_obj_get_info_by_fd(map, &info, &size) == 0, "ask map");
  const std::string name = info.name;
  return name == "drop_egr.rodata" ? ".rodata" : name;
}

void share(bpf_object* object, const std::string& name, int map) {
  bpf_map* own = bpf_object__find_map_by_name(object, name.c_str());
  test::require(own == nullptr || bpf_map__reuse_fd(own, map) == 0, "share map", name.c_str());
}

}  // namespace

ToStrangers::ToStrangers(Family family)
    : strangers_(make_array("strangers", sizeof(Address::bytes), STRANGERS)),
      next_(make_array("next_stranger", sizeof(std::uint32_t), 1)) {
  fill(strangers_.get(), family);
}

int ToStrangers::program_like(int program) {
  Object& object = objects_[program];
  if (!object) object = load_like(program);
  return bpf_program__fd(bpf_object__find_program_by_name(object.get(), variant));
}

ToStrangers::Object ToStrangers::load_like(int program) const {
  const std::string path = fmt::format("{}/{}_{}.bpf.o", EGRESS_BUILD_DIR, name_of_program(program), variant);
  Object object(bpf_object__open_file(path.c_str(), nullptr));
  test::require(object != nullptr, "open", path.c_str());
  share(object.get(), "strangers", strangers_.get());
  share(object.get(), "next_stranger", next_.get());
  for (const Fd& map : maps_of(program)) share(object.get(), name_of_map(map.get()), map.get());
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, object.get()) {
    bpf_program__set_autoload(each, bpf_program__name(each) == std::string(variant));
  }
  test::require(bpf_object__load(object.get()) == 0, "load", path.c_str());
  return object;
}

}  // namespace egress::bench
