// SPDX-License-Identifier: GPL-2.0
#include "sys/strict_program.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_arp.h>

#include <cerrno>
#include <memory>
#include <string>

#include "egress_strict_tc.skel.h"
#include "egress_strict_xdp.skel.h"
#include "sys/libbpf_log.hpp"
#include "sys/privileges.hpp"
#include "sys/program.hpp"

namespace egress {
namespace {

/// Both skeletons alike; libbpf generates them as unrelated types.
template <typename Skeleton, Skeleton* (*Open)(), void (*Destroy)(Skeleton*)>
class StrictObject {
 public:
  static Result<Fd> load(std::string_view program, const egress_meta& meta, const MapFds& maps) {
    LogCapture capture;
    StrictObject object(Open());
    const int err = errno;
    if (!object.skeleton_) return system_error("load", "BPF object", err);
    object.set(meta);
    if (Result<void> done = object.use(maps); !done) return std::move(done).error();
    Result<Fd> loaded = object.load_program(program, capture);
    if (!loaded) return loaded;
    for (const auto& [name, map] : maps) {  // so that whoever finds the program finds the instance
      if (Result<void> done = bind_map(loaded->get(), map.get()); !done && done.error().code != EINVAL)
        return std::move(done).error();
    }
    return loaded;
  }

 private:
  struct Close {
    void operator()(Skeleton* skeleton) const { Destroy(skeleton); }
  };
  explicit StrictObject(Skeleton* skeleton) : skeleton_(skeleton) {}

  void set(const egress_meta& meta) {
    skeleton_->rodata->root_id = meta.root_id;
    skeleton_->rodata->root_level = meta.root_level;
    skeleton_->rodata->rules_size = meta.max_rules;
    skeleton_->rodata->heads_mask = heads_mask(meta.max_rules);
    skeleton_->rodata->sieve_mask = sieve_mask(meta.max_rules);
    skeleton_->rodata->cover_unit_log = cover_unit_log(meta.max_rules);
  }

  Result<void> use(const MapFds& maps) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, skeleton_->obj) {
      const auto existing = maps.find(bpf_map__name(map));
      if (existing == maps.end()) continue;
      if (const int error = bpf_map__reuse_fd(map, existing->second.get()); error)
        return system_error("load", "map '" + existing->first + "'", -error);
    }
    return {};
  }

  Result<Fd> load_program(std::string_view name, const LogCapture& capture) {
    bpf_program* program = nullptr;
    bpf_program* wanted = nullptr;
    bpf_object__for_each_program(program, skeleton_->obj) {
      const bool is_it = name == bpf_program__name(program);
      bpf_program__set_autoload(program, is_it);
      if (is_it) wanted = program;
    }
    if (const int failed = bpf_object__load(skeleton_->obj); failed) {
      Error error = system_error("load", "program " + std::string(name), -failed);
      if (const std::string reason = reason_in_log(capture.log()); !reason.empty()) error.cause += ": " + reason;
      if (failed == -EPERM) error.remedy = memlock_hint();
      return error;
    }
    if (Result<void> good = require_name(bpf_program__fd(wanted), name); !good) return std::move(good).error();
    return duplicate(bpf_program__fd(wanted));
  }

  std::unique_ptr<Skeleton, Close> skeleton_;
};

using TcObject = StrictObject<egress_strict_tc, egress_strict_tc__open, egress_strict_tc__destroy>;
using XdpObject = StrictObject<egress_strict_xdp, egress_strict_xdp__open, egress_strict_xdp__destroy>;

}  // namespace

Result<std::string_view> strict_program_for(StrictLayer layer, std::uint16_t link_type) {
  const bool ethernet = link_type == ARPHRD_ETHER || link_type == ARPHRD_LOOPBACK;
  if (layer == StrictLayer::Xdp && ethernet) return strict_programs[2];
  if (layer == StrictLayer::Tc && ethernet) return strict_programs[0];
  switch (link_type) {
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
    case ARPHRD_PPP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
      if (layer == StrictLayer::Tc) return strict_programs[1];
      break;
    default:
      break;
  }
  return Error{ErrorKind::Failed,
               "guard device",
               {},
               "frames of its kind (link type " + std::to_string(link_type) + ") cannot be read",
               "guard the device its packets leave by next",
               0};
}

Result<Fd> load_strict_program(std::string_view program, const egress_meta& meta, const MapFds& maps) {
  return program == strict_programs[2] ? XdpObject::load(program, meta, maps) : TcObject::load(program, meta, maps);
}

}  // namespace egress
