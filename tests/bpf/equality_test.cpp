// SPDX-License-Identifier: GPL-2.0
// Two judges: the reference (core/parse_packet, core/evaluate) against the datapath in the kernel, on random
// rule sets and random packets: the same verdict, and the same counters for every rule.
//
//   EGRESS_TEST_SEED=N      repeats the round that failed
//   EGRESS_TEST_SCALE=N     rounds of 1000 packets each (default 60)
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <map>
#include <random>
#include <sstream>

#include "bpf/private_instance.hpp"
#include "core/evaluate.hpp"
#include "engine/engine.hpp"
#include "engine/explain.hpp"
#include "support/packet_builder.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/kernel_world.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;
using testing::Ipv4;
using testing::Ipv6;
using testing::Packet;

constexpr int packets_of_round = 1000;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// The test sits in /a/b/c of its instance: the kernel gives test packets the cgroup of the caller.
class Judges : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream self("/proc/self/cgroup");
    for (std::string line; std::getline(self, line);) {
      if (line.starts_with("0::")) home_ = cgroup2_mount() + line.substr(3);
    }
    for (const char* path : {"/a", "/a/b", "/a/b/c"}) ::mkdir((root() + path).c_str(), 0755);
    ASSERT_TRUE(enter(root() + "/a/b/c"));
    auto loaded = Filter::load(instance_.get(), small_settings());
    ASSERT_TRUE(loaded) << loaded.error().message();
    auto pins = PinDirectory::open(instance_.get().pin_dir);
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
    for (const char* path : {"/a/b/c", "/a/b", "/a"}) ::rmdir((root() + path).c_str());
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
  [[nodiscard]] std::optional<int> kernel_says(const Packet& packet) const {
    auto frame = packet.ethernet();
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                .data_size_in = static_cast<std::uint32_t>(frame.size()), .repeat = 1);
    if (bpf_prog_test_run_opts(program_.get(), &options) != 0) return std::nullopt;
    return static_cast<int>(options.retval);
  }

  std::string home_;
  PrivateInstance instance_{"judges"};
  std::unique_ptr<KernelTables> tables_;
  std::unique_ptr<KernelWorld> world_;
  std::unique_ptr<Engine> engine_;
  Fd program_;
};

/// Random values from small clusters, so that rules overlap each other and packets meet them.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  [[nodiscard]] bool once_in(int n) { return below(n) == 0; }
  template <typename T>
  [[nodiscard]] T one_of(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<int>(values.size()))];
  }

  [[nodiscard]] std::string address4() {
    return one_of<std::string>({"203.0.113.", "203.0.112.", "198.51.100."}) + std::to_string(below(4) * 64 + below(3));
  }
  [[nodiscard]] std::string address6() {
    return one_of<std::string>({"2001:db8::", "2001:db8:0:1::", "2001:db8:1::", "ff02::", "fe80::"}) +
           std::to_string(1 + below(4));
  }
  [[nodiscard]] int port() { return one_of({53, 80, 443, 8000, 8001, 8050, 8099, 8100, 0x1234}); }

  [[nodiscard]] std::string destination() {
    const int kind = below(10);
    std::string prefix = "any";
    if (kind > 4) prefix = address4() + one_of<std::string>({"", "", "/31", "/24", "/23", "/16", "/0"});
    if (kind > 7) prefix = address6() + one_of<std::string>({"", "", "/127", "/64", "/48", "/32", "/0"});
    std::string ports;
    if (once_in(3)) ports = ":" + std::to_string(port());
    if (once_in(5)) ports = one_of<std::string>({":8000-8099", ":8001-8050", ":1-65535", ":53-443"});
    std::string proto;
    if (once_in(3)) proto = one_of<std::string>({"/tcp", "/udp", "/sctp", "/udplite", "/dccp"});
    if (ports.empty() && once_in(5)) proto = one_of<std::string>({"/icmp", "/58", "/47", "/1", "/0"});
    const bool numeric = proto.size() > 1 && std::isdigit(static_cast<unsigned char>(proto[1]));
    if (numeric && kind > 4 && prefix.find('/') == std::string::npos) prefix += kind > 7 ? "/128" : "/32";
    if (kind > 7 && !ports.empty()) prefix = "[" + prefix + "]";
    return prefix + ports + proto;
  }

  [[nodiscard]] RuleSpec rule() {
    RuleSpec spec;
    spec.action = one_of({Action::Drop, Action::Drop, Action::Reject, Action::Audit, Action::Allow});
    auto parsed = parse_destination(destination());
    EXPECT_TRUE(parsed) << parsed.error().message();
    spec.destination = *parsed;
    spec.lifetime = one_of<Lifetime>({Lifetime{}, Lifetime{1h}, Lifetime{1ms}});  // the last is over in the round
    spec.include_nd = once_in(4);
    return spec;
  }

  [[nodiscard]] Packet finish4(const Ipv4& packet) {
    switch (below(8)) {
      case 0:
        return packet.icmp(8);
      case 1:
        return packet.raw(static_cast<std::uint8_t>(one_of({47, 50, 58, 0, 4})),
                          testing::byte_list({1, 2, 3, 4, 5, 6, 7, 8}));
      default:
        return transport(packet);
    }
  }
  [[nodiscard]] Packet packet4() {
    Ipv4 packet({.dst = address4()});
    if (once_in(5)) packet = packet.option(static_cast<std::uint8_t>(one_of({7, 68, 148, 131, 137})), {4, 0, 0, 0});
    if (once_in(12)) packet = packet.option_bytes({one_of({7, 131}), one_of({0, 1, 2, 60})});
    if (once_in(6)) packet = packet.fragment(static_cast<std::uint16_t>(below(3)), once_in(2));
    return finish4(packet);
  }
  [[nodiscard]] Packet packet6() {
    Ipv6 packet({.dst = address6()});
    const int headers = once_in(2) ? 0 : below(11);
    for (int i = 0; i < headers; ++i) {
      switch (below(12)) {
        case 0:
          packet = packet.hop_by_hop(static_cast<std::uint8_t>(below(3)));
          break;
        case 1:
          packet = once_in(3) ? packet.routing() : packet.destination_options();
          break;
        case 2:
          packet = packet.authentication();
          break;
        case 3:
          packet = packet.fragment({.offset = static_cast<std::uint16_t>(once_in(2) ? 0 : 5), .more = true});
          break;
        case 4:
          packet = packet.mobility();
          break;
        case 5:
          packet = once_in(2) ? packet.hip() : packet.shim6();
          break;
        default:
          packet = packet.destination_options(static_cast<std::uint8_t>(below(2)));
      }
    }
    switch (below(8)) {
      case 0:
        return packet.icmpv6(static_cast<std::uint8_t>(one_of({128, 129, 130, 133, 135, 137, 138, 143, 144, 1})));
      case 1:
        return packet.raw(static_cast<std::uint8_t>(one_of({47, 50, 59, 1, 4})),
                          testing::byte_list({9, 2, 3, 4, 5, 6, 7, 8}));
      default:
        return transport(packet);
    }
  }
  [[nodiscard]] Packet packet() {
    Packet made = once_in(2) ? packet4() : packet6();
    if (once_in(8)) made = made.truncated(static_cast<std::size_t>(below(static_cast<int>(made.size()))));
    if (once_in(8) && made.size() > 1) {
      const auto offset = static_cast<std::size_t>(1 + below(static_cast<int>(made.size()) - 1));
      made = made.with_byte(offset, static_cast<std::uint8_t>(below(256)));
    }
    return made;
  }

 private:
  template <typename Builder>
  [[nodiscard]] Packet transport(const Builder& packet) {
    const auto to = static_cast<std::uint16_t>(port());
    switch (below(7)) {
      case 0:
        return packet.sctp(to);
      case 1:
        return packet.dccp(to);
      case 2:
        return packet.udplite(to);
      case 3:
      case 4:
        return packet.tcp(to);
      default:
        return packet.udp(to);
    }
  }

  std::mt19937_64 random_;
};

using Expected = std::map<std::pair<Rule::Origin, RuleId>, Counts>;

void count(Expected& expected, Rule::Origin origin, RuleId id, std::size_t bytes) {
  Counts& counts = expected[{origin, id}];
  counts.packets += 1;
  counts.bytes += bytes;
}

/// What the reference says, and what it would count: each set in turn, up to the one that drops.
bool reference_drops(const std::vector<JudgedSet>& sets, const Packet& packet, BootTime now, Expected& expected) {
  const Flow flow = parse_packet(packet.bytes());
  const Judgement all = evaluate(sets, flow, now);
  const bool drops = all.verdict != Judgement::Verdict::Pass;
  if (flow.malformed || (drops && !all.rule)) return drops;
  for (const JudgedSet& set : sets) {
    const Judgement here = evaluate(std::span(&set, 1), flow, now);
    for (const RuleId id : here.audits) count(expected, Rule::Origin::Command, id, packet.size());
    if (here.rule) count(expected, here.origin, *here.rule, packet.size());
    if (here.verdict != Judgement::Verdict::Pass) return true;
  }
  return false;
}

std::string hex(std::span<const std::byte> bytes) {
  std::ostringstream text;
  for (const std::byte byte : bytes) text << std::hex << std::setw(2) << std::setfill('0') << static_cast<int>(byte);
  return text.str();
}

std::string text_of(const std::vector<JudgedSet>& sets) {
  std::string text;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const Rule& rule : sets[i].rules) {
      text += "set " + std::to_string(i) + " rule " + std::to_string(static_cast<std::uint32_t>(rule.id)) + ": " +
              std::string(format(rule.action)) + " " + format(rule.subject) + " to " + format(rule.destination) +
              (rule.include_nd ? " include-nd" : "") + (rule.expires_at ? " ends" : "") + "\n";
    }
  }
  return text;
}

TEST_F(Judges, GiveTheSameVerdictsAndTheSameCounts) {
  const std::uint64_t given = number_from("EGRESS_TEST_SEED", 0);
  const std::uint64_t base = given ? given : std::random_device{}();
  const std::uint64_t rounds = given ? 1 : number_from("EGRESS_TEST_SCALE", 60);
  const auto leaf = world_->cgroup_at("/a/b/c");
  ASSERT_TRUE(leaf);
  const Subject subjects[] = {
      {Subject::Kind::Path, "/", Subject::Scope::Subtree},
      {Subject::Kind::Path, "/a", Subject::Scope::Subtree},
      {Subject::Kind::Path, "/a", Subject::Scope::Only},
      {Subject::Kind::Path, "/a/b/c", Subject::Scope::Only},
      {Subject::Kind::Path, "/a/b/c", Subject::Scope::Subtree},
      {Subject::Kind::Path, "/a/b/x", Subject::Scope::Subtree},
      {Subject::Kind::Unit, "b", Subject::Scope::Subtree},
      {Subject::Kind::Unit, "c", Subject::Scope::Subtree},
      {Subject::Kind::Id, std::to_string(static_cast<std::uint64_t>(*leaf)), Subject::Scope::Subtree},
  };
  std::uint64_t compared = 0;
  std::uint64_t refused = 0;
  std::uint64_t dropped = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t seed = base + round;
    SCOPED_TRACE("to see it again: EGRESS_TEST_SEED=" + std::to_string(seed));
    Dice dice(seed);
    const int rules = 1 + dice.below(24);
    for (int i = 0; i < rules; ++i) {
      Addition addition{subjects[dice.below(std::size(subjects))], {dice.rule()}, std::nullopt, dice.once_in(2)};
      if (dice.once_in(3)) addition.policy = dice.one_of<std::string>({"p", "q"});
      (void)engine_->add(addition);  // the same destination twice is refused
    }
    if (dice.once_in(2)) {
      const auto at = world_->cgroup_at(dice.one_of<std::string>({"/", "/a", "/a/b/c"}));
      drop_config door{};
      const auto address = *parse_address(dice.address4());
      std::memcpy(&door.dst_ip, address.bytes.data(), 4);
      door.dst_port = dice.once_in(2) ? 0 : static_cast<std::uint16_t>(dice.port());
      door.cgroup_id = static_cast<std::uint64_t>(*at);
      door.ttl = DROP_CONFIG_NO_END;
      ASSERT_TRUE(tables_->drop_configs().put(900'000'000, door));
      ASSERT_TRUE(tables_->cgroup_rules().put(door.cgroup_id, 900'000'000));
    }
    ::usleep(30'000);  // rules of 1 ms are over, and a tick has passed since the last write
    auto snapshot = read_snapshot(*tables_, *world_, Detail::Verdict);
    ASSERT_TRUE(snapshot);
    const auto sets = judged_sets(*snapshot, *world_, "/a/b/c");
    Expected expected;
    for (int i = 0; i < packets_of_round; ++i) {
      const Packet packet = dice.packet();
      Expected before = expected;
      const bool drops = reference_drops(sets, packet, snapshot->now, expected);
      const auto verdict = kernel_says(packet);
      if (!verdict) {
        expected = std::move(before);
        ++refused;
        continue;
      }
      ++compared;
      dropped += drops;
      ASSERT_EQ(*verdict == 0, drops) << "packet " << i << " " << hex(packet.bytes()) << "\n" << text_of(sets);
    }
    for (const JudgedSet& set : sets) {
      for (const Rule& rule : set.rules) {
        const std::uint64_t kind = rule.origin == Rule::Origin::Map ? EGRESS_COUNTER_DOOR : EGRESS_COUNTER_RULE;
        auto counts = tables_->read_counter(kind | static_cast<std::uint32_t>(rule.id));
        ASSERT_TRUE(counts);
        const Counts wanted = expected[{rule.origin, rule.id}];
        ASSERT_EQ(counts->packets, wanted.packets) << "rule " << static_cast<std::uint32_t>(rule.id) << "\n"
                                                   << text_of(sets);
        ASSERT_EQ(counts->bytes, wanted.bytes) << "rule " << static_cast<std::uint32_t>(rule.id);
      }
    }
    ASSERT_TRUE(engine_->remove({.ids = {}, .subject = std::nullopt, .policy = std::nullopt, .all = true}));
    (void)tables_->erase_counter(EGRESS_COUNTER_DOOR | 900'000'000);
  }
  std::cout << compared << " packets judged alike (" << dropped << " dropped; " << refused
            << " not taken by the kernel)\n";
  EXPECT_GT(compared, rounds * packets_of_round / 2);
  EXPECT_GT(dropped, compared / 20);
}

}  // namespace
}  // namespace egress::test
