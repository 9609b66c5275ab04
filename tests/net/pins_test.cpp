// SPDX-License-Identifier: GPL-2.0
// Pins that are lost, hidden, forged or of another version; names that no pin could bear.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "support/net_test.hpp"
#include "support/pinned_map.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

class Pins : public NetTest {
 protected:
  void load_with_a_rule() {
    actor_ = std::make_unique<Actor>(lab().actor("/a"));
    (void)added("drop cgroup /a to 203.0.113.7");
    ASSERT_TRUE(drops());
  }
  [[nodiscard]] bool drops() const { return actor_->try_udp(forbidden) == EPERM; }
  [[nodiscard]] std::string bpffs() const { return lab().directory() + "/bpf"; }
  [[nodiscard]] std::string pin(const char* name) const { return lab().pin_dir() + "/" + name; }

  /// `status` of an instance whose packets pass.
  void expect_not_enforcing(const char* finding) const {
    const Outcome status = lab().egress("status -o json");
    EXPECT_EQ(status.status, 1) << status.text();
    EXPECT_EQ(status.json()["enforcing"], false) << status.text();
    EXPECT_NE(status.json()["findings"].dump().find(finding), std::string::npos) << status.text();
  }
  /// The command with another pin directory.
  [[nodiscard]] Outcome at(const std::string& pin_dir, const char* line) const {
    return lab().egress(words_of("--pin-dir " + pin_dir + " " + line));
  }
  void expect_refused(const std::string& pin_dir, const std::string& part) const {
    for (const char* line : {"load", "drop cgroup /a to 203.0.113.7"}) {
      const Outcome outcome = at(pin_dir, line);
      EXPECT_EQ(outcome.status, 6) << outcome.text();
      EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    }
    EXPECT_EQ(lab().actor("/a").try_udp(forbidden), 0);
  }
  std::unique_ptr<Actor> actor_;
};

TEST_F(Pins, J1WithoutItsBpffsTheFilterIsOffAndStatusSaysSo) {
  load_with_a_rule();
  ASSERT_EQ(umount2(bpffs().c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(eventually(5s, [&] { return !drops(); }));
  expect_not_enforcing("not-loaded");
  ASSERT_EQ(mount("bpf", bpffs().c_str(), "bpf", 0, "mode=0700"), 0);
  (void)done("load");
  EXPECT_EQ(lab().list().size(), 0U) << "the rules went with the bpffs";
  (void)done("drop cgroup /a to 203.0.113.7");
  EXPECT_TRUE(drops());
}

TEST_F(Pins, J2WithoutTheLinksPinTheFilterIsOffAndALoadBringsTheRulesBack) {
  load_with_a_rule();
  ASSERT_EQ(unlink(pin("link_egress_skb").c_str()), 0);
  ASSERT_TRUE(eventually(5s, [&] { return !drops(); }));
  expect_not_enforcing("link-missing");
  (void)done("load");
  EXPECT_TRUE(drops());
  EXPECT_EQ(done("status -o json").json()["enforcing"], true);
  EXPECT_EQ(lab().list().size(), 1U);
}

TEST_F(Pins, J3HiddenByAMountTheFilterIsSeenAndTakenOffById) {
  load_with_a_rule();
  ASSERT_EQ(mount("bpf", bpffs().c_str(), "bpf", 0, "mode=0700"), 0);
  EXPECT_TRUE(drops());
  const Outcome status = lab().egress("status -o json");
  EXPECT_EQ(status.status, 0) << status.text();
  EXPECT_EQ(status.json()["enforcing"], true) << status.text();
  EXPECT_NE(status.json()["findings"].dump().find("pins-hidden"), std::string::npos) << status.text();
  const Outcome listing = lab().egress("ls");
  EXPECT_NE(listing.status, 0) << "no rules, it says: " << listing.text();
  (void)done("unload");
  EXPECT_FALSE(drops());
  expect_not_enforcing("not-loaded");
  ASSERT_EQ(umount(bpffs().c_str()), 0);
  EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "hidden pins stayed";
}

TEST_F(Pins, J3ALoadPinsAgainWhatIsHidden) {
  load_with_a_rule();
  ASSERT_EQ(mount("bpf", bpffs().c_str(), "bpf", 0, "mode=0700"), 0);
  (void)done("load");
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_TRUE(drops());
  (void)done("rm --all");
  EXPECT_FALSE(drops());
  (void)done("unload");
  ASSERT_EQ(umount(bpffs().c_str()), 0);
}

TEST_F(Pins, J4APinDirectoryThatSomebodyElseMayWriteIsRefused) {
  lab().make_cgroup("/a");
  ASSERT_EQ(chmod(bpffs().c_str(), 01777), 0);
  ASSERT_EQ(mkdir((bpffs() + "/theirs").c_str(), 0700), 0);
  ASSERT_EQ(chown((bpffs() + "/theirs").c_str(), nobody, nobody), 0);
  ASSERT_EQ(symlink("theirs", (bpffs() + "/link").c_str()), 0);
  ASSERT_EQ(mkdir((bpffs() + "/open").c_str(), 0700), 0);
  ASSERT_EQ(chmod((bpffs() + "/open").c_str(), 0755), 0);
  expect_refused(bpffs() + "/theirs", "owned by uid 65534 instead of root");
  expect_refused(bpffs() + "/theirs/below", "is not owned by root");
  expect_refused(bpffs() + "/link", "is a symbolic link");
  expect_refused(bpffs() + "/link/below", "is a symbolic link");
  expect_refused(bpffs() + "/open", "its mode is 0755 instead of 0700");
  expect_refused(lab().directory() + "/nowhere", "bpffs");
  (void)done("load");  // its own directory in the same 1777 bpffs: only its owner may take it away there
  ASSERT_EQ(chmod(bpffs().c_str(), 0777), 0);
  const Outcome shared = lab().egress("drop cgroup /a to 203.0.113.7");
  EXPECT_EQ(shared.status, 6) << shared.text();
  EXPECT_NE(shared.err.find("others may rename"), std::string::npos) << shared.err;
}

TEST_F(Pins, J5CgroupNamesWithDotsAreNamesLikeOthers) {
  for (const char* name : {"foo.service", "docker-0123456789abcdef.scope", "..a", ".hidden", "a..b"}) {
    SCOPED_TRACE(name);
    const std::string path = "/x.slice/" + std::string(name);
    (void)done("drop cgroup " + path + " to 203.0.113.7");
    (void)done("drop unit " + std::string(name) + " to 203.0.113.8");
    const Actor actor = lab().actor(path);
    EXPECT_EQ(actor.try_udp(forbidden), EPERM);
    EXPECT_EQ(actor.try_udp({"203.0.113.8", 7}), EPERM);
    EXPECT_EQ(lab().list().size(), 2U);
    (void)done("rm --all");
  }
}

// J8, K3: what a cgroup may be called and what a reason may hold reaches no terminal as it is.
TEST_F(Pins, J8OddNamesAndReasonsAreEscapedInTextAndJson) {
  const std::string longest(255, 'n');
  const std::string names[] = {"\x1b[2J",  "\"quoted\"", "back\\slash", "\xff\xfe",   "tab\there",
                               "{\"a\":1", longest,      "\xc3\xa9 b",  "a (deleted)"};
  for (const std::string& name : names) {
    const std::string path = "/" + name;
    const Outcome outcome =
        lab().egress({"drop", "cgroup", path, "to", "203.0.113.7", "--reason", "\x1b]0;x\x07 {\"a\":1\n\xff"});
    SCOPED_TRACE(outcome.text());
    ASSERT_EQ(outcome.status, 0);
    const Actor actor = lab().actor(path);
    EXPECT_EQ(actor.try_udp(forbidden), EPERM);
    for (const Words& words : {Words{"ls"}, Words{"ls", "-o", "json"}, Words{"explain", "cgroup", path, "203.0.113.7"},
                               Words{"export"}, Words{"status"}, Words{"doctor"}}) {
      const Outcome said = lab().egress(words);
      for (const char c : said.out + said.err) {
        const auto byte = static_cast<unsigned char>(c);
        ASSERT_TRUE(c == '\n' || (byte >= 0x20 && byte != 0x7f)) << words.front() << ": " << said.text();
      }
    }
    const nlohmann::json rules = lab().list();  // an empty array unless it is valid JSON
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0]["packets"], 1);
    const Outcome removed = lab().egress({"rm", "cgroup", path});
    EXPECT_EQ(removed.status, 0) << removed.text();
    EXPECT_EQ(removed.out.find('\x1b'), std::string::npos);
  }
}

/// Puts a changed copy of `meta` in the place of its pin.
void forge_meta(const std::string& path, void (*change)(egress_meta&)) {
  const PinnedMap pinned(path);
  auto meta = pinned.lookup<egress_meta>(std::uint32_t{0});
  require(meta.has_value(), "read meta");
  change(*meta);
  const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "meta", 4, sizeof(egress_meta), 1, nullptr);
  const std::uint32_t key = 0;
  require(map >= 0 && bpf_map_update_elem(map, &key, &*meta, 0) == 0, "forge meta");
  require(unlink(path.c_str()) == 0 && bpf_obj_pin(map, path.c_str()) == 0, "pin forged meta");
  close(map);
}

TEST_F(Pins, J10PinsOfAnotherVersionAreRefusedAndKeepEnforcing) {
  struct Forgery {
    const char* name;
    void (*change)(egress_meta&);
  };
  const Forgery forgeries[] = {{"abi", [](egress_meta& meta) { meta.abi += 1; }},
                               {"layout", [](egress_meta& meta) { meta.layout ^= 1; }},
                               {"magic", [](egress_meta& meta) { meta.magic ^= 1; }}};
  for (const Forgery& forgery : forgeries) {
    SCOPED_TRACE(forgery.name);
    load_with_a_rule();
    forge_meta(pin("meta"), forgery.change);
    for (const char* line : {"drop cgroup /a to 203.0.113.8", "rm --all", "load", "ls"}) {
      const Outcome outcome = lab().egress(std::string(line));
      EXPECT_EQ(outcome.status, 1) << line << "\n" << outcome.text();
      EXPECT_NE(outcome.err.find("pins are of another version"), std::string::npos) << outcome.text();
    }
    EXPECT_TRUE(drops());
    (void)done("unload");
    EXPECT_FALSE(drops());
  }
}

TEST_F(Pins, J10AMapOfAnotherShapeIsRefusedAndKeepsEnforcing) {
  load_with_a_rule();
  const int map = bpf_map_create(BPF_MAP_TYPE_HASH, "names", 8, 8, 64, nullptr);
  ASSERT_GE(map, 0);
  ASSERT_EQ(unlink(pin("names").c_str()), 0);
  ASSERT_EQ(bpf_obj_pin(map, pin("names").c_str()), 0);
  close(map);
  for (const char* line : {"drop cgroup /a to 203.0.113.8", "load"}) {
    const Outcome outcome = lab().egress(std::string(line));
    EXPECT_EQ(outcome.status, 1) << outcome.text();
    EXPECT_NE(outcome.err.find("map 'names'"), std::string::npos) << outcome.text();
  }
  EXPECT_TRUE(drops());
  (void)done("unload");
  EXPECT_FALSE(drops());
}

TEST_F(Pins, InstancesOnNestedRootsKeepApart) {
  load_with_a_rule();
  const std::string inner = lab().make_cgroup("/a/inner");
  const std::string options = "--cgroup-root " + inner + " ";
  const std::string pins = bpffs() + "/second";
  EXPECT_EQ(at(pins, (options + "drop cgroup /b to 203.0.113.8").c_str()).status, 0);
  const Actor actor = lab().actor("/a/inner/b");
  EXPECT_EQ(actor.try_udp(forbidden), EPERM) << "by the outer";
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 7}), EPERM) << "by the inner";
  EXPECT_EQ(lab().list().size(), 1U);
  EXPECT_EQ(at(pins, (options + "ls -o json").c_str()).json().size(), 1U);
  (void)done("unload");
  EXPECT_EQ(actor.try_udp(forbidden), 0);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 7}), EPERM);
  EXPECT_EQ(at(pins, (options + "unload").c_str()).status, 0);
  EXPECT_EQ(actor.try_udp({"203.0.113.8", 7}), 0);
}

TEST_F(Pins, M4UnloadAsksNobody) {
  load_with_a_rule();
  // Somebody holds the lock and a link for ever, the directory is not to be trusted, and two pins are gone.
  const int link = bpf_obj_get(pin("link_egress_skb").c_str());
  ASSERT_GE(link, 0);
  const int lock = open(lab().pin_dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  ASSERT_EQ(unlink(pin("meta").c_str()), 0);
  ASSERT_EQ(unlink(pin("rules").c_str()), 0);
  ASSERT_EQ(chown(lab().pin_dir().c_str(), nobody, nobody), 0);
  ASSERT_EQ(chmod(lab().pin_dir().c_str(), 0), 0);
  const Outcome outcome = Running(lab().invocation({"unload", "--force"})).finish(10s);
  EXPECT_EQ(outcome.status, 0) << outcome.text();
  EXPECT_FALSE(drops());
  EXPECT_NE(access(lab().pin_dir().c_str(), F_OK), 0) << "the pin directory stayed";
  close(lock);
  close(link);
  EXPECT_TRUE(eventually(5s, [&] { return lab().egress("unload").status == 3; }));
  EXPECT_EQ(lab().egress("unload --force").status, 0);
  (void)done("drop cgroup /a to 203.0.113.7");
  EXPECT_TRUE(drops());
}

TEST_F(Pins, AnUnloadWaitsForACommandAtWork) {
  load_with_a_rule();
  const int lock = open(lab().pin_dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  const auto begin = std::chrono::steady_clock::now();
  Running unload(lab().invocation({"unload", "--force"}));
  while (std::chrono::steady_clock::now() - begin < 300ms) {
    const bool dropped = drops();
    if (std::chrono::steady_clock::now() - begin > 1s) break;  // it does not wait for ever
    EXPECT_TRUE(dropped);
  }
  close(lock);
  EXPECT_EQ(unload.finish().status, 0);
  EXPECT_FALSE(drops());
}

}  // namespace
}  // namespace egress::test
