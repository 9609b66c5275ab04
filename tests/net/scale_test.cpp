// SPDX-License-Identifier: GPL-2.0
// Many cgroups with rules, and many that come and go under traffic: nothing leaks, and nothing is left behind.
//
//   EGRESS_TEST_SCALE=full   10,000 cgroups with rules; 60,000 that come and go, 1,000 a second
#include <cstdlib>
#include <string_view>
#include <vector>

#include "support/flood.hpp"
#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

bool is_full() {
  const char* text = std::getenv("EGRESS_TEST_SCALE");
  return text != nullptr && std::string_view(text) == "full";
}

std::string name_of(std::uint64_t number) { return "/many/n" + std::to_string(number); }

constexpr std::uint64_t pending = 16;  ///< names without a cgroup

/// By turns a path that was ruled before it came, and a unit in a cgroup that is ruled itself or in one that is not.
std::string passer(std::uint64_t turn, std::uint64_t standing) {
  if (turn % 2 == 0) return name_of(standing + turn / 2 % pending);
  return turn % 4 == 1 ? "/some.slice/job.service" : name_of(turn % standing) + "/job.service";
}

class Scale : public NetTest {
 protected:
  /// All by name, before the cgroups are there.
  void rule_names(std::uint64_t count) const {
    std::string policy = "{policy: many, ttl: forever, subjects: [";
    for (std::uint64_t i = 0; i < count; ++i) policy += "{cgroup: " + name_of(i) + "},";
    policy += "{unit: job.service}], rules: [{action: drop, to: [\"203.0.113.7\"]}]}";
    (void)done("apply -f -", policy);
  }
  [[nodiscard]] nlohmann::json memory() const {
    const nlohmann::json status = lab().egress("status -o json").json();
    return status.is_object() ? status["memory_by_map"] : status;
  }
  [[nodiscard]] std::size_t bound() const { return PinnedMap(lab().pin_dir() + "/bindings").size(); }
  [[nodiscard]] Flood flood_in(const std::string& cgroup) const {
    return Flood::start({lab().make_cgroup(cgroup), lab().network().client(), 0}, {{forbidden, permitted}, 2ms});
  }
};

TEST_F(Scale, J6CgroupsWithRulesThatComeAndGoByTheThousandLeakNothingAndLeaveNothingBehind) {
  const std::uint64_t standing = is_full() ? 10'000 : scaled(300);
  const std::uint64_t passing = is_full() ? 60'000 : scaled(2'000);
  constexpr std::uint64_t batch = 100;  // one each 100 ms: 1,000 a second
  for (const std::uint16_t each : {forbidden.port, permitted.port}) lab().peer().take_datagrams(each);
  rule_names(standing + pending);
  for (std::uint64_t i = 0; i < standing; ++i) (void)lab().make_cgroup(name_of(i));
  (void)lab().make_cgroup("/some.slice");
  const Actor actor = lab().actor("/home");
  const std::string home = lab().cgroup_directory("/home");
  std::vector<Flood> floods;
  for (const std::uint64_t i : {std::uint64_t{0}, standing / 2, standing - 1}) floods.push_back(flood_in(name_of(i)));
  // The counter of one of many rules may be made by the first packet that meets it.
  for (Flood& each : floods) each.wait_for_rounds(1);
  for (std::uint64_t turn = 0; turn < 2 * pending; ++turn) {
    (void)actor.live_and_die(lab().cgroup_directory(passer(turn, standing)), home, forbidden, 1);
  }
  ASSERT_TRUE(eventually(10s, [&] { return bound() == standing + 2; })) << bound();  // and the two above them
  const nlohmann::json memory_before = memory();

  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t gone = 0; gone < passing; gone += batch) {
    std::this_thread::sleep_until(start + gone * 1ms);
    const std::string path = passer(gone / batch, standing);
    const Sent sent = actor.live_and_die(lab().cgroup_directory(path), home, forbidden, batch);
    ASSERT_EQ(sent, (Sent{0, batch, 0, 0})) << path;
  }

  for (Flood& each : floods) {
    each.wait_for_rounds(10);
    each.stop();
    EXPECT_EQ(each.passed(0), 0U);
    EXPECT_GT(each.passed(1), 0U);
    EXPECT_EQ(each.odd(), 0U);
  }
  lab().settle();
  EXPECT_EQ(lab().peer().datagrams(forbidden).packets, 0U);
  EXPECT_TRUE(eventually(10s, [&] { return bound() == standing + 2; })) << bound();
  EXPECT_EQ(memory(), memory_before);
}

}  // namespace
}  // namespace egress::test
