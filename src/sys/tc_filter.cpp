// SPDX-License-Identifier: GPL-2.0
#include "sys/tc_filter.hpp"

#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>

#include "sys/libbpf_log.hpp"
#include "sys/netlink.hpp"

namespace egress {
namespace {

/// The first preference there is; filters of one preference run last made first.
constexpr std::uint32_t preference = 1;
constexpr std::uint32_t our_handle = 0xE6E5;

bpf_tc_hook hook_of(std::uint32_t ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_EGRESS;
  return hook;
}

bpf_tc_opts our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = our_handle;
  options.priority = preference;
  return options;
}

/// Filters on one side of a device's clsact.
Result<std::size_t> count_filters(std::uint32_t ifindex, std::uint32_t parent) {
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return std::move(netlink).error();
  alignas(nlmsghdr) std::array<char, 256> buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETTFILTER;
  request->nlmsg_flags = NLM_F_DUMP;
  auto* message = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(tcmsg)));
  message->tcm_ifindex = static_cast<int>(ifindex);
  message->tcm_parent = parent;
  std::size_t count = 0;
  Result<void> asked = netlink->ask(request, [&](const nlmsghdr*) { ++count; });
  if (!asked) return std::move(asked).error();
  return count;
}

bool is_unused(std::uint32_t ifindex) {
  for (const std::uint32_t side : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    Result<std::size_t> count = count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, side));
    if (!count || *count != 0) return false;
  }
  return true;
}

}  // namespace

Result<TcAttached> attach_tc_filter(int program_fd, std::uint32_t ifindex) {
  const LogCapture quiet;
  bpf_tc_hook hook = hook_of(ifindex);
  const int created = bpf_tc_hook_create(&hook);
  if (created && created != -EEXIST) return system_error("attach filter", "clsact", -created);
  const TcAttached made{created == 0};
  bpf_tc_opts options = our_place();
  options.prog_fd = program_fd;
  options.flags = BPF_TC_F_REPLACE;
  const int failed = bpf_tc_attach(&hook, &options);
  if (!failed) return made;
  if (made.made_qdisc) bpf_tc_hook_destroy(&hook);
  Error error = system_error("attach filter", {}, -failed);
  error.cause = "another filter has preference 1 there: " + error.cause;
  error.remedy = "see `tc filter show dev DEV egress`, and give that one another preference";
  return error;
}

std::uint32_t tc_filter_program(std::uint32_t ifindex) {
  const LogCapture quiet;
  const bpf_tc_hook hook = hook_of(ifindex);
  bpf_tc_opts options = our_place();
  return bpf_tc_query(&hook, &options) ? 0 : options.prog_id;
}

Result<void> detach_tc_filter(std::uint32_t ifindex, std::uint32_t program_id, bool with_qdisc) {
  if (tc_filter_program(ifindex) != program_id) return {};
  const LogCapture quiet;
  bpf_tc_hook hook = hook_of(ifindex);
  const bpf_tc_opts options = our_place();
  const int failed = bpf_tc_detach(&hook, &options);
  if (failed && failed != -ENOENT) return system_error("take filter off", {}, -failed);
  if (with_qdisc && is_unused(ifindex)) {
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    bpf_tc_hook_destroy(&hook);
  }
  return {};
}

}  // namespace egress
