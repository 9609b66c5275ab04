// SPDX-License-Identifier: GPL-2.0
#include "sys/mountinfo.hpp"

#include <gtest/gtest.h>

#include <ostream>

#include "sys/cgroup.hpp"

namespace egress {

void PrintTo(const Mount& mount, std::ostream* out) {
  *out << mount.root << " at " << mount.point << " " << mount.type;
}

namespace {

using Mounts = std::vector<Mount>;

TEST(Mountinfo, ReadsALineWithoutOptionalFields) {
  EXPECT_EQ(parse_mountinfo("41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"),
            (Mounts{{"/", "/sys/fs/cgroup/unified", "cgroup2"}}));
}

TEST(Mountinfo, SkipsAnyNumberOfOptionalFields) {
  EXPECT_EQ(parse_mountinfo("35 24 0:30 /a /x rw shared:9 master:2 propagate_from:1 - bpf none rw,mode=700"),
            (Mounts{{"/a", "/x", "bpf"}}));
}

TEST(Mountinfo, UndoesOctalEscapes) {
  EXPECT_EQ(parse_mountinfo("35 24 0:30 / /a\\040b\\011c\\134d rw - cgroup2 c rw\n"),
            (Mounts{{"/", "/a b\tc\\d", "cgroup2"}}));
}

TEST(Mountinfo, LeavesABackslashWithoutThreeOctalDigitsAlone) {
  EXPECT_EQ(parse_mountinfo("35 24 0:30 / /a\\09 rw - bpf c rw\n"), (Mounts{{"/", "/a\\09", "bpf"}}));
  EXPECT_EQ(parse_mountinfo("35 24 0:30 / /a\\ rw - bpf c rw\n"), (Mounts{{"/", "/a\\", "bpf"}}));
}

TEST(Mountinfo, KeepsTheOrderOfLines) {
  const auto mounts = parse_mountinfo("1 1 0:1 / /p rw - tmpfs t rw\n2 1 0:2 / /q rw - cgroup c rw\n");
  EXPECT_EQ(mounts, (Mounts{{"/", "/p", "tmpfs"}, {"/", "/q", "cgroup"}}));
}

TEST(Mountinfo, LeavesOutLinesThatCannotBeRead) {
  EXPECT_EQ(parse_mountinfo("\nnonsense\n35 24 0:30 / /x rw shared:9\n3 1 0:3 / /y rw - bpf b rw\n"),
            (Mounts{{"/", "/y", "bpf"}}));
}

TEST(Mountinfo, FindsTheMountOfProc) {
  const auto mounts = read_mounts();
  ASSERT_TRUE(mounts.ok()) << mounts.error().message();
  bool found = false;
  for (const auto& mount : *mounts) found |= mount.type == "proc" && mount.point == "/proc";
  EXPECT_TRUE(found);
}

TEST(Mountinfo, NamesTheFileThatCannotBeRead) {
  const auto text = read_proc_file("/proc/no-such-file");
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, ENOENT);
  EXPECT_NE(text.error().message().find("/proc/no-such-file"), std::string::npos);
}

TEST(V2LineOfProcCgroup, IsFoundAmongThoseOfV1) {
  EXPECT_EQ(parse_v2_line("9:name=systemd:/\n4:memory:/api/0::/x\n0::/a b/c\n"), "/a b/c");
  EXPECT_EQ(parse_v2_line("0::/\n"), "/");
}

TEST(V2LineOfProcCgroup, KeepsTheWordDeletedAndColons) {
  EXPECT_EQ(parse_v2_line("0::/z:1 (deleted)\n"), "/z:1 (deleted)");
}

TEST(V2LineOfProcCgroup, IsMissingOnHostsWithoutV2) {
  EXPECT_EQ(parse_v2_line("4:memory:/x\n10::/y\n"), std::nullopt);
  EXPECT_EQ(parse_v2_line(""), std::nullopt);
}

}  // namespace
}  // namespace egress
