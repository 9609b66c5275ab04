// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace egress {

/// Parts of the object that are loaded or left out together. All but Packets are optional.
enum class HookGroup : std::uint8_t { Packets, Sockets, Names, Sweep, Clock, Creation };

inline constexpr std::array hook_groups{HookGroup::Packets, HookGroup::Sockets, HookGroup::Names,
                                        HookGroup::Sweep,   HookGroup::Clock,   HookGroup::Creation};

[[nodiscard]] constexpr std::string_view name_of(HookGroup group) {
  switch (group) {
    case HookGroup::Packets:
      return "packets";
    case HookGroup::Sockets:
      return "sockets";
    case HookGroup::Names:
      return "names";
    case HookGroup::Sweep:
      return "sweep";
    case HookGroup::Clock:
      return "clock";
    case HookGroup::Creation:
      return "creation";
  }
  return {};
}

/// One program of the object and how it gets to run. Names are shorter than 16 bytes: the kernel cuts longer ones.
struct Hook {
  enum class Kind : std::uint8_t { Cgroup, Tracing, OnCall };

  const char* program;
  const char* pin;  ///< of the link, or of the program if it runs on call
  Kind kind;
  HookGroup group;
  std::uint32_t attach_type;
};

/// In the order of attaching: names are bound before the first packet is judged.
inline constexpr std::array hooks{
    Hook{"egress_mkdir", "link_mkdir", Hook::Kind::Tracing, HookGroup::Names, BPF_TRACE_RAW_TP},
    Hook{"egress_release", "link_release", Hook::Kind::Tracing, HookGroup::Names, BPF_TRACE_RAW_TP},
    Hook{"egress_skb", "link_egress_skb", Hook::Kind::Cgroup, HookGroup::Packets, BPF_CGROUP_INET_EGRESS},
    Hook{"egress_connect4", "link_connect4", Hook::Kind::Cgroup, HookGroup::Sockets, BPF_CGROUP_INET4_CONNECT},
    Hook{"egress_connect6", "link_connect6", Hook::Kind::Cgroup, HookGroup::Sockets, BPF_CGROUP_INET6_CONNECT},
    Hook{"egress_sendmsg4", "link_sendmsg4", Hook::Kind::Cgroup, HookGroup::Sockets, BPF_CGROUP_UDP4_SENDMSG},
    Hook{"egress_sendmsg6", "link_sendmsg6", Hook::Kind::Cgroup, HookGroup::Sockets, BPF_CGROUP_UDP6_SENDMSG},
    Hook{"egress_socket", "link_socket", Hook::Kind::Tracing, HookGroup::Creation, BPF_MODIFY_RETURN},
    Hook{"egress_arm", "egress_arm", Hook::Kind::OnCall, HookGroup::Sweep, 0},
    Hook{"egress_clock", "egress_clock", Hook::Kind::OnCall, HookGroup::Clock, 0},
};

[[nodiscard]] constexpr const Hook* hook_of_program(std::string_view program) {
  for (const Hook& hook : hooks) {
    if (program == hook.program) return &hook;
  }
  return nullptr;
}

}  // namespace egress
