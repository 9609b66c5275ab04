// SPDX-License-Identifier: GPL-2.0
#include "sys/object.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>

#include "drop_egress_by_cgroup.skel.h"
#include "sys/kernel_context.hpp"
#include "sys/libbpf_log.hpp"
#include "sys/privileges.hpp"
#include "sys/program.hpp"

namespace egress {
namespace {

using Groups = std::array<bool, hook_groups.size()>;

constexpr std::size_t index_of(HookGroup group) { return static_cast<std::size_t>(group); }

void size_maps(bpf_object* object, const Room& room) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (const auto entries = entries_for(bpf_map__name(map), room)) bpf_map__set_max_entries(map, *entries);
  }
}

Result<void> reuse_maps(bpf_object* object, const MapFds& existing) {
  for (const auto& [name, fd] : existing) {
    bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    if (map == nullptr) continue;
    if (const int error = bpf_map__reuse_fd(map, fd.get()); error) {
      return system_error("load", "map '" + name + "'", -error);
    }
  }
  return {};
}

void choose_programs(bpf_object* object, const Groups& groups) {
  for (const Hook& hook : hooks) {
    bpf_program* program = bpf_object__find_program_by_name(object, hook.program);
    if (program != nullptr) bpf_program__set_autoload(program, groups[index_of(hook.group)]);
  }
  // An old kernel takes no map with a timer inside.
  bpf_map* sweeper = bpf_object__find_map_by_name(object, "sweeper");
  if (sweeper != nullptr && !groups[index_of(HookGroup::Sweep)]) bpf_map__set_autocreate(sweeper, false);
}

Result<void> require_names(bpf_object* object, const Groups& groups) {
  for (const Hook& hook : hooks) {
    const bpf_program* program = bpf_object__find_program_by_name(object, hook.program);
    if (program == nullptr || !groups[index_of(hook.group)]) continue;
    if (Result<void> good = require_name(bpf_program__fd(program), hook.program); !good) return good;
  }
  return {};
}

Error load_error(int code, const std::string& log) {
  Error error = system_error("load", "BPF object", code);
  if (const std::string reason = reason_in_log(log); !reason.empty()) error.cause += ": " + reason;
  if (code == EPERM) error.remedy = memlock_hint();
  if (code == ENOMEM) error.remedy = "load with fewer rules";
  return error;
}

}  // namespace

/// A kernel that is set up so says it before it looks at what it is given, here a type for a function.
bool forbids_functions() {
  const std::array code{
      bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_MODIFY_RETURN, .attach_btf_id = 1);
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_TRACING, "egress_probe", "GPL", code.data(), code.size(), &options));
  return !program.valid() && errno == EPERM;
}

/// Loads all groups, or those that this kernel takes.
class ObjectLoading {
 public:
  ObjectLoading(const Object::Settings& settings, const MapFds& existing) : settings_(settings), existing_(existing) {
    for (const HookGroup group : hook_groups) features_.push_back({std::string(name_of(group)), true, {}});
    if (!kernel_context_) take_out_missing_calls();
  }

  Result<Object> run() {
    leave_out_what_is_known_to_lack();
    Result<Object::Skeleton> skeleton = attempt(tried_);
    if (!skeleton && tried_[index_of(HookGroup::Creation)]) skeleton = without_creation(skeleton.error().cause);
    if (!skeleton) skeleton = without_what_is_refused();
    if (!skeleton) return std::move(skeleton).error();
    return Object(*std::move(skeleton), std::move(features_));
  }

 private:
  void leave_out(HookGroup group, std::string why) {
    tried_[index_of(group)] = false;
    features_[index_of(group)] = {std::string(name_of(group)), false, std::move(why)};
  }

  /// Small programs can say it before the large ones are verified in vain.
  void leave_out_what_is_known_to_lack() {
    tried_.fill(true);
    if (forbids_functions()) {
      leave_out(HookGroup::Creation, "Operation not permitted: this kernel lets nobody attach programs to functions");
    }
    const bool calls = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SYSCALL, nullptr) == 1;
    if (!calls) leave_out(HookGroup::Clock, "Invalid argument: programs that are run on call need Linux 5.14");
    if (!calls || libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_timer_init, nullptr) != 1)
      leave_out(HookGroup::Sweep, "Invalid argument: timers of programs need Linux 5.15");
  }

  /// What new kernels refuse too, where programs may not be attached to functions. Its program is the first of the
  /// object, so that this costs no verification.
  Result<Object::Skeleton> without_creation(const std::string& why) {
    Groups most = tried_;
    most[index_of(HookGroup::Creation)] = false;
    Result<Object::Skeleton> skeleton = attempt(most);
    if (skeleton) leave_out(HookGroup::Creation, why);
    return skeleton;
  }

  /// The packet hook, with each group that loads when it is alone: to verify the packet hook takes the longest.
  Result<Object::Skeleton> without_what_is_refused() {
    kernel_context_ = false;
    Groups taken{};
    taken[index_of(HookGroup::Packets)] = true;
    for (const HookGroup group : hook_groups) {
      if (group == HookGroup::Packets || !tried_[index_of(group)]) continue;
      Groups alone{};
      alone[index_of(group)] = true;
      Result<Object::Skeleton> loaded = attempt(alone);
      taken[index_of(group)] = loaded.ok();
      if (!loaded) features_[index_of(group)] = {std::string(name_of(group)), false, loaded.error().cause};
    }
    return attempt(taken);
  }

  Result<Object::Skeleton> attempt(const Groups& groups) {
    LogCapture capture;
    Object::Skeleton skeleton(drop_egress_by_cgroup__open());
    const int err = errno;
    if (!skeleton) return load_error(err, capture.log());
    skeleton->rodata->root_id = settings_.root_id;
    skeleton->rodata->root_level = settings_.root_level;
    skeleton->rodata->rules_size = settings_.room.rules;
    skeleton->rodata->heads_mask = heads_mask(settings_.room.rules);
    skeleton->rodata->sieve_mask = sieve_mask(settings_.room.rules);
    skeleton->rodata->cover_unit_log = cover_unit_log(settings_.room.rules);
    skeleton->rodata->debug = settings_.debug;
    skeleton->rodata->has_kernel_context = kernel_context_;
    size_maps(skeleton->obj, settings_.room);
    choose_programs(skeleton->obj, groups);
    if (Result<void> reused = reuse_maps(skeleton->obj, existing_); !reused) return std::move(reused).error();
    const int failed = drop_egress_by_cgroup__load(skeleton.get());
    if (failed) return load_error(-failed, capture.log());
    if (Result<void> good = require_names(skeleton->obj, groups); !good) return std::move(good).error();
    return skeleton;
  }

  const Object::Settings& settings_;
  const MapFds& existing_;
  std::vector<Feature> features_;
  Groups tried_{};
  bool kernel_context_ = has_kernel_context();
};

void Object::Close::operator()(drop_egress_by_cgroup* skeleton) const { drop_egress_by_cgroup__destroy(skeleton); }

Object::Object(Skeleton skeleton, std::vector<Feature> features)
    : skeleton_(std::move(skeleton)), features_(std::move(features)) {}
Object::Object(Object&&) noexcept = default;
Object& Object::operator=(Object&&) noexcept = default;
Object::~Object() = default;

Result<Object> Object::load(const Settings& settings, const MapFds& existing) {
  return ObjectLoading(settings, existing).run();
}

int Object::program_fd(const char* name) const {
  const bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name);
  const int fd = program == nullptr ? -1 : bpf_program__fd(program);
  return fd < 0 ? -1 : fd;
}

int Object::map_fd(std::string_view name) const {
  const bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, std::string(name).c_str());
  const int fd = map == nullptr ? -1 : bpf_map__fd(map);
  return fd < 0 ? -1 : fd;
}

void Object::mark_missing(HookGroup group, std::string why) {
  Feature& feature = features_[static_cast<std::size_t>(group)];
  feature.present = false;
  feature.why = std::move(why);
}

}  // namespace egress
