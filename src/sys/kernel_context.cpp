// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_context.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace egress {
namespace {

struct FreeBtf {
  void operator()(btf* types) const { btf__free(types); }
};

bool is_missing_call(const bpf_insn& instruction) {
  return instruction.code == (BPF_JMP | BPF_CALL) && instruction.src_reg == BPF_PSEUDO_KFUNC_CALL &&
         instruction.imm == 0;
}

/// Called by libbpf between relocation and load.
int take_out(bpf_program* program, bpf_prog_load_opts* /*options*/, long /*cookie*/) {
  const bpf_insn* first = bpf_program__insns(program);
  std::vector<bpf_insn> code(first, first + bpf_program__insn_cnt(program));
  const bpf_insn nothing{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0};
  std::ranges::replace_if(code, is_missing_call, nothing);
  return bpf_program__set_insns(program, code.data(), code.size());
}

}  // namespace

bool has_kernel_context() {
  const std::unique_ptr<btf, FreeBtf> types(btf__load_vmlinux_btf());
  return types != nullptr && btf__find_by_name_kind(types.get(), "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) > 0;
}

void take_out_missing_calls() {
  struct Section {
    const char* name;
    bpf_prog_type type;
    bpf_attach_type attach;
  };
  static constexpr std::array sections{
      Section{"cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS},
      Section{"cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
      Section{"cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT},
      Section{"cgroup/sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG},
      Section{"cgroup/sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG},
  };
  static const bool registered = [] {
    LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = take_out);
    return std::ranges::all_of(sections, [&](const Section& section) {
      return libbpf_register_prog_handler(section.name, section.type, section.attach, &options) >= 0;
    });
  }();
  static_cast<void>(registered);
}

}  // namespace egress
