// SPDX-License-Identifier: GPL-2.0
#include "egress/health.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "engine/health_checks.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/process_view.hpp"

namespace egress {
namespace {

std::string manual() {
  std::ifstream file(EGRESS_SOURCE_DIR "/man/egress.8.scd");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A row of the table in egress(8).
std::string row_of(const FindingKind& kind) {
  return fmt::format("|  {}\n:  {}\n:  {}\n", kind.code, format(kind.severity), kind.remedy);
}

TEST(Findings, EachCodeIsInTheManualWithItsRemedy) {
  const std::string text = manual();
  for (const FindingKind& kind : finding_kinds()) {
    EXPECT_NE(text.find(row_of(kind)), std::string::npos) << "man/egress.8.scd lacks:\n" << row_of(kind);
    EXPECT_FALSE(kind.remedy.empty()) << kind.code;
  }
}

TEST(Findings, TheManualHasNoCodeThatIsNeverGiven) {
  std::set<std::string_view> codes;
  for (const FindingKind& kind : finding_kinds()) EXPECT_TRUE(codes.insert(kind.code).second) << kind.code << " twice";
  std::istringstream lines(manual());
  bool in_table = false;
  std::size_t rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) in_table = line == "# WHAT THE DOCTOR FINDS";
    if (!in_table || !line.starts_with("|  ")) continue;
    ++rows;
    EXPECT_TRUE(codes.contains(std::string_view(line).substr(3))) << line;
  }
  EXPECT_EQ(rows, codes.size());
}

TEST(Findings, A6SocketsLoseTheirCgroupOnOldKernelsWithNetworkControllersOfVersionOne) {
  const std::string head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
  const std::string used = head + "cpuset\t3\t1\t1\nnet_prio\t7\t1\t1\n";
  EXPECT_TRUE(loses_sockets("5.10.0-28-amd64", used));
  EXPECT_TRUE(loses_sockets("5.14.21", head + "net_cls\t2\t1\t1\n"));
  EXPECT_FALSE(loses_sockets("5.15.0", used));
  EXPECT_FALSE(loses_sockets("6.1.0-13-amd64", used));
  EXPECT_FALSE(loses_sockets("5.10.0-28-amd64", head + "net_cls\t0\t1\t1\ncpu\t2\t1\t1\n"));
}

TEST(Findings, J10TellOfAnInstanceOfAnotherVersion) {
  const Instance instance;
  const auto codes_of = [&](std::uint32_t abi, std::uint64_t layout) {
    FoundInstance found;
    found.meta.abi = abi;
    found.meta.layout = layout;
    Findings findings;
    check_version({instance, nullptr, &found, {}, {}, 0}, findings);
    return findings.empty() ? std::string() : findings[0].code;
  };
  EXPECT_EQ(codes_of(EGRESS_ABI, layout_hash()), "");
  EXPECT_EQ(codes_of(EGRESS_ABI + 1, layout_hash()), "other-version");
  EXPECT_EQ(codes_of(EGRESS_ABI, layout_hash() ^ 1), "other-version");
}

TEST(Findings, TellOfSocketsThatWereNotJudged) {
  Findings findings;
  check_misses(0, findings);
  EXPECT_TRUE(findings.empty());
  check_misses(7, findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "creation-missed");
  EXPECT_TRUE(findings[0].text.starts_with("7 sockets"));
}

TEST(Findings, TellOfASweepThatIsLate) {
  const Instance instance;
  constexpr std::uint64_t second = 1'000'000'000;
  egress_control control{};
  const auto code_at = [&](std::uint64_t moment) {
    Findings findings;
    check_maintenance({instance, nullptr, nullptr, control, {}, moment}, findings);
    return findings.empty() ? std::string() : findings[0].code;
  };
  EXPECT_EQ(code_at(100 * second), "") << "no timer here, nothing is late";
  control.swept_at = 100 * second;
  EXPECT_EQ(code_at(109 * second), "");
  EXPECT_EQ(code_at(111 * second), "sweep-late");
}

TEST(Findings, TellOfEachPartThatIsMissingAndOfNoOther) {
  Findings findings;
  std::vector<Feature> features{{"packets", true, {}}, {"sweep", false, "no timers"}, {"creation", false, {}}};
  check_features(features, findings);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].code, "no-sweep");
  EXPECT_NE(findings[0].text.find("no timers"), std::string::npos);
  EXPECT_EQ(findings[1].code, "no-creation");
  EXPECT_EQ(findings[1].severity, Finding::Severity::Note) << "nothing is wrong as long as no rule asks for it";
}

TEST(ProcessView, ReadsACapabilityInEffect) {
  const std::string status = "Name:\tx\nCapPrm:\t0000000000002000\nCapEff:\t{}\nCapBnd:\t0000000000002000\n";
  EXPECT_TRUE(has_capability(fmt::format(fmt::runtime(status), "00000000a80425fb"), 13));  // a container's usual set
  EXPECT_FALSE(has_capability(fmt::format(fmt::runtime(status), "00000000a80405fb"), 13));
  EXPECT_FALSE(has_capability(fmt::format(fmt::runtime(status), "0000000000000000"), 13));
  EXPECT_FALSE(has_capability("", 13));
}

TEST(ProcessView, ReadsInodesOfPacketSockets) {
  const std::string text =
      "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
      "000000001b5f1b5d 3      3    0003   0     1 0      0      52113\n"
      "00000000deadbeef 3      2    88cc   2     1 0      0      7    \n";
  EXPECT_EQ(packet_socket_inodes(text), (std::set<std::uint64_t>{7, 52113}));
  EXPECT_TRUE(packet_socket_inodes("").empty());
}

TEST(ProcessView, A7ToldByTheCgroupsOfAProcess) {
  EXPECT_TRUE(is_in_v1_only("9:name=systemd:/\n4:memory:/app\n0::/\n"));
  EXPECT_TRUE(is_in_v1_only("4:memory:/app\n"));
  EXPECT_FALSE(is_in_v1_only("4:memory:/app\n0::/app\n"));
  EXPECT_FALSE(is_in_v1_only("9:name=systemd:/\n4:memory:/\n0::/\n"));
  EXPECT_FALSE(is_in_v1_only("0::/\n"));
}

}  // namespace
}  // namespace egress
