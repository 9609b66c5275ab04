// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "core/encode.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

using test::destination;

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

drop_config entry() {
  drop_config out{};
  out.dst_ip = htonl(0x08080404);
  out.dst_port = 0x1234;
  out.cgroup_id = 4711;
  out.ttl = 60;
  out.created_at = 5'000'000'000;
  return out;
}

TEST(DoorRule, IsReadFromAnEntry) {
  const DoorRule rule = decode_door(entry());
  EXPECT_EQ(rule.cgroup, CgroupId{4711});
  EXPECT_EQ(rule.destination, destination("8.8.4.4:4660"));
  EXPECT_EQ(rule.created_at, (BootTime{5s}));
  EXPECT_EQ(rule.expires_at, (BootTime{65s}));
  EXPECT_FALSE(rule.canary);
}

TEST(DoorRule, WithPortZeroNamesEveryPortAndProtocol) {
  drop_config config = entry();
  config.dst_port = 0;
  EXPECT_EQ(decode_door(config).destination, destination("8.8.4.4"));
}

TEST(DoorRule, WithTtlZeroIsOverAtOnce) {
  drop_config config = entry();
  config.ttl = 0;
  EXPECT_EQ(decode_door(config).expires_at, decode_door(config).created_at);
}

TEST(DoorRule, OfAZeroedEntryIsOver) {
  const DoorRule rule = decode_door(drop_config{});
  EXPECT_EQ(rule.cgroup, CgroupId{0});
  EXPECT_EQ(rule.expires_at, BootTime{});
}

TEST(DoorRule, HasNoEndOnlyWithTheGreatestTtl) {
  drop_config config = entry();
  config.ttl = DROP_CONFIG_NO_END;
  EXPECT_EQ(decode_door(config).expires_at, std::nullopt);
  config.ttl = DROP_CONFIG_NO_END - 1;
  EXPECT_EQ(decode_door(config).expires_at, (BootTime{5s + 4294967294s}));
}

TEST(DoorRule, I4EndsAtTheEndOfTheClockAndDoesNotWrap) {
  drop_config config = entry();
  config.ttl = DROP_CONFIG_NO_END - 1;
  for (const std::uint64_t created :
       {0xFFFFFFFFFFFFFFFFull, 0xFFFFFFFFFFFFFFFFull - 1'000'000'000, 0x8000000000000000ull, 0x7FFFFFFFFFFFFFFFull,
        0x7FFFFFFFFFFFFFFFull - 1'000'000'000}) {
    config.created_at = created;
    EXPECT_EQ(decode_door(config).expires_at, (BootTime{nanoseconds::max()})) << created;
    EXPECT_GE(decode_door(config).created_at.since_boot, nanoseconds::max() - 1s) << created;
  }
}

TEST(DoorRule, KnowsTheCanary) {
  drop_config config = entry();
  config.flags = DROP_CONFIG_CANARY;
  EXPECT_TRUE(decode_door(config).canary);
  config.flags = 0x2;
  EXPECT_FALSE(decode_door(config).canary);
}

TEST(DoorRule, SurvivesEncodeAndDecode) {
  for (const char* const text : {"8.8.4.4", "8.8.4.4:1", "255.255.255.255:65535", "0.0.0.0"}) {
    for (const std::optional<BootTime> end :
         {std::optional<BootTime>{}, std::optional{BootTime{5s}}, std::optional{BootTime{99s}}}) {
      const DoorRule rule{CgroupId{0x1122334455667788}, destination(text), BootTime{5s}, end, true};
      const auto config = encode_door(rule);
      ASSERT_TRUE(config) << config.error().message();
      EXPECT_EQ(decode_door(*config), rule) << text;
      EXPECT_EQ(config->reserved, 0u);
    }
  }
}

TEST(DoorRule, WritesNetworkOrderAddressAndHostOrderPort) {
  const auto config = encode_door({CgroupId{7}, destination("203.0.113.9:4660"), BootTime{5s}, BootTime{65s}, false});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->dst_ip, htonl(0xCB007109));
  EXPECT_EQ(config->dst_port, 0x1234);
  EXPECT_EQ(config->flags, 0);
  EXPECT_EQ(config->ttl, 60u);
  EXPECT_EQ(config->created_at, 5'000'000'000u);
}

TEST(DoorRule, LivesForWholeSecondsRoundedUp) {
  const auto ttl = [](nanoseconds lifetime) {
    return encode_door({CgroupId{7}, destination("203.0.113.9"), BootTime{5s}, BootTime{5s + lifetime}, false})->ttl;
  };
  EXPECT_EQ(ttl(0ns), 0u);
  EXPECT_EQ(ttl(-1s), 0u);
  EXPECT_EQ(ttl(1ns), 1u);
  EXPECT_EQ(ttl(1s), 1u);
  EXPECT_EQ(ttl(1s + 1ns), 2u);
  EXPECT_EQ(ttl(4294967294s), 4294967294u);
  EXPECT_EQ(ttl(5000000000s), DROP_CONFIG_NO_END);
}

class UnspeakableDoorRule : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(UnspeakableDoorRule, IsRefusedWithItsCause) {
  const auto& [text, cause] = GetParam();
  const auto config = encode_door({CgroupId{7}, destination(text), BootTime{}, std::nullopt, false});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::Usage);
  EXPECT_NE(config.error().message().find(text + ": drop_configs cannot hold it: " + cause), std::string::npos)
      << config.error().message();
}

INSTANTIATE_TEST_SUITE_P(Texts, UnspeakableDoorRule,
                         testing::Values(std::pair{"any", "not one IPv4 address"}, std::pair{"any:53", "not one IPv4"},
                                         std::pair{"10.0.0.0/8", "not one IPv4"},
                                         std::pair{"10.0.0.0/31", "not one IPv4"}, std::pair{"::1", "not one IPv4"},
                                         std::pair{"8.8.8.8:1-2", "a range of ports"},
                                         std::pair{"8.8.8.8:53/udp", "a protocol"},
                                         std::pair{"8.8.8.8/icmp", "a protocol"}));

}  // namespace
}  // namespace egress
