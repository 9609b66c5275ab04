// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "egress/error.hpp"
#include "egress/health.hpp"
#include "sys/hooks.hpp"
#include "sys/instance_maps.hpp"

struct drop_egress_by_cgroup;

namespace egress {

/// The BPF object of this build, loaded into the kernel but attached nowhere. Owns the programs and maps that
/// it made: they go with it unless pins or links hold them.
class Object {
 public:
  /// Fixed when the object is loaded.
  struct Settings {
    std::uint64_t root_id = 0;
    std::uint32_t root_level = 0;
    Room room;
    bool debug = false;
  };

  /// Loads all parts of the object that this kernel takes, found out by loading them. Maps in `existing`
  /// are used instead of new ones; they must have been checked. Fails if the packet hook cannot be loaded.
  [[nodiscard]] static Result<Object> load(const Settings& settings, const MapFds& existing);

  Object(Object&&) noexcept;
  Object& operator=(Object&&) noexcept;
  ~Object();

  /// -1 if the program was left out.
  [[nodiscard]] int program_fd(const char* name) const;
  /// -1 if there is no such map.
  [[nodiscard]] int map_fd(std::string_view name) const;

  /// One entry a group, with what the kernel said to those left out.
  [[nodiscard]] const std::vector<Feature>& features() const { return features_; }
  [[nodiscard]] bool has(HookGroup group) const { return features_[static_cast<std::size_t>(group)].present; }
  /// Notes that a part that was loaded does not work here after all.
  void mark_missing(HookGroup group, std::string why);

 private:
  struct Close {
    void operator()(drop_egress_by_cgroup* skeleton) const;
  };
  using Skeleton = std::unique_ptr<drop_egress_by_cgroup, Close>;
  friend class ObjectLoading;

  Object(Skeleton skeleton, std::vector<Feature> features);

  Skeleton skeleton_;
  std::vector<Feature> features_;
};

/// Whether programs may be attached to no function at all here (fentry, fmod_ret, BPF LSM), whoever asks.
[[nodiscard]] bool forbids_functions();

}  // namespace egress
