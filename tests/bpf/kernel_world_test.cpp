// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_world.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>

#include "support/text.hpp"
#include "sys/bpf_map.hpp"
#include "sys/clock.hpp"

namespace egress {
namespace {

Fd make_array(__u32 value_size) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
  return Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "egress_test", 4, value_size, 1, &options));
}

constexpr bpf_insn call(int helper) {
  return {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = helper};
}
constexpr bpf_insn set(__u8 reg, int number) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_K,
          .dst_reg = static_cast<__u8>(reg & 15),
          .src_reg = 0,
          .off = 0,
          .imm = number};
}
constexpr bpf_insn end{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};

/// Makes r1 point `offset` bytes into the value of an array; takes two instructions.
constexpr bpf_insn point(int map_fd) {
  return {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_VALUE, .off = 0, .imm = map_fd};
}
constexpr bpf_insn point_offset(int offset) { return {.code = 0, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = offset}; }
/// *(u64*)r1 = reg
constexpr bpf_insn store(__u8 reg) {
  return {.code = BPF_STX | BPF_DW | BPF_MEM, .dst_reg = 1, .src_reg = static_cast<__u8>(reg & 15), .off = 0, .imm = 0};
}

/// A program that says that it runs (word 0), runs for milliseconds, and says that it is over (word 1).
Fd load_slow_program(const Fd& array) {
  constexpr int rounds = 100'000;  // of three instructions: below the verifier's million
  const bpf_insn program[] = {
      set(6, 1),
      point(array.get()),
      point_offset(0),
      store(6),
      set(6, 0),
      call(BPF_FUNC_ktime_get_boot_ns),
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 6, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_JMP | BPF_JLT | BPF_K, .dst_reg = 6, .src_reg = 0, .off = -3, .imm = rounds},
      set(6, 1),
      point(array.get()),
      point_offset(8),
      store(6),
      set(0, 0),
      end,
  };
  return Fd(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "egress_slow", "GPL", program, std::size(program), nullptr));
}

/// Moves the calling thread to a CPU that it may use, by its rank among them.
void stay_on_cpu(int rank, const cpu_set_t& allowed) {
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || rank-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
}

TEST(GracePeriod, OutlastsAProgramThatIsRunning) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  if (CPU_COUNT(&allowed) < 2) GTEST_SKIP() << "one CPU: no program runs while this thread does";
  const Fd array = make_array(16);
  const auto words = MappedArray<std::array<std::uint64_t, 2>>::map(array, MappedMemory::Access::ReadWrite);
  ASSERT_TRUE(words.ok());
  auto& [begun, over] = words->span()[0];
  const Fd program = load_slow_program(array);
  ASSERT_TRUE(program.valid()) << "errno " << errno;
  stay_on_cpu(0, allowed);
  int caught = 0;  // rounds in which the program was seen while it ran; a busy machine may miss it
  for (int round = 0; round < 1000 && caught < 5; ++round) {
    begun = over = 0;
    std::thread runner([&program, &allowed] {
      stay_on_cpu(1, allowed);
      char packet[64] = {};
      LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof packet);
      EXPECT_EQ(bpf_prog_test_run_opts(program.get(), &options), 0);
    });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::atomic_ref(begun).load() == 0 && std::chrono::steady_clock::now() < deadline) {
    }
    if (std::atomic_ref(over).load() == 0) ++caught;
    wait_for_grace_period();
    EXPECT_EQ(std::atomic_ref(over).load(), 1u);
    runner.join();
  }
  ::sched_setaffinity(0, sizeof allowed, &allowed);
  EXPECT_EQ(caught, 5);
}

TEST(KernelWorld, ShowsTheTreeThatItWasGiven) {
  auto tree = CgroupTree::open("");
  ASSERT_TRUE(tree.ok()) << tree.error().message();
  const auto root = tree->id();
  egress_control control{};
  KernelWorld world(*std::move(tree), Fd(), control);
  EXPECT_EQ(world.root(), root);
  EXPECT_EQ(world.cgroup_at("/"), root);
  EXPECT_EQ(world.path_of(root), "/");
  EXPECT_EQ(world.cgroup_at("/egress-no-such-cgroup"), std::nullopt);
  EXPECT_TRUE(world.cgroups_named("egress-no-such-cgroup").empty());
  const auto before = world.now(), after = world.now();
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_LT(*before, *after);
}

/// The clock program by hand: r0 = boot ns; control.clock = r0; return 0.
class ClockTest : public testing::Test {
 protected:
  void SetUp() override {
    if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SYSCALL, nullptr) != 1) {
      GTEST_SKIP() << "kernel lacks programs that run on call (5.14)";
    }
  }

  static Fd make_control() { return make_array(sizeof(egress_control)); }

  static Fd load(const Fd& control, bool store_it) {
    const int offset = offsetof(egress_control, clock);
    const bpf_insn program[] = {
        call(BPF_FUNC_ktime_get_boot_ns),
        point(control.get()),
        point_offset(store_it ? offset : 0),
        store(0),
        set(0, 0),
        end,
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);
    return Fd(bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "egress_clock", "GPL", program, std::size(program), &options));
  }

  Fd control_ = make_control();
};

TEST_F(ClockTest, OfTheKernelLiesBetweenTwoReadingsOfOurs) {
  const Fd program = load(control_, true);
  ASSERT_TRUE(program.valid()) << errno;
  const auto memory = MappedArray<egress_control>::map(control_, MappedMemory::Access::ReadWrite);
  ASSERT_TRUE(memory.ok());
  auto& control = memory->span()[0];
  const auto before = boot_time_by_system_call();
  const auto kernel = boot_time_by_program(program.get(), control);
  const auto after = boot_time_by_system_call();
  ASSERT_TRUE(before.ok() && kernel.ok() && after.ok());
  EXPECT_LE(*before, *kernel);
  EXPECT_LE(*kernel, *after);
}

TEST_F(ClockTest, ThatStoresNothingIsAnError) {
  const Fd program = load(control_, false);
  ASSERT_TRUE(program.valid()) << errno;
  egress_control control{};
  const auto now = boot_time_by_program(program.get(), control);
  ASSERT_FALSE(now.ok());
  EXPECT_TRUE(test::has(now.error().message(), "stored no time"));
}

/// 0 if the kernel's clock is right and ours is refused.
int check_in_another_time_namespace(const Fd& program, const Fd& control, BootTime before) {
  if (::unshare(CLONE_NEWTIME) != 0) return 10;
  const Fd offsets(::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
  if (::write(offsets.get(), "boottime 1000000 0", 18) != 18) return 11;
  const Fd ns(::open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC));
  if (::setns(ns.get(), CLONE_NEWTIME) != 0) return 12;
  if (in_initial_time_namespace()) return 13;
  const auto refused = boot_time_by_system_call();
  if (refused.ok() || refused.error().kind != ErrorKind::Refused) return 14;
  const auto memory = MappedArray<egress_control>::map(control, MappedMemory::Access::ReadWrite);
  if (!memory.ok()) return 15;
  const auto kernel = boot_time_by_program(program.get(), memory->span()[0]);
  if (!kernel.ok()) return 16;
  return kernel->since_boot - before.since_boot < std::chrono::hours(1) ? 0 : 17;
}

// Failure I1: a process in a time namespace of its own would be off by its offset.
TEST_F(ClockTest, OfTheCallerIsRefusedInAnotherTimeNamespace) {
  EXPECT_TRUE(in_initial_time_namespace());
  const Fd program = load(control_, true);
  const auto before = boot_time_by_system_call();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check_in_another_time_namespace(program, control_, *before));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace egress
