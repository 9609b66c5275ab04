// SPDX-License-Identifier: GPL-2.0
#include "support/creation_judge.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <memory>

#include "creation.skel.h"
#include "support/pinned_map.hpp"
#include "support/require.hpp"

namespace egress::test {
namespace {

struct Destroy {
  void operator()(creation* skeleton) const { creation__destroy(skeleton); }
};

void share_maps(bpf_object* object, const std::string& pin_dir) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const int pinned = bpf_obj_get((pin_dir + "/" + bpf_map__name(map)).c_str());
    if (pinned < 0) continue;  // rodata
    require(bpf_map__reuse_fd(map, pinned) == 0, "share map", bpf_map__name(map));
    close(pinned);
  }
}

}  // namespace

CreationJudge::CreationJudge(const std::string& pin_dir) : pin_(pin_dir + "/link_socket") {
  const std::unique_ptr<creation, Destroy> skeleton(creation__open());
  require(skeleton != nullptr, "open BPF object");
  const auto meta = PinnedMap(pin_dir + "/meta").lookup<egress_meta>(std::uint32_t{0});
  require(meta.has_value(), "read meta");
  skeleton->rodata->root_id = meta->root_id;
  skeleton->rodata->root_level = meta->root_level;
  skeleton->rodata->rules_size = meta->max_rules;
  share_maps(skeleton->obj, pin_dir);
  require(creation__load(skeleton.get()) == 0, "load BPF object");
  require(bpf_obj_pin(bpf_program__fd(skeleton->progs.creation), pin_.c_str()) == 0, "pin program");
}

}  // namespace egress::test
