// SPDX-License-Identifier: GPL-2.0
#include "sys/loader.hpp"
#include "sys/libbpf_log.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "bpf/private_instance.hpp"
#include "sys/bpf_map.hpp"
#include "sys/foreign_programs.hpp"
#include "sys/hooks.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/object.hpp"
#include "sys/pin_transaction.hpp"
#include "sys/privileges.hpp"
#include "sys/program.hpp"

namespace egress {
namespace {

using test::PrivateInstance;
using test::small_settings;

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::uint32_t link_id(const std::string& pin) {
  const Fd fd(bpf_obj_get(pin.c_str()));
  Result<LinkInfo> info = link_info(fd.get());
  return info ? info->id : 0;
}

std::uint32_t program_of_link(const std::string& pin) {
  const Fd fd(bpf_obj_get(pin.c_str()));
  Result<LinkInfo> info = link_info(fd.get());
  return info ? info->program_id : 0;
}

/// A program of ours that lets everything pass, by instructions: r0 = 1; exit.
Fd pass_program(bpf_prog_type type, bpf_attach_type attach_type) {
  const bpf_insn code[] = {{0xb7, 0, 0, 0, 1}, {0x95, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type);
  return Fd(bpf_prog_load(type, "foreign", "GPL", code, 2, &options));
}

/// Whether this kernel has taken the group. Only what runs on call may be lacking, and what is attached to functions.
bool has(const Loaded& loaded, HookGroup group) {
  const auto at = std::ranges::find(loaded.features, name_of(group), &Feature::name);
  const bool may_lack = group == HookGroup::Creation && forbids_functions();
  return at == loaded.features.end() || at->present ||
         (!may_lack && group != HookGroup::Sweep && group != HookGroup::Clock);
}

TEST(Loader, AttachesEveryCgroupHookAtTheRootAndPinsItsLink) {
  const PrivateInstance at("attach");
  const Result<Loaded> loaded = load(at.get(), small_settings());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_FALSE(loaded.value().upgraded);
  const Fd root = at.root().open();
  for (const Hook& hook : hooks) {
    EXPECT_EQ(exists(at.pin(hook.pin)), has(*loaded, hook.group)) << hook.pin;
    if (hook.kind != Hook::Kind::Cgroup) continue;
    const Result<Attachments> there = attachments_at(root.get(), hook.attach_type);
    ASSERT_TRUE(there.ok());
    EXPECT_EQ(there.value().program_ids, std::vector<std::uint32_t>{program_of_link(at.pin(hook.pin))}) << hook.program;
  }
}

TEST(Loader, PinsMapsThatTheLibraryOpens) {
  const PrivateInstance at("maps");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Result<PinDirectory> directory = PinDirectory::open(at.get().pin_dir);
  ASSERT_TRUE(directory.ok());
  Result<std::unique_ptr<KernelTables>> tables = KernelTables::open(*directory, KernelTables::Access::ReadWrite);
  ASSERT_TRUE(tables.ok()) << tables.error().message();
  EXPECT_EQ((*tables)->rules().size(), 1024u);
  EXPECT_EQ((*tables)->control().epoch, 1u);
  EXPECT_EQ((*tables)->control().next_id, 1u);
  EXPECT_EQ((*tables)->control().next_node, 2u);
  EXPECT_EQ((*tables)->control().trial_deadline, EGRESS_FOREVER);
  const Result<std::optional<egress_binding>> root = (*tables)->bindings().get((*tables)->meta().root_id);
  ASSERT_TRUE(root.ok());
  ASSERT_TRUE(root.value().has_value());
  EXPECT_EQ(root.value()->node, unsigned{EGRESS_NODE_ROOT});
}

TEST(Loader, KeepsLinksAndMapsButReplacesProgramsWhenLoadedAgain) {
  const PrivateInstance at("again");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const std::uint32_t link = link_id(at.pin("link_egress_skb"));
  const std::uint32_t program = program_of_link(at.pin("link_egress_skb"));
  const std::uint32_t mkdir_link = link_id(at.pin("link_mkdir"));
  const Result<Loaded> again = load(at.get(), small_settings());
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE(again.value().upgraded);
  EXPECT_EQ(link_id(at.pin("link_egress_skb")), link);
  EXPECT_NE(program_of_link(at.pin("link_egress_skb")), program);
  EXPECT_NE(link_id(at.pin("link_mkdir")), mkdir_link) << "tracing links cannot be updated: a new one takes the place";
  EXPECT_FALSE(exists(at.pin("link_mkdir_new")));
}

TEST(Loader, KeepsRulesAndCountersWhenLoadedAgain) {
  const PrivateInstance at("keep");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Fd before(bpf_obj_get(at.pin("policy_names").c_str()));
  const std::uint32_t key = 0x1234;
  egress_text text{"kept"};
  ASSERT_EQ(bpf_map_update_elem(before.get(), &key, &text, BPF_ANY), 0);
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Fd after(bpf_obj_get(at.pin("policy_names").c_str()));
  egress_text found{};
  ASSERT_EQ(bpf_map_lookup_elem(after.get(), &key, &found), 0);
  EXPECT_STREQ(found.text, "kept");
}

TEST(Loader, RefusesAnotherSizeAndKeepsTheOldProgram) {
  const PrivateInstance at("size");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const std::uint32_t program = program_of_link(at.pin("link_egress_skb"));
  const Result<Loaded> other = load(at.get(), LoadSettings{.max_rules = 2048});
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message().find("loaded for 1024 rules"), std::string::npos) << other.error().message();
  EXPECT_EQ(program_of_link(at.pin("link_egress_skb")), program);
}

TEST(Loader, SizesTheTemplatesMapsByThemselves) {
  const PrivateInstance at("map-size");
  const auto entries = [&at](const char* map) {
    const Fd pin(bpf_obj_get(at.pin(map).c_str()));
    const Result<MapInfo> info = map_info(pin.get());
    return info ? info->max_entries : 0;
  };
  ASSERT_TRUE(load(at.get(), LoadSettings{.max_rules = 1024, .max_map_rules = 16}).ok());
  EXPECT_EQ(entries("drop_configs"), 16u);
  EXPECT_EQ(entries("cgroup_rules"), 16u);
  EXPECT_EQ(entries("rules"), 1024u);
  const Result<Loaded> other = load(at.get(), LoadSettings{.max_rules = {}, .max_map_rules = 17});
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message().find("loaded for 16 rules of other tools, not 17"), std::string::npos)
      << other.error().message();
  EXPECT_TRUE(load(at.get(), LoadSettings{.max_rules = {}, .max_map_rules = 16}).ok());
  EXPECT_TRUE(load(at.get(), LoadSettings{}).ok());
}

TEST(Loader, KeepsTheSizeThereIsWhenNoneIsNamed) {
  const PrivateInstance at("same-size");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Result<Loaded> again = load(at.get(), LoadSettings{});
  ASSERT_TRUE(again.ok()) << again.error().message();
  const auto directory = PinDirectory::open(at.get().pin_dir);
  const auto tables = KernelTables::open(*directory, KernelTables::Access::Read);
  ASSERT_TRUE(tables.ok()) << tables.error().message();
  EXPECT_EQ((*tables)->rules().size(), *small_settings().max_rules);
}

TEST(Loader, RefusesAPinDirectoryInUseForAnotherRoot) {
  const PrivateInstance at("root");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const test::PrivateCgroup other("other");
  const Result<Loaded> loaded = load(Instance{at.get().pin_dir, other.directory()}, small_settings());
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message().find("in use for the cgroup root"), std::string::npos) << loaded.error().message();
}

TEST(Loader, AttachesAgainToTheSameMapsWhenLinksWereRemoved) {
  const PrivateInstance at("links");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  for (const Hook& hook : hooks) ::unlink(at.pin(hook.pin).c_str());
  const Fd before(bpf_obj_get(at.pin("control").c_str()));
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const Fd after(bpf_obj_get(at.pin("control").c_str()));
  EXPECT_EQ(map_info(before.get()).value().id, map_info(after.get()).value().id);
  EXPECT_TRUE(exists(at.pin("link_egress_skb")));
}

TEST(Loader, StartsAnewWhenALoaderWasKilledBeforeMetaWasPinned) {
  const PrivateInstance at("killed");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  for (const Hook& hook : hooks) ::unlink(at.pin(hook.pin).c_str());
  ::unlink(at.pin("meta").c_str());
  ::unlink(at.pin("shapes").c_str());
  const Result<Loaded> loaded = load(at.get(), small_settings());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_TRUE(exists(at.pin("meta")));
  EXPECT_TRUE(exists(at.pin("shapes")));
}

TEST(Loader, PinsAgainWhatIsAttachedWhenThePinDirectoryIsMountedOver) {
  const PrivateInstance at("over");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const std::uint32_t link = link_id(at.pin("link_egress_skb"));
  const std::string point = at.bpffs().directory();
  ASSERT_EQ(::mount("bpf", point.c_str(), "bpf", 0, "mode=0755"), 0);
  const Result<Loaded> again = load(at.get(), small_settings());
  const std::uint32_t seen = link_id(at.pin("link_egress_skb"));
  ASSERT_TRUE(unload(at.get()).ok());
  ASSERT_EQ(::umount2(point.c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(seen, link);
}

TEST(Loader, LeavesNothingBehindWhenAHookCannotBeAttached) {
  const PrivateInstance at("full");
  const Fd root = at.root().open();
  const Fd foreign = pass_program(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG);
  std::vector<Link> links;
  for (int i = 0; i < 64; ++i) {
    Result<Link> link = Link::attach_cgroup(foreign.get(), root.get(), BPF_CGROUP_UDP6_SENDMSG);
    ASSERT_TRUE(link.ok()) << link.error().message();
    links.push_back(std::move(*link));
  }
  const Result<Loaded> loaded = load(at.get(), small_settings());
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message().find("64 programs on this cgroup already"), std::string::npos)
      << loaded.error().message();
  EXPECT_FALSE(exists(at.get().pin_dir));
  EXPECT_TRUE(attachments_at(root.get(), BPF_CGROUP_INET_EGRESS).value().program_ids.empty());
}

TEST(Loader, GoesBackToTheOldProgramsWhenAnUpgradeFailsHalfWay) {
  const PrivateInstance at("back");
  ASSERT_TRUE(load(at.get(), small_settings()).ok());
  const std::uint32_t program = program_of_link(at.pin("link_egress_skb"));
  const Fd root = at.root().open();
  {
    const Link link(Fd(bpf_obj_get(at.pin("link_sendmsg6").c_str())));
    ASSERT_TRUE(link.detach().ok());
  }
  const Fd foreign = pass_program(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG);
  std::vector<Link> links;
  for (int i = 0; i < 64; ++i) {
    Result<Link> link = Link::attach_cgroup(foreign.get(), root.get(), BPF_CGROUP_UDP6_SENDMSG);
    ASSERT_TRUE(link.ok()) << link.error().message();
    links.push_back(std::move(*link));
  }
  ASSERT_FALSE(load(at.get(), small_settings()).ok());
  EXPECT_EQ(program_of_link(at.pin("link_egress_skb")), program);
  EXPECT_TRUE(exists(at.pin("link_mkdir")));
}

TEST(Loader, BringsNoRuleBackThatWasUnloaded) {
  const PrivateInstance at("fresh");
  for (int round = 0; round < 8; ++round) {
    ASSERT_TRUE(load(at.get(), small_settings()).ok());
    const Fd map(bpf_obj_get(at.pin("policy_names").c_str()));
    const std::uint32_t key = 0x1234;
    egress_text text{};
    ASSERT_NE(bpf_map_lookup_elem(map.get(), &key, &text), 0) << "round " << round;
    ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &text, BPF_ANY), 0);
    ASSERT_TRUE(unload(at.get()).ok());
  }
}

TEST(Loader, RefusesSizesOutOfRange) {
  const PrivateInstance at("range");
  EXPECT_EQ(load(at.get(), LoadSettings{.max_rules = 0}).error().kind, ErrorKind::Usage);
  EXPECT_EQ(load(at.get(), LoadSettings{.max_rules = (1u << 24) + 1}).error().kind, ErrorKind::Usage);
  EXPECT_EQ(load(at.get(), LoadSettings{.max_rules = {}, .max_map_rules = 0}).error().kind, ErrorKind::Usage);
  EXPECT_FALSE(exists(at.get().pin_dir));
}

// libbpf asks the kernel whether it takes names, and takes any failure of that question for a no.
TEST(Program, H5WithoutItsNameIsNotTakenForLoaded) {
  const Fd foreign = pass_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
  EXPECT_TRUE(require_name(foreign.get(), "foreign").ok());
  EXPECT_FALSE(require_name(foreign.get(), "egress_skb").ok());
  EXPECT_FALSE(require_name(foreign.get(), "").ok());
}

TEST(Link, NamesTheForeignProgramThatForbidsOthers) {
  const PrivateInstance at("blocked");
  const Fd root = at.root().open();
  const Fd foreign = pass_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
  ASSERT_EQ(bpf_prog_attach(foreign.get(), root.get(), BPF_CGROUP_INET_EGRESS, 0), 0);
  const std::uint32_t id = program_info(foreign.get()).value().id;
  const Result<Link> link = Link::attach_cgroup(foreign.get(), root.get(), BPF_CGROUP_INET_EGRESS);
  ASSERT_EQ(bpf_prog_detach2(foreign.get(), root.get(), BPF_CGROUP_INET_EGRESS), 0);
  ASSERT_FALSE(link.ok());
  const std::string wanted = "program " + std::to_string(id) + " (foreign) on " + at.root().directory();
  EXPECT_NE(link.error().message().find(wanted), std::string::npos) << link.error().message();
}

TEST(Link, SaysThatADirectoryIsNotOfCgroupV2) {
  const Fd foreign = pass_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
  const Fd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Result<Link> link = Link::attach_cgroup(foreign.get(), directory.get(), BPF_CGROUP_INET_EGRESS);
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.error().cause, "not a cgroup v2 directory");
}

TEST(Privileges, NamesTheCapabilitiesThatAreMissing) {
  const std::uint64_t all = ~0ull;
  EXPECT_TRUE(missing_capabilities(all).empty());
  EXPECT_EQ(missing_capabilities(0),
            (std::vector<std::string>{"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"}));
  EXPECT_EQ(missing_capabilities(all & ~(1ull << 12)), std::vector<std::string>{"CAP_NET_ADMIN"});
  EXPECT_TRUE(missing_capabilities(1ull << 21 | 1ull << 12).empty()) << "CAP_SYS_ADMIN implies CAP_BPF and CAP_PERFMON";
}

TEST(ObjectLog, TellsTheLastWordsOfTheVerifier) {
  EXPECT_EQ(reason_in_log("libbpf: prog 'egress_arm': BPF program load failed: Invalid argument\n"
                          "libbpf: prog 'egress_arm': -- BEGIN PROG LOAD LOG --\n"
                          "0: (b7) r0 = 0\nunknown func bpf_timer_init#169\n"
                          "processed 7 insns (limit 1000000)\n-- END PROG LOAD LOG --\n"
                          "libbpf: prog 'egress_arm': failed to load: -22\n"),
            "prog 'egress_arm': BPF program load failed: Invalid argument: unknown func bpf_timer_init#169");
  EXPECT_EQ(reason_in_log(""), "");
}

}  // namespace
}  // namespace egress
