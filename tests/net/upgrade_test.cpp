// SPDX-License-Identifier: GPL-2.0
// A new program over an old one: no packet passes in between, nothing of the state is lost.
#include <bpf/bpf.h>

#include "support/flood.hpp"
#include "support/foreign_program.hpp"
#include "support/net_test.hpp"
#include "support/require.hpp"
#include "sys/fd.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Upgrade : public NetTest {
 protected:
  /// Everything in the listing but the time that is left.
  [[nodiscard]] nlohmann::json rules() const {
    nlohmann::json listed = lab().list();
    for (nlohmann::json& rule : listed) rule.erase("ttl_left_s");
    return listed;
  }
  /// The links of the hooks of the cgroup, by their ids.
  [[nodiscard]] nlohmann::json links() const {
    nlohmann::json ids = nlohmann::json::object();
    const nlohmann::json status = done("status -o json").json();
    for (const nlohmann::json& hook : status["hooks"]) {
      const std::string name = hook["hook"];
      if (name != "egress_mkdir" && name != "egress_release" && name != "egress_socket") ids[name] = hook["link_id"];
    }
    EXPECT_EQ(ids.size(), 5U) << status.dump();
    return ids;
  }
};

// G5, K4
TEST_F(Upgrade, G5LeaksNothingAndKeepsRulesIdsAndCountsUnderFlood) {
  lab().make_cgroup("/a");
  const auto drop = added("drop cgroup /a to 203.0.113.7 --reason flood");
  const auto rest = added("reject cgroup /a to 203.0.113.8:1234/tcp forever --name other");
  (void)added("audit unit later.service to any");
  const nlohmann::json links_before = links();  // a status sends packets of its own
  const ForeignProgram foreign;
  ASSERT_TRUE(foreign.attach(lab().cgroup_root(), BPF_F_ALLOW_MULTI));
  const nlohmann::json before = rules();
  Flood flood = Flood::start({lab().cgroup_directory("/a"), lab().network().client()}, {{{"203.0.113.7", port}}});
  flood.wait_for_rounds(1);
  const std::uint64_t loads = scaled(20);
  for (std::uint64_t i = 0; i < loads; ++i) {
    const Outcome load = lab().egress("load");
    ASSERT_EQ(load.status, 0) << "load " << i << "\n" << load.text();
  }
  while (flood.rounds() < 5'000 * loads) flood.wait_for_rounds(1);
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  EXPECT_EQ(flood.passed(0), 0U) << "of " << flood.rounds();
  const std::uint64_t sent = flood.rounds();
  EXPECT_EQ(listed(drop.at(0)).value("packets", std::uint64_t{0}), sent) << "counts outlive the program";
  EXPECT_EQ(foreign.packets(), sent) << "the other program on the same cgroup met every packet too";
  nlohmann::json after = rules();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    for (const char* count : {"packets", "bytes"}) after[i][count] = before[i][count];
  }
  EXPECT_EQ(after, before);
  EXPECT_EQ(links(), links_before) << "a link that is made anew leaves a moment without, too short for every flood";
  EXPECT_GT(added("drop cgroup /a to 203.0.113.9").at(0), rest.at(0)) << "an id was given out again";
}

/// A descriptor of the program that a link runs now.
Fd program_of(int link) {
  bpf_link_info info{};
  __u32 length = sizeof info;
  require(bpf_obj_get_info_by_fd(link, &info, &length) == 0, "ask the link");
  return Fd(bpf_prog_get_fd_by_id(info.prog_id));
}

// What `load` does to the link of an instance, without the rest of it.
TEST_F(Upgrade, G5AHundredThousandSwapsOfTheProgramLeakNothing) {
  lab().make_cgroup("/a");
  const auto drop = added("drop cgroup /a to 203.0.113.7");
  const Fd link(bpf_obj_get((lab().pin_dir() + "/link_egress_skb").c_str()));
  ASSERT_TRUE(link.valid());
  const Fd one = program_of(link.get());
  (void)done("load");
  const Fd other = program_of(link.get());
  Flood flood = Flood::start({lab().cgroup_directory("/a"), lab().network().client()}, {{{"203.0.113.7", port}}});
  flood.wait_for_rounds(1);
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(bpf_link_update(link.get(), (i % 2 == 0 ? one : other).get(), nullptr), 0) << "swap " << i;
  }
  flood.wait_for_rounds(1000);
  flood.stop();
  EXPECT_EQ(flood.odd(), 0U);
  EXPECT_EQ(flood.passed(0), 0U) << "of " << flood.rounds();
  EXPECT_EQ(listed(drop.at(0)).value("packets", std::uint64_t{0}), flood.rounds());
}

TEST_F(Upgrade, LeavesTheProgramsOfOthersAloneAndSoDoesUnload) {
  const Actor actor = lab().actor("/a");
  const ForeignProgram attached;
  const ForeignProgram linked;
  ASSERT_TRUE(attached.attach(lab().cgroup_root(), BPF_F_ALLOW_MULTI));
  const int link = linked.link(lab().cgroup_root());
  ASSERT_GE(link, 0);
  (void)done("load");
  (void)done("load");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", port}), 0);
  EXPECT_EQ(attached.packets(), 1U);
  EXPECT_EQ(linked.packets(), 1U);
  (void)done("unload");
  EXPECT_EQ(actor.try_udp({"203.0.113.7", port}), 0);
  EXPECT_EQ(attached.packets(), 2U);
  EXPECT_EQ(linked.packets(), 2U);
  close(link);
}

TEST_F(Upgrade, KeepsANameThatIsStillWaitedFor) {
  (void)added("drop unit later.service to 203.0.113.7");
  (void)done("load");
  EXPECT_EQ(lab().actor("/system.slice/later.service").try_udp({"203.0.113.7", port}), EPERM);
}

}  // namespace
}  // namespace egress::test
