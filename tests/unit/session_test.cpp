// SPDX-License-Identifier: GPL-2.0
#include "cli/session.hpp"

#include <gtest/gtest.h>

namespace egress::cli {
namespace {

TEST(SshConnection, M1NamesTheClientAsThePeer) {
  const auto socket = parse_ssh_connection("203.0.113.7 50000 192.0.2.1 22");
  ASSERT_TRUE(socket);
  EXPECT_EQ(format(*socket), "tcp 192.0.2.1:22 to 203.0.113.7:50000");
  EXPECT_EQ(format(*parse_ssh_connection("fe80::1%eth0 50000 ::ffff:192.0.2.1 22")),
            "tcp 192.0.2.1:22 to [fe80::1]:50000");
}

TEST(SshConnection, IsNothingElse) {
  for (const char* text : {"", "203.0.113.7", "203.0.113.7 50000 192.0.2.1", "203.0.113.7 0 192.0.2.1 22",
                           "203.0.113.7 50000 192.0.2.1 65536", "host 50000 192.0.2.1 22", "1 2 3 4"}) {
    EXPECT_FALSE(parse_ssh_connection(text)) << text;
  }
}

TEST(SessionRail, M1RefusesWhatStopsTheSessionOrAnAncestorsSocket) {
  Reach reach;
  reach.stopped = {*parse_ssh_connection("203.0.113.7 50000 192.0.2.1 22")};
  reach.stopped[0].inode = 7;
  EXPECT_EQ(session_rail(reach, {*parse_ssh_connection("203.0.113.7 50000 192.0.2.1 22"), {}})->kind,
            ErrorKind::Refused);
  EXPECT_TRUE(session_rail(reach, {std::nullopt, {7}}));
  EXPECT_FALSE(session_rail(reach, {*parse_ssh_connection("203.0.113.7 50001 192.0.2.1 22"), {8}}));
  reach.stopped[0].protocol = protocol::udp;
  EXPECT_FALSE(session_rail(reach, {std::nullopt, {7}})) << "no terminal is carried by it";
}

}  // namespace
}  // namespace egress::cli
