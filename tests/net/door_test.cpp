// SPDX-License-Identifier: GPL-2.0
// Rules that another tool writes into the template's three maps, with no program of ours taking part.
#include <array>
#include <cstring>
#include <set>

#include "support/flood.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

const Endpoint target{"203.0.113.7", port};
constexpr std::uint64_t tick = 10'000'000;  ///< contract: within 10 ms of the write

template <typename Value>
std::string hex(const Value& value) {
  std::array<unsigned char, sizeof(Value)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof(Value));
  std::string text = "hex";
  std::array<char, 4> byte{};
  for (const unsigned char each : bytes) {
    std::snprintf(byte.data(), byte.size(), " %02x", static_cast<unsigned>(each));
    text += byte.data();
  }
  return text;
}

class Door : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    for (const int each : {0x1234, 0x1235}) {
      lab().peer().take_datagrams(static_cast<std::uint16_t>(each));
      lab().peer().accept_connections(static_cast<std::uint16_t>(each));
    }
    lab().make_cgroup("/a");
    (void)done("load");
  }

  /// A rule of /a for the target without an end, from now.
  [[nodiscard]] drop_config config() const {
    drop_config result{};
    inet_pton(AF_INET, target.address.c_str(), &result.dst_ip);
    result.dst_port = port;
    result.cgroup_id = lab().cgroup_id("/a");
    result.ttl = DROP_CONFIG_NO_END;
    result.created_at = boot_now();
    return result;
  }
  [[nodiscard]] std::string pin(const char* map) const { return lab().pin_dir() + "/" + map; }

  template <typename Key, typename Value>
  void tool_updates(const char* map, const Key& key, const Value& value) const {
    const Outcome outcome = Lab::bpftool("map update pinned " + pin(map) + " key " + hex(key) + " value " + hex(value));
    ASSERT_EQ(outcome.status, 0) << outcome.text();
  }
  template <typename Key>
  void tool_deletes(const char* map, const Key& key) const {
    const Outcome outcome = Lab::bpftool("map delete pinned " + pin(map) + " key " + hex(key));
    ASSERT_EQ(outcome.status, 0) << outcome.text();
  }
  /// Writes both entries of a rule.
  void tool_adds(std::uint32_t id, const drop_config& rule) const {
    tool_updates("drop_configs", id, rule);
    tool_updates("cgroup_rules", rule.cgroup_id, id);
  }
  /// Waits out the time a write may take to be seen.
  static void wait_a_tick() { std::this_thread::sleep_for(std::chrono::nanoseconds(tick)); }
};

TEST_F(Door, TwoWritesDropAndTheTotalsAreWhatThePeerMisses) {
  const Actor actor = lab().actor("/a");
  const Actor below = lab().actor("/a/below");
  const Actor other = lab().actor("/b");
  const drop_stats before = read_stats(lab().pin_dir());
  tool_adds(77, config());
  wait_a_tick();
  const SocketHandle socket = actor.udp(target);
  EXPECT_EQ(actor.send_many(socket, target, 40, 211), (Sent{0, 40, 0, 0}));
  EXPECT_EQ(below.try_udp(target), EPERM) << "a descendant";
  EXPECT_EQ(below.try_tcp(target, 150ms), ETIMEDOUT);
  EXPECT_EQ(other.try_udp(target), 0) << "another cgroup";
  EXPECT_EQ(actor.try_udp({"203.0.113.8", port}), 0) << "another address";
  EXPECT_EQ(actor.try_udp({target.address, 0x1235}), 0) << "another port";
  EXPECT_EQ(actor.try_udp({"2001:db8:bad::1", port}), 0) << "IPv6";
  lab().settle();
  EXPECT_EQ(lab().peer().arrived({target.address, port, {}, {}}).packets, 1U);
  const drop_stats after = read_stats(lab().pin_dir());
  // 40 of 211 bytes, one of 100 and one or more SYNs (60 bytes each).
  const std::uint64_t syns = after.packets_dropped - before.packets_dropped - 41;
  EXPECT_GE(syns, 1U);
  EXPECT_EQ(after.bytes_dropped - before.bytes_dropped, 40 * (211 + 28) + 128 + syns * 60);
}

TEST_F(Door, RulesAreChangedAndRemovedByTheTool) {
  const Actor actor = lab().actor("/a");
  drop_config rule = config();
  tool_adds(77, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), EPERM);
  rule.dst_port = 0x1235;
  tool_updates("drop_configs", std::uint32_t{77}, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), 0);
  EXPECT_EQ(actor.try_udp({target.address, 0x1235}), EPERM);
  tool_deletes("cgroup_rules", rule.cgroup_id);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp({target.address, 0x1235}), 0);
  tool_updates("cgroup_rules", rule.cgroup_id, std::uint32_t{77});
  wait_a_tick();
  EXPECT_EQ(actor.try_udp({target.address, 0x1235}), EPERM);
  tool_deletes("drop_configs", std::uint32_t{77});
  wait_a_tick();
  EXPECT_EQ(actor.try_udp({target.address, 0x1235}), 0);
}

TEST_F(Door, EveryWriteIsInForceWithinTenMilliseconds) {
  const PinnedMap configs(pin("drop_configs"));
  const PinnedMap rules(pin("cgroup_rules"));
  const drop_config rule = config();
  ASSERT_TRUE(configs.update(std::uint32_t{77}, rule));
  Flood flood = Flood::start({lab().make_cgroup("/a"), lab().network().client()}, {{target}});
  struct Write {
    std::uint64_t before, after;
    std::uint32_t answer;  ///< from then on
  };
  std::vector<Write> writes{{0, 0, 0}};
  for (std::uint32_t i = 0; i < 40; ++i) {
    flood.wait_for_rounds(50);
    const std::uint64_t before = boot_now();
    ASSERT_TRUE(i % 2 == 0 ? rules.update(rule.cgroup_id, std::uint32_t{77}) : rules.erase(rule.cgroup_id));
    writes.push_back({before, boot_now(), i % 2 == 0 ? std::uint32_t{EPERM} : 0});
    std::this_thread::sleep_for(20ms);
    flood.wait_for_rounds(50);
  }
  flood.stop();
  const std::vector<Stretch> story = flood.story();
  ASSERT_EQ(flood.odd(), 0U);
  ASSERT_EQ(story.size(), writes.size()) << "each write changes the answer once";
  for (std::size_t i = 0; i < story.size(); ++i) {
    EXPECT_EQ(story[i].answer, writes[i].answer);
    EXPECT_GE(story[i].first_end, writes[i].before) << "write " << i << " was seen before it was made";
    if (i + 1 < writes.size()) {
      EXPECT_LE(story[i].last_start, writes[i + 1].after + tick) << "write " << i + 1 << " was seen too late";
    }
  }
}

TEST_F(Door, LifetimesCountFromCreationOnTheBootClock) {
  const Actor actor = lab().actor("/a");
  drop_config rule = config();
  rule.ttl = 0;
  tool_adds(77, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), 0) << "a lifetime of 0 is over at once";

  rule.ttl = 1;
  rule.created_at = boot_now() - 2'000'000'000;
  tool_updates("drop_configs", std::uint32_t{77}, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), 0) << "over a second ago";

  Flood flood = Flood::start({lab().make_cgroup("/a"), lab().network().client()}, {{target}, 500us});
  rule.created_at = boot_now() - 400'000'000;
  const PinnedMap configs(pin("drop_configs"));
  // Housekeeping may have taken the over rule out of both maps.
  const PinnedMap rules(pin("cgroup_rules"));
  ASSERT_TRUE(configs.update(std::uint32_t{77}, rule) && rules.update(rule.cgroup_id, std::uint32_t{77}));
  std::this_thread::sleep_for(700ms);
  flood.stop();
  const std::vector<Stretch> story = flood.story();
  ASSERT_EQ(story.size(), 3U);
  ASSERT_EQ(story[1].answer, std::uint32_t{EPERM});
  const std::uint64_t deadline = rule.created_at + 1'000'000'000;
  EXPECT_GE(story[2].first_end, deadline) << "passed before the deadline";
  EXPECT_LE(story[1].last_start, deadline + tick) << "dropped after the deadline";
}

// I4: the sum of creation and lifetime wraps round.
TEST_F(Door, I4AnEntryWhoseEndIsBeyondTheClockIsInForce) {
  const Actor actor = lab().actor("/a");
  drop_config rule = config();
  rule.ttl = 3600;
  rule.created_at = ~std::uint64_t{0} - 1'000'000'000;
  tool_adds(77, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), EPERM);
  std::this_thread::sleep_for(600ms);  // two sweeps
  EXPECT_EQ(actor.try_udp(target), EPERM);
}

TEST_F(Door, HalfWrittenEntriesMatchNothing) {
  const Actor actor = lab().actor("/a");
  const std::uint64_t cgroup = lab().cgroup_id("/a");
  const auto expect_passes = [&](const char* why) {
    wait_a_tick();
    EXPECT_EQ(actor.try_udp(target), 0) << why;
    EXPECT_EQ(actor.try_udp({"203.0.113.8", 0x1235}), 0) << why;
  };
  tool_updates("cgroup_rules", cgroup, std::uint32_t{77});
  expect_passes("cgroup_rules alone");
  tool_updates("drop_configs", std::uint32_t{77}, drop_config{});
  expect_passes("a zeroed drop_config");
  drop_config rule = config();
  rule.cgroup_id = 0;
  tool_updates("drop_configs", std::uint32_t{77}, rule);
  expect_passes("no cgroup id");
  rule.cgroup_id = cgroup + 1;
  tool_updates("drop_configs", std::uint32_t{77}, rule);
  expect_passes("another cgroup's id");
  rule = drop_config{};
  rule.cgroup_id = cgroup;
  rule.created_at = boot_now();
  tool_updates("drop_configs", std::uint32_t{77}, rule);
  expect_passes("no address and a lifetime of 0");
  tool_deletes("cgroup_rules", cgroup);
  tool_updates("drop_configs", std::uint32_t{77}, config());
  expect_passes("drop_configs alone");
  tool_updates("cgroup_rules", cgroup, std::uint32_t{0});
  tool_updates("drop_configs", std::uint32_t{0}, drop_config{});
  expect_passes("everything zero");
}

TEST_F(Door, PortZeroIsEveryPortAndEveryProtocol) {
  const Actor actor = lab().actor("/a");
  drop_config rule = config();
  rule.dst_port = 0;
  tool_adds(77, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), EPERM);
  EXPECT_EQ(actor.try_udp({target.address, 0x1235}), EPERM);
  EXPECT_EQ(actor.send_to(actor.open(AF_INET, SOCK_RAW, IPPROTO_ICMP), {target.address, 0}, 64), EPERM);
  EXPECT_EQ(actor.send_to(actor.open(AF_INET, SOCK_RAW, 99), {target.address, 0}, 64), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", port}), 0);
}

TEST_F(Door, StandsBesideRulesOfTheCommandWhicheverCameFirst) {
  const Actor actor = lab().actor("/a");
  const auto first = added("drop cgroup /a to 203.0.113.8");
  tool_adds(0x70000001, config());
  const auto second = added("drop id " + std::to_string(lab().cgroup_id("/a")) + " to 203.0.113.9");
  wait_a_tick();
  EXPECT_EQ(actor.try_udp({"203.0.113.8", port}), EPERM);
  EXPECT_EQ(actor.try_udp(target), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.9", port}), EPERM);
  // The tool replaces what stands under the cgroup's key, as it may.
  drop_config rule = config();
  inet_pton(AF_INET, "198.51.100.9", &rule.dst_ip);
  tool_adds(0x70000002, rule);
  wait_a_tick();
  EXPECT_EQ(actor.try_udp({"203.0.113.8", port}), EPERM) << "a rule of the command was lost";
  EXPECT_EQ(actor.try_udp({"203.0.113.9", port}), EPERM) << "a rule of the command was lost";
  EXPECT_EQ(actor.try_udp({"198.51.100.9", port}), EPERM);
  EXPECT_EQ(actor.try_udp(target), 0) << "nothing names the former rule any more";
  tool_deletes("cgroup_rules", rule.cgroup_id);
  ASSERT_EQ(first.size() + second.size(), 2U);
  EXPECT_EQ(listed(first[0])["packets"], 2);
  EXPECT_EQ(listed(second[0])["packets"], 2);
}

TEST_F(Door, FullMapsRefuseWhatOtherToolsWriteAndTheCommandGoesOn) {
  const Actor actor = lab().actor("/a");
  (void)done("unload");
  (void)done("load --max-map-rules 2");
  drop_config other = config();
  other.cgroup_id = lab().cgroup_id("/");
  tool_adds(77, config());
  tool_adds(78, other);
  const PinnedMap configs(pin("drop_configs"));
  EXPECT_FALSE(configs.update(std::uint32_t{79}, config()));
  EXPECT_EQ(errno, E2BIG);
  EXPECT_TRUE(configs.update(std::uint32_t{77}, config())) << "what is there can be replaced";
  (void)added("drop cgroup /a to 203.0.113.8,203.0.113.9,203.0.113.10");
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), EPERM);
  EXPECT_EQ(actor.try_udp({"203.0.113.10", port}), EPERM);
  EXPECT_EQ(lab().list().size(), 5U);
  const nlohmann::json status = lab().egress("status -o json").json();
  EXPECT_EQ(status["rules"]["map"], 2);
  EXPECT_EQ(status["rules"]["map_capacity"], 2);
  EXPECT_NE(status["findings"].dump().find("--max-map-rules"), std::string::npos) << status["findings"].dump();
  (void)done("rm 77");
  EXPECT_TRUE(configs.update(std::uint32_t{79}, config()));
}

TEST_F(Door, AnAllowOfTheCommandDoesNotOverrideIt) {
  const Actor actor = lab().actor("/a");
  (void)added("allow cgroup /a to 203.0.113.7");
  tool_adds(77, config());
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), EPERM);
}

TEST_F(Door, RulesAreListedExplainedAndRemovedByTheCommand) {
  const Actor actor = lab().actor("/a");
  constexpr std::uint32_t id = 0x70000001;
  tool_adds(id, config());
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), EPERM);
  const nlohmann::json rule = listed(id);
  ASSERT_TRUE(rule.is_object());
  EXPECT_EQ(rule["origin"], "map");
  EXPECT_EQ(rule["action"], "drop");
  EXPECT_EQ(rule["destination"], target.text());
  EXPECT_EQ(rule["expires_at"], nullptr);
  EXPECT_EQ(rule["packets"], 1);
  EXPECT_EQ(rule["bytes"], 128);
  EXPECT_EQ(rule["subject"]["scope"], "subtree");
  EXPECT_EQ(rule["subject"]["cgroup_ids"], nlohmann::json::array({lab().cgroup_id("/a")}));

  const Outcome explained = lab().egress("explain cgroup /a " + target.text() + "/udp -o json");
  EXPECT_EQ(explained.status, 4) << explained.text();
  EXPECT_EQ(explained.json()["verdict"], "drop");
  EXPECT_EQ(explained.json()["rule"], id);

  (void)done("rm " + std::to_string(id));
  wait_a_tick();
  EXPECT_EQ(actor.try_udp(target), 0);
  EXPECT_EQ(lab().list(), nlohmann::json::array());
  EXPECT_EQ(PinnedMap(pin("drop_configs")).size(), 0U);
  EXPECT_EQ(PinnedMap(pin("cgroup_rules")).size(), 0U);
}

TEST_F(Door, IdsNeverCollide) {
  const auto first = added("drop cgroup /a to 203.0.113.8");
  ASSERT_EQ(first.size(), 1U);
  // What a tool that counts from one, or from what it saw in a listing, would choose next.
  lab().make_cgroup("/b");
  drop_config other = config();
  other.cgroup_id = lab().cgroup_id("/b");
  tool_adds(first[0] + 1, config());
  tool_adds(1, other);
  const auto second = added("drop cgroup /a to 203.0.113.9,198.51.100.9");
  std::set<std::uint32_t> ids;
  const nlohmann::json rules = lab().list();
  for (const nlohmann::json& rule : rules) ids.insert(rule["id"].get<std::uint32_t>());
  EXPECT_EQ(rules.size(), 5U);
  EXPECT_EQ(ids.size(), 5U) << rules.dump();
}

}  // namespace
}  // namespace egress::test
