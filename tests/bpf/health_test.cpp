// SPDX-License-Identifier: GPL-2.0
#include "egress/health.hpp"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "bpf/private_instance.hpp"
#include "engine/health_checks.hpp"
#include "sys/kernel_release.hpp"
#include "sys/loader.hpp"
#include "sys/object.hpp"

namespace egress {
namespace {

using test::PrivateInstance;
using test::small_settings;

const Finding* finding(const Health& health, const std::string& code) {
  const auto at = std::ranges::find(health.findings, code, &Finding::code);
  return at == health.findings.end() ? nullptr : &*at;
}

std::string codes(const Health& health) {
  std::string all;
  for (const Finding& one : health.findings) all += one.code + ": " + one.text + "\n";
  return all;
}

Health health_of(const PrivateInstance& at, bool with_canary = false) {
  Result<Health> result = health(at.get(), with_canary);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message());
  return result ? *result : Health{};
}

TEST(Health, SaysThatNothingIsLoaded) {
  const PrivateInstance at("none");
  const Health state = health_of(at, true);
  EXPECT_FALSE(state.loaded);
  EXPECT_FALSE(state.enforcing);
  EXPECT_NE(finding(state, "not-loaded"), nullptr) << codes(state);
}

TEST(Health, ShowsAnInstanceThatEnforces) {
  const PrivateInstance at("well");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Health state = health_of(at, true);
  EXPECT_TRUE(state.loaded);
  EXPECT_TRUE(state.enforcing) << codes(state);
  EXPECT_EQ(state.root, at.root().directory());
  EXPECT_EQ(state.programs.size(), 8u);
  for (const HookState& hook : state.programs) {
    const bool lacking = hook_of_program(hook.hook)->group == HookGroup::Creation && forbids_functions();
    EXPECT_NE(hook.attached, lacking) << hook.hook;
  }
  EXPECT_EQ(state.rules.capacity, 1024u);
  const auto rules = std::ranges::find(state.memory, "rules", &MapMemory::map);
  ASSERT_NE(rules, state.memory.end());
  EXPECT_GE(rules->bytes, 1024 * sizeof(egress_rule));
  for (const Finding& one : state.findings) EXPECT_NE(one.severity, Finding::Severity::Problem) << one.text;
}

TEST(Health, SaysThatThePacketHookIsMissing) {
  const PrivateInstance at("missing");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  test::remove_link(at.pin("link_egress_skb"));

  const Health state = health_of(at, true);
  EXPECT_FALSE(state.enforcing);
  EXPECT_NE(finding(state, "link-missing"), nullptr) << codes(state);
  EXPECT_NE(finding(state, "canary-passed"), nullptr) << codes(state);
}

TEST(Health, SaysThatEveryLinkIsMissing) {
  const PrivateInstance at("linkless");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  for (const Hook& hook : hooks) {
    const std::string pin = at.pin(hook.pin);
    if (hook.kind != Hook::Kind::OnCall && ::access(pin.c_str(), F_OK) == 0) test::remove_link(pin);
  }
  EXPECT_NE(finding(health_of(at), "links-missing"), nullptr);
}

TEST(Health, SeesAnInstanceThroughAnotherMount) {
  const PrivateInstance at("hidden");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const std::string point = at.bpffs().directory();
  ASSERT_EQ(::mount("tmpfs", point.c_str(), "tmpfs", 0, nullptr), 0);
  const Health state = health_of(at, true);
  ASSERT_EQ(::umount2(point.c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(state.loaded);
  EXPECT_TRUE(state.enforcing) << codes(state);
  EXPECT_NE(finding(state, "pins-hidden"), nullptr) << codes(state);
}

TEST(Health, SaysThatOthersMayWriteThePinDirectory) {
  const PrivateInstance at("unsafe");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  ASSERT_EQ(::chmod(at.get().pin_dir.c_str(), 01777), 0);
  EXPECT_NE(finding(health_of(at), "pin-dir-unsafe"), nullptr);
}

TEST(Health, SaysThatALinkWasDetached) {
  const PrivateInstance at("detached");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Link link(Fd(bpf_obj_get(at.pin("link_egress_skb").c_str())));
  ASSERT_TRUE(link.detach().ok());
  const Health state = health_of(at);
  EXPECT_FALSE(state.enforcing);
  EXPECT_NE(finding(state, "link-detached"), nullptr) << codes(state);
}

TEST(Health, G1WarnsOfProgramsThatAnybodyMayDetach) {
  const PrivateInstance at("flags");
  const bpf_insn code[] = {{0xb7, 0, 0, 0, 1}, {0x95, 0, 0, 0, 0}};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "foreign", "GPL", code, 2, nullptr));
  const Fd root = at.root().open();
  ASSERT_EQ(bpf_prog_attach(program.get(), root.get(), BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_OVERRIDE), 0);
  const Health state = health_of(at);
  EXPECT_NE(finding(state, "foreign-detachable"), nullptr) << codes(state);
  ASSERT_EQ(bpf_prog_detach2(program.get(), root.get(), BPF_CGROUP_INET_EGRESS), 0);
}

TEST(Health, G4ListsConnectProgramsThatRunAfterOurs) {
  const PrivateInstance at("after");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const bpf_insn code[] = {{0xb7, 0, 0, 0, 1}, {0x95, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "foreign", "GPL", code, 2, &options));
  const Fd root = at.root().open();
  const Result<Link> link = Link::attach_cgroup(program.get(), root.get(), BPF_CGROUP_INET4_CONNECT);
  ASSERT_TRUE(link.ok());
  const Health state = health_of(at);
  const Finding* found = finding(state, "foreign-after-ours");
  ASSERT_NE(found, nullptr) << codes(state);
  EXPECT_NE(found->text.find("(foreign) runs after egress_connect4"), std::string::npos) << found->text;
}

// The checks that read numbers need no kernel.

Examined with_control(const Instance& instance, const egress_control& control, std::uint64_t now) {
  return Examined{instance, nullptr, nullptr, control, {}, now};
}

TEST(HealthChecks, TellOfNamesThatCouldNotBeBound) {
  const Instance instance;
  egress_control control{};
  Findings findings;
  check_bindings(with_control(instance, control, 0), findings);
  EXPECT_TRUE(findings.empty());
  control.bind_failed = 3;
  check_bindings(with_control(instance, control, 0), findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "bind-failed");
}

TEST(HealthChecks, TellOfATableThatFillsUp) {
  const Instance instance;
  const auto code_at = [&](std::size_t live) {
    Findings findings;
    check_pressure({instance, nullptr, nullptr, {}, {.live = live, .capacity = 1000}, 0}, findings);
    return findings.empty() ? std::string() : findings[0].code;
  };
  EXPECT_EQ(code_at(799), "");
  EXPECT_EQ(code_at(800), "rules-80");
  EXPECT_EQ(code_at(899), "rules-80");
  EXPECT_EQ(code_at(900), "rules-90");
}

TEST(HealthChecks, TellOfAChangeThatWasBrokenOff) {
  const Instance instance;
  constexpr std::uint64_t second = 1'000'000'000;
  egress_control control{};
  control.maintenance = EGRESS_MAINTENANCE_LIBRARY;
  control.lease_until = 100 * second;
  Findings findings;
  check_maintenance(with_control(instance, control, 105 * second), findings);
  EXPECT_TRUE(findings.empty());
  check_maintenance(with_control(instance, control, 111 * second), findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "maintenance-stuck");
}

TEST(HealthChecks, FindNetworkControllersOfVersionOne) {
  const std::string head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
  EXPECT_FALSE(has_v1_network_controller(head + "cpuset\t3\t1\t1\nnet_cls\t0\t1\t1\n"));
  EXPECT_TRUE(has_v1_network_controller(head + "cpuset\t3\t1\t1\nnet_prio\t7\t1\t1\n"));
}

TEST(KernelRelease, ComparesNumbersNotText) {
  EXPECT_TRUE(release_older_than("5.9.16", 5, 15));
  EXPECT_FALSE(release_older_than("5.15.0-13-amd64", 5, 15));
  EXPECT_FALSE(release_older_than("6.1.0", 5, 15));
  EXPECT_TRUE(release_older_than("4.19.0", 5, 15));
  EXPECT_FALSE(release_older_than("odd", 5, 15));
}

}  // namespace
}  // namespace egress
