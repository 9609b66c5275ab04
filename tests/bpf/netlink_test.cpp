// SPDX-License-Identifier: GPL-2.0
// Asking the kernel by netlink.
#include "sys/netlink.hpp"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>

namespace egress::test {
namespace {

/// Asks for all IPv4 sockets of a protocol.
Result<void> dump_sockets_of(std::uint8_t protocol) {
  alignas(nlmsghdr) std::array<char, 128> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request->nlmsg_flags = NLM_F_DUMP;
  auto* body = static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
  body->sdiag_family = AF_INET;
  body->sdiag_protocol = protocol;
  body->idiag_states = ~0U;
  const auto netlink = Netlink::open(NETLINK_SOCK_DIAG);
  if (!netlink) return netlink.error();
  return netlink->ask(request, [](const nlmsghdr*) {});
}

TEST(NetlinkTest, ADumpThatTheKernelCannotMakeIsAnErrorAndNotAnEmptyList) {
  constexpr std::uint8_t for_experiments = 253;  // RFC 3692: no kernel lists sockets of it
  const auto asked = dump_sockets_of(for_experiments);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ENOENT) << asked.error().message();
}

TEST(NetlinkTest, ADumpThatIsCompleteIsNoError) {
  const auto asked = dump_sockets_of(IPPROTO_UDP);
  EXPECT_TRUE(asked) << asked.error().message();
}

}  // namespace
}  // namespace egress::test
