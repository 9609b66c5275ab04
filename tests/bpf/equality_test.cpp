// SPDX-License-Identifier: GPL-2.0
// Two judges: the reference (core/parse_packet, core/evaluate) against the datapath in the kernel, on random
// rule sets and random packets: the same verdicts, the same counters of every rule, the same totals. (C7: test runs are
// for the packet and XDP programs alone; connect and sendmsg meet real sockets in tests/net.)
//
//   EGRESS_TEST_SEED=N      repeats the round that failed, and only that
//   EGRESS_TEST_SCALE=N     rounds of 2000 packets each (default 100); "full" compares more than a million pairs
//
// What differs is made small before it is told: one packet, and the fewest rules with which it still differs.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "bpf/private_instance.hpp"
#include "bpf/random_traffic.hpp"
#include "core/evaluate.hpp"
#include "engine/engine.hpp"
#include "engine/explain.hpp"
#include "engine/index.hpp"
#include "engine/records.hpp"
#include "sys/bpf_map.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/kernel_world.hpp"
#include "sys/network_namespaces.hpp"
#include "sys/strict_program.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

constexpr int packets_of_round = 2000;
constexpr std::uint64_t rounds_by_default = 100, rounds_in_full = 600;
constexpr auto until_short_rules_are_over = 60ms;  // they live 1 ms; and the datapath has seen another tick

std::uint64_t seed_given() {
  const char* text = std::getenv("EGRESS_TEST_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 0;
}

std::uint64_t rounds_wanted() {
  const char* text = std::getenv("EGRESS_TEST_SCALE");
  if (!text) return rounds_by_default;
  return std::strcmp(text, "full") == 0 ? rounds_in_full : std::strtoull(text, nullptr, 10);
}

/// Rules for a process in `leaf`, and entries of other tools.
struct Plan {
  std::string leaf;
  std::vector<PlannedRule> rules;
  std::vector<PlannedDoor> doors;
};

/// What judging leaves behind: counters by their key in `counters`, and the totals.
struct Tally {
  std::map<std::uint64_t, Counts> counters;
  drop_stats totals{};
  std::uint64_t malformed = 0;
  std::uint64_t source_routed = 0;
};

/// The difference that `after` makes to `before`.
Tally operator-(Tally after, const Tally& before) {
  for (auto& [key, counts] : after.counters) {
    const auto found = before.counters.find(key);
    if (found == before.counters.end()) continue;
    counts.packets -= found->second.packets;
    counts.bytes -= found->second.bytes;
  }
  after.totals.packets_dropped -= before.totals.packets_dropped;
  after.totals.packets_processed -= before.totals.packets_processed;
  after.totals.bytes_dropped -= before.totals.bytes_dropped;
  after.malformed -= before.malformed;
  after.source_routed -= before.source_routed;
  return after;
}

std::string text_of(const Tally& tally) {
  std::string text =
      fmt::format("dropped {} of {} packets, {} bytes; malformed {}, source-routed {}", tally.totals.packets_dropped,
                  tally.totals.packets_processed, tally.totals.bytes_dropped, tally.malformed, tally.source_routed);
  for (const auto& [key, counts] : tally.counters) {
    if (counts.packets == 0 && counts.bytes == 0) continue;
    text += fmt::format("; {} {}: {} packets, {} bytes", key & EGRESS_COUNTER_DOOR ? "door" : "rule",
                        static_cast<std::uint32_t>(key), counts.packets, counts.bytes);
  }
  return text;
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte each : bytes) text += fmt::format("{:02x}", std::to_integer<int>(each));
  return text;
}

/// What the kernel makes of skb->protocol: another IP version than the header's cannot be read.
Flow flow_of(const Frame& frame) {
  const int version = std::to_integer<int>(frame.packet[0]) >> 4;
  const bool as_told = (frame.ethertype == 0x0800 && version == 4) || (frame.ethertype == 0x86DD && version == 6);
  if (as_told) return parse_packet(frame.packet);
  Flow flow;
  flow.malformed = true;
  return flow;
}

/// Layer 3 bytes on the wire: each segment repeats the headers.
std::uint64_t wire_bytes(const Frame& frame, const Flow& flow) {
  const std::uint64_t length = frame.packet.size();
  if (frame.segments == 1) return length;
  const bool v6 = flow.destination.family == Family::V6;
  const std::size_t l3 = v6 ? 40u : (std::to_integer<unsigned>(frame.packet[0]) & 0xFu) * 4;
  std::size_t l4 = 8;
  if (flow.protocol == protocol::tcp) {
    if (frame.packet.size() <= l3 + 12) return length;
    l4 = (std::to_integer<unsigned>(frame.packet[l3 + 12]) >> 4) * 4;
  }
  return length + (frame.segments - 1) * (l3 + l4);
}

/// The reference: rules as a snapshot of the instance tells them, by names.
class Reference {
 public:
  Reference(Snapshot snapshot, const World& world, const std::string& leaf)
      : snapshot_(std::move(snapshot)), sets_(judged_sets(snapshot_, world, leaf)) {}

  /// Whether it drops; adds what it counts.
  bool judge(const Frame& frame, Tally& tally) const {
    const Flow flow = flow_of(frame);
    const Counts amount{.packets = frame.segments, .bytes = wire_bytes(frame, flow), .denied = 0};
    tally.totals.packets_processed += frame.segments;
    const bool drops = count_rules(flow, amount, tally);
    if (!drops) return false;
    tally.totals.packets_dropped += amount.packets;
    tally.totals.bytes_dropped += amount.bytes;
    return true;
  }

  [[nodiscard]] std::vector<std::uint64_t> counter_keys() const {
    std::vector<std::uint64_t> keys;
    for (const OwnSet& set : snapshot_.sets) {
      for (const Rule& rule : set.rules) keys.push_back(EGRESS_COUNTER_RULE | static_cast<std::uint32_t>(rule.id));
    }
    for (const DoorEntry& door : snapshot_.doors) keys.push_back(EGRESS_COUNTER_DOOR | door.key);
    return keys;
  }

  [[nodiscard]] std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      for (const Rule& rule : sets_[i].rules) {
        text += fmt::format("  set {} rule {}: {} {} to {}{}{}\n", i, static_cast<std::uint32_t>(rule.id),
                            format(rule.action), format(rule.subject), format(rule.destination),
                            rule.include_nd ? " include-nd" : "", rule.expires_at ? " ends" : "");
      }
    }
    return text;
  }

 private:
  bool count_rules(const Flow& flow, const Counts& amount, Tally& tally) const {
    const Judgement all = evaluate(sets_, flow, snapshot_.now);
    const bool drops = all.verdict != Judgement::Verdict::Pass;
    if (drops && !all.rule) ++(flow.malformed ? tally.malformed : tally.source_routed);
    if (flow.malformed || (drops && !all.rule)) return drops;
    // Every set that says something counts, not only the one that `all` tells about.
    for (const JudgedSet& set : sets_) {
      const Judgement here = evaluate(std::span(&set, 1), flow, snapshot_.now);
      for (const RuleId id : here.audits) count(Rule::Origin::Command, id, amount, tally);
      if (here.rule) count(here.origin, *here.rule, amount, tally);
      if (here.verdict != Judgement::Verdict::Pass) return true;
    }
    return false;
  }

  void count(Rule::Origin origin, RuleId id, const Counts& amount, Tally& tally) const {
    std::uint64_t key = EGRESS_COUNTER_RULE | static_cast<std::uint32_t>(id);
    if (origin == Rule::Origin::Map) key = EGRESS_COUNTER_DOOR | snapshot_.find_door(id)->key;
    tally.counters[key].packets += amount.packets;
    tally.counters[key].bytes += amount.bytes;
  }

  Snapshot snapshot_;
  std::vector<JudgedSet> sets_;
};

constexpr std::array depths{"/a", "/a/b", "/a/b/c", "/a/b/c/d"};

/// An instance with the cgroups /a to /a/b/c/d. The kernel gives test packets the cgroup of their caller, so the
/// test goes where the packets are to come from.
class Judges : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream self("/proc/self/cgroup");
    for (std::string line; std::getline(self, line);) {
      if (line.starts_with("0::")) home_ = cgroup2_mount() + line.substr(3);
    }
    for (const char* path : depths) ASSERT_EQ(::mkdir((root() + path).c_str(), 0755), 0) << path;
    auto loaded = Filter::load(instance_.get(), small_settings());
    ASSERT_TRUE(loaded) << loaded.error().message();
    auto pins = PinDirectory::open(instance_.get().pin_dir);
    ASSERT_TRUE(pins);
    auto tables = KernelTables::open(*pins, KernelTables::Access::ReadWrite);
    ASSERT_TRUE(tables) << tables.error().message();
    tables_ = std::move(*tables);
    auto tree = CgroupTree::open(root());
    ASSERT_TRUE(tree);
    world_ = std::make_unique<KernelWorld>(std::move(*tree), Fd(), tables_->control());
    engine_ = std::make_unique<Engine>(*tables_, *world_);
    program_ = Fd(program_of_link());
    ASSERT_TRUE(program_.valid());
  }
  void TearDown() override {
    EXPECT_TRUE(enter(home_));
    for (auto path = depths.rbegin(); path != depths.rend(); ++path) ::rmdir((root() + *path).c_str());
  }

  [[nodiscard]] const std::string& root() const { return instance_.root().directory(); }
  [[nodiscard]] static bool enter(const std::string& directory) {
    std::ofstream procs(directory + "/cgroup.procs");
    procs << ::getpid() << std::flush;
    return procs.good();
  }
  [[nodiscard]] int program_of_link() const {
    const Fd link(bpf_obj_get(instance_.pin("link_egress_skb").c_str()));
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(link.get(), &info, &size) != 0) return -1;
    return bpf_prog_get_fd_by_id(info.prog_id);
  }

  /// 0 drops, 1 passes; nullopt if the kernel does not take such a packet for a test.
  [[nodiscard]] std::optional<int> kernel_says(const Frame& frame) const {
    std::vector<std::byte> bytes(14);  // an Ethernet header, which the program does not see
    bytes[12] = static_cast<std::byte>(frame.ethertype >> 8);
    bytes[13] = static_cast<std::byte>(frame.ethertype & 0xFF);
    bytes.insert(bytes.end(), frame.packet.begin(), frame.packet.end());
    __sk_buff context{};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes.data(),
                .data_size_in = static_cast<std::uint32_t>(bytes.size()), .repeat = 1);
    if (frame.segments > 1) {
      context.gso_segs = frame.segments;
      context.gso_size = 1;
      options.ctx_in = &context;
      options.ctx_size_in = sizeof context;
    }
    if (bpf_prog_test_run_opts(program_.get(), &options) != 0) return std::nullopt;
    return static_cast<int>(options.retval);
  }

  [[nodiscard]] Tally read_tally(const std::vector<std::uint64_t>& keys) const {
    Tally tally;
    for (const std::uint64_t key : keys) tally.counters[key] = *tables_->read_counter(key);
    tally.totals = *tables_->read_stats();
    const auto reasons = *tables_->read_reasons();
    tally.malformed = reasons[EGRESS_REASON_MALFORMED];
    tally.source_routed = reasons[EGRESS_REASON_SOURCE_ROUTE];
    return tally;
  }

  [[nodiscard]] Plan make_plan(RandomTraffic& random);
  void make_rules(const Plan& plan);
  void change_rules(const Plan& plan, const std::vector<std::optional<RuleId>>& ids);
  void write_doors(const Plan& plan);
  [[nodiscard]] Reference put_in_force(const Plan& plan);
  void take_off(const Plan& plan);
  [[nodiscard]] std::string difference(const Reference& reference, std::span<const Frame> frames);
  [[nodiscard]] std::string judge(const Plan& plan, std::span<const Frame> frames);
  [[nodiscard]] bool differs(const Plan& plan, const Frame& frame);
  [[nodiscard]] std::string smallest_failure(Plan plan, const std::vector<Frame>& frames);

  std::string home_;
  PrivateInstance instance_{"judges"};
  std::unique_ptr<KernelTables> tables_;
  std::unique_ptr<KernelWorld> world_;
  std::unique_ptr<Engine> engine_;
  Fd program_;
  std::string in_force_;  ///< rules of the last plan, for telling
  std::uint64_t compared_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t refused_ = 0;
};

Plan Judges::make_plan(RandomTraffic& random) {
  Plan plan{.leaf = depths[static_cast<std::size_t>(random.below(depths.size()))], .rules = {}, .doors = {}};
  const auto scope = [&] { return random.once_in(3) ? Subject::Scope::Only : Subject::Scope::Subtree; };
  // A few subjects with many rules: rules that never meet tell nothing. But one set with a rule or two is judged by
  // shorter ways.
  const bool simple = random.once_in(3);
  std::vector<Subject> subjects;
  for (int i = simple ? 1 : 1 + random.below(5); i > 0; --i) {
    const auto path = random.one_of<std::string>({"/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", plan.leaf, "/a/x"});
    const auto id = world_->cgroup_at(path);
    Subject subject{Subject::Kind::Path, path, scope()};
    if (random.once_in(3)) subject = {Subject::Kind::Unit, random.one_of<std::string>({"a", "b", "c", "d"}), scope()};
    if (id && random.once_in(3)) {
      subject = {Subject::Kind::Id, std::to_string(static_cast<std::uint64_t>(*id)), scope()};
    }
    subjects.push_back(subject);
  }
  using Fate = PlannedRule::Fate;
  for (int i = random.below(simple ? 3 : 40); i >= 0; --i) {
    PlannedRule rule{random.one_of(subjects), std::nullopt, random.rule(), Fate::Stays};
    if (!simple && random.once_in(3)) rule.policy = random.one_of<std::string>({"p", "q"});
    if (random.once_in(6)) rule.fate = random.one_of<Fate>({Fate::Removed, Fate::Shortened, Fate::Prolonged});
    plan.rules.push_back(std::move(rule));
  }
  const auto now = static_cast<std::uint64_t>(world_->now()->since_boot.count());
  for (const char* cgroup : {"/", "/a", "/a/b", "/a/b/c", "/a/b/c/d"}) {
    if (simple || !random.once_in(4)) continue;
    // Small keys are those of our rules, too.
    const auto key =
        static_cast<std::uint32_t>(random.once_in(2) ? 1 + random.below(200) : 900'000'000 + random.below(9));
    plan.doors.push_back({cgroup, key, random.door(now), random.once_in(10)});
  }
  return plan;
}

/// One addition for each subject and policy. A destination that stands there already is left out.
void Judges::make_rules(const Plan& plan) {
  std::map<std::pair<Subject, std::optional<std::string>>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    auto& group = groups[{plan.rules[i].subject, plan.rules[i].policy}];
    const bool twice = std::ranges::any_of(
        group, [&](std::size_t other) { return plan.rules[other].spec.destination == plan.rules[i].spec.destination; });
    if (!twice) group.push_back(i);
  }
  std::vector<std::optional<RuleId>> ids(plan.rules.size());
  for (const auto& [name, members] : groups) {
    Addition addition{.subject = name.first, .rules = {}, .policy = name.second, .replace = false};
    for (const std::size_t i : members) addition.rules.push_back(plan.rules[i].spec);
    const auto added = engine_->add(addition);
    ASSERT_TRUE(added) << added.error().message();
    for (std::size_t i = 0; i < members.size(); ++i) ids[members[i]] = (*added)[i];
  }
  change_rules(plan, ids);
}

void Judges::change_rules(const Plan& plan, const std::vector<std::optional<RuleId>>& ids) {
  Selection removed;
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    if (!ids[i] || plan.rules[i].spec.lifetime == Lifetime{1ms}) continue;  // over already
    const auto fate = plan.rules[i].fate;
    if (fate == PlannedRule::Fate::Removed) removed.ids.push_back(*ids[i]);
    if (fate == PlannedRule::Fate::Shortened) {
      ASSERT_TRUE(engine_->extend(*ids[i], 1ms));
    }
    if (fate == PlannedRule::Fate::Prolonged) {
      ASSERT_TRUE(engine_->extend(*ids[i], std::nullopt));
    }
  }
  if (!removed.ids.empty()) {
    ASSERT_TRUE(engine_->remove(removed));
  }
}

void Judges::write_doors(const Plan& plan) {
  for (const PlannedDoor& door : plan.doors) {
    const auto cgroup = static_cast<std::uint64_t>(*world_->cgroup_at(door.cgroup));
    drop_config config = door.config;
    if (!door.half_written) config.cgroup_id = cgroup;
    ASSERT_TRUE(tables_->drop_configs().put(door.key, config));
    ASSERT_TRUE(tables_->cgroup_rules().put(cgroup, door.key));
  }
}

Reference Judges::put_in_force(const Plan& plan) {
  EXPECT_TRUE(enter(root() + plan.leaf));
  make_rules(plan);
  write_doors(plan);
  std::this_thread::sleep_for(until_short_rules_are_over);
  auto snapshot = read_snapshot(*tables_, *world_, Detail::Verdict);
  require(snapshot.ok(), "read rules");
  Reference reference(std::move(*snapshot), *world_, plan.leaf);
  in_force_ = "packets of " + plan.leaf + "\n" + reference.text();
  return reference;
}

void Judges::take_off(const Plan& plan) {
  EXPECT_TRUE(engine_->remove({.ids = {}, .subject = std::nullopt, .policy = std::nullopt, .all = true}));
  for (const PlannedDoor& door : plan.doors) {  // those that match nothing are no rules
    (void)tables_->drop_configs().erase(door.key);
    (void)tables_->cgroup_rules().erase(static_cast<std::uint64_t>(*world_->cgroup_at(door.cgroup)));
    (void)tables_->erase_counter(EGRESS_COUNTER_DOOR | door.key);
  }
}

/// Empty if both judges say and count the same.
std::string Judges::difference(const Reference& reference, std::span<const Frame> frames) {
  const auto keys = reference.counter_keys();
  const Tally before = read_tally(keys);
  Tally expected;
  for (const std::uint64_t key : keys) expected.counters[key] = {};
  for (const Frame& frame : frames) {
    const auto verdict = kernel_says(frame);
    if (!verdict) {
      ++refused_;
      continue;
    }
    const bool drops = reference.judge(frame, expected);
    ++compared_;
    dropped_ += drops;
    if ((*verdict == 0) != drops) {
      return fmt::format("the datapath says {}, the reference {}\nreference: {}\n", *verdict == 0 ? "drop" : "pass",
                         drops ? "drop" : "pass", text_of(expected));
    }
  }
  const Tally found = read_tally(keys) - before;
  if (text_of(found) == text_of(expected)) return {};
  return "counted differently\ndatapath:  " + text_of(found) + "\nreference: " + text_of(expected) + "\n";
}

std::string Judges::judge(const Plan& plan, std::span<const Frame> frames) {
  const Reference reference = put_in_force(plan);
  std::string found = difference(reference, frames);
  if (found.empty()) take_off(plan);
  return found;
}

bool Judges::differs(const Plan& plan, const Frame& frame) {
  const bool found = !difference(put_in_force(plan), std::span(&frame, 1)).empty();
  take_off(plan);
  return found;
}

/// The rules of the plan are in force.
std::string Judges::smallest_failure(Plan plan, const std::vector<Frame>& frames) {
  const Reference reference(*read_snapshot(*tables_, *world_, Detail::Verdict), *world_, plan.leaf);
  const auto wrong = std::ranges::find_if(
      frames, [&](const Frame& frame) { return !difference(reference, std::span(&frame, 1)).empty(); });
  take_off(plan);
  if (wrong == frames.end()) return "no packet alone differs\n" + in_force_;
  if (!differs(plan, *wrong)) return "differs no more when the rules are made anew\n" + in_force_;
  const auto shrink = [&](auto& items) {
    for (std::size_t i = items.size(); i-- > 0;) {
      const auto kept = items;
      items.erase(items.begin() + static_cast<std::ptrdiff_t>(i));
      if (!differs(plan, *wrong)) items = kept;
    }
  };
  shrink(plan.rules);
  shrink(plan.doors);
  const std::string what = difference(put_in_force(plan), std::span(&*wrong, 1));
  take_off(plan);
  return fmt::format("packet {}: ethertype {:04x}, {} segments, {}\n{}{}", wrong - frames.begin(), wrong->ethertype,
                     wrong->segments, hex(wrong->packet), what, in_force_);
}

TEST_F(Judges, GiveTheSameVerdictsAndTheSameCounts) {
  const std::uint64_t given = seed_given();
  const std::uint64_t base = given ? given : std::random_device{}();
  const std::uint64_t rounds = given ? 1 : rounds_wanted();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    RandomTraffic random(base + round);
    const Plan plan = make_plan(random);
    std::vector<Frame> frames;
    for (int i = 0; i < packets_of_round; ++i) frames.push_back(random.frame());
    const std::string what = judge(plan, frames);
    if (HasFatalFailure()) return;
    if (what.empty()) continue;
    FAIL() << "to see it again: EGRESS_TEST_SEED=" << base + round << "\n" << what << smallest_failure(plan, frames);
  }
  fmt::print("{} packets judged alike ({} dropped; {} not taken by the kernel), {} rule sets from seed {}\n", compared_,
             dropped_, refused_, rounds, base);
  EXPECT_GT(compared_, rounds * packets_of_round * 85 / 100);  // it takes none without a whole fixed header
  if (rounds >= 20) {
    EXPECT_GT(dropped_, compared_ / 20);
    EXPECT_LT(dropped_, compared_ - compared_ / 20);
  }
  const auto reasons = *tables_->read_reasons();
  EXPECT_EQ(reasons[EGRESS_REASON_LIMIT], 0u);
  EXPECT_EQ(reasons[EGRESS_REASON_TORN], 0u);
}

/// Binds the device that test runs of XDP come from to a cgroup, without attaching anything to it.
class StrictJudge {
 public:
  StrictJudge(const PinDirectory& pins, KernelTables& tables, const CgroupTree& tree, const std::string& leaf)
      : devices_(HashMap<std::uint64_t, egress_device>::adopt(*duplicate(tables.fd_of("devices"))).value()) {
    MapFds maps;
    for (const MapLayout& layout : map_layouts()) maps.emplace(layout.name, *pins.open_pin(std::string(layout.name)));
    maps.emplace("cache", *pins.open_pin("cache"));
    program_ = *load_strict_program("egress_xdp", tables.meta(), maps);
    egress_device device{};
    device.flags = EGRESS_DEVICE_XDP;
    device.ids[device.levels++] = static_cast<std::uint64_t>(tree.id());
    for (std::size_t end = 0; end != std::string::npos;) {
      end = leaf.find('/', end + 1);
      device.ids[device.levels++] = static_cast<std::uint64_t>(*tree.cgroup_at(leaf.substr(0, end)));
    }
    device.cgroup_id = device.ids[device.levels - 1];
    EXPECT_TRUE(devices_.put(
        egress_device_key(static_cast<std::uint32_t>(own_network_namespace().value().inode), if_nametoindex("lo")),
        device));
  }

  /// Whether it drops; nullopt if the kernel does not take such a frame for a test.
  [[nodiscard]] std::optional<bool> drops(const Frame& frame) const {
    std::vector<std::byte> bytes(14);
    bytes[12] = static_cast<std::byte>(frame.ethertype >> 8);
    bytes[13] = static_cast<std::byte>(frame.ethertype & 0xFF);
    bytes.insert(bytes.end(), frame.packet.begin(), frame.packet.end());
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes.data(),
                .data_size_in = static_cast<std::uint32_t>(bytes.size()), .repeat = 1);
    if (bpf_prog_test_run_opts(program_.get(), &options) != 0) return std::nullopt;
    return options.retval == XDP_DROP;
  }

 private:
  HashMap<std::uint64_t, egress_device> devices_;
  Fd program_;
};

// The frame reader of the strict layer, and the same matcher behind it.
TEST_F(Judges, TheStrictLayerGivesTheSameVerdicts) {
  const std::uint64_t given = seed_given();
  const std::uint64_t base = given ? given : std::random_device{}();
  const std::uint64_t rounds = given ? 1 : std::max<std::uint64_t>(rounds_wanted() / 10, 1);
  auto pins = PinDirectory::open(instance_.get().pin_dir);
  auto tree = CgroupTree::open(root());
  ASSERT_TRUE(pins && tree);
  std::uint64_t compared = 0, dropped = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    RandomTraffic random(base + round);
    const Plan plan = make_plan(random);
    const Reference reference = put_in_force(plan);
    const StrictJudge strict(*pins, *tables_, *tree, plan.leaf);
    for (int i = 0; i < packets_of_round; ++i) {
      const Frame frame = random.frame();
      const std::optional<bool> drops = strict.drops(frame);
      if (!drops || (frame.ethertype != 0x0800 && frame.ethertype != 0x86DD)) continue;
      Tally counts;
      const bool expected = reference.judge(frame, counts);
      ++compared;
      dropped += expected;
      ASSERT_EQ(*drops, expected) << "to see it again: EGRESS_TEST_SEED=" << base + round << "\npacket " << i
                                  << fmt::format(": ethertype {:04x}\n", frame.ethertype) << hex(frame.packet) << "\n"
                                  << in_force_;
    }
    take_off(plan);
  }
  fmt::print("{} frames judged alike ({} dropped), {} rule sets from seed {}\n", compared, dropped, rounds, base);
  EXPECT_GT(compared, rounds * packets_of_round / 2);
}

// H8: between the look-up of a chain and the read of its rule, the place may have become another rule's. No race is
// needed: an index that stays wrong is what such a packet sees, again and again. In doubt it is dropped. A rule of
// another destination may stand in the same chain and judges nothing.
TEST_F(Judges, H8ARuleThatItsKeyDoesNotLeadToJudgesNothing) {
  ASSERT_TRUE(enter(root() + "/a"));
  const Subject subject{Subject::Kind::Path, "/a", Subject::Scope::Subtree};
  Addition addition{.subject = subject, .rules = {}, .policy = {}, .replace = false};
  for (const char* to : {"203.0.113.7", "203.0.113.8"}) {
    RuleSpec spec;
    spec.action = addition.rules.empty() ? Action::Allow : Action::Audit;
    spec.destination = *parse_destination(to);
    addition.rules.push_back(spec);
  }
  const auto ids = engine_->add(addition);
  ASSERT_TRUE(ids) << ids.error().message();
  const auto allowed = static_cast<std::uint32_t>(ids->at(0)), audited = static_cast<std::uint32_t>(ids->at(1));
  const auto packet = test::Ipv4({.dst = "203.0.113.7"}).udp(7);
  const Frame frame{{packet.bytes().begin(), packet.bytes().end()}, 0x0800, 1};
  ASSERT_EQ(kernel_says(frame), 1);
  const std::vector<std::uint64_t> keys{EGRESS_COUNTER_RULE | allowed, EGRESS_COUNTER_RULE | audited};
  ASSERT_EQ(read_tally(keys).counters[keys[0]].packets, 1u);
  const egress_rule rule = slot_of(*tables_, allowed), other = slot_of(*tables_, audited);
  const auto places = static_cast<std::uint32_t>(tables_->rules().size());
  __u32& head = chain_head(*tables_, rule, EGRESS_CHAIN_PLAIN);
  ASSERT_EQ(head, allowed);
  const auto expect_counts = [&](const Tally& tally, std::uint64_t dropped) {
    EXPECT_EQ(tally.totals.packets_dropped, dropped);
    EXPECT_EQ(tally.counters.at(keys[0]).packets, 1u);
    EXPECT_EQ(tally.counters.at(keys[1]).packets, 0u);
    EXPECT_EQ((*tables_->read_reasons())[EGRESS_REASON_LIMIT], dropped);
  };
  head = allowed + places;  // formerly in the same place
  EXPECT_EQ(kernel_says(frame), 0);
  expect_counts(read_tally(keys), 1);
  head = audited;
  EXPECT_EQ(kernel_says(frame), 1);
  expect_counts(read_tally(keys), 1);
  slot_of(*tables_, audited).next[EGRESS_CHAIN_PLAIN] = allowed;
  EXPECT_EQ(kernel_says(frame), 1);
  EXPECT_EQ(read_tally(keys).counters[keys[0]].packets, 2u) << "behind a rule of another destination";
  EXPECT_EQ(read_tally(keys).counters[keys[1]].packets, 0u);
  slot_of(*tables_, audited).next[EGRESS_CHAIN_PLAIN] = other.next[EGRESS_CHAIN_PLAIN];
  head = allowed;
}

}  // namespace
}  // namespace egress::test
