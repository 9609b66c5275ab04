// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <vector>

#include "core/evaluate.hpp"
#include "engine/tables.hpp"

namespace egress::test {

/// Judges a flow of the cgroup at `path` by walking the maps as the BPF program does (src/datapath): epoch,
/// bindings, anchors, sets, shapes, members, chains. Tests compare it with evaluate(), which knows no index.
/// `set` of the judgement stays empty.
[[nodiscard]] Judgement judge_by_maps(Tables& tables, const World& world, const std::string& path, const Flow& flow);

/// A TCP packet to ADDR:PORT.
[[nodiscard]] Flow tcp_to(const std::string& address, std::uint16_t port);

}  // namespace egress::test
