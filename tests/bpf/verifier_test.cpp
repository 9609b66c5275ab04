// SPDX-License-Identifier: GPL-2.0
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <charconv>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "sys/hooks.hpp"
#include "sys/object.hpp"
#include "sys/strict_program.hpp"

namespace egress {
namespace {

/// A quarter of what the verifier is willing to follow: another kernel's may need more for the same program.
constexpr std::uint64_t most_instructions = 250'000;
constexpr std::size_t log_size = 1 << 20;
constexpr std::uint32_t log_statistics = 4;

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

/// "processed N insns (limit …)" in a verifier's log.
std::uint64_t instructions_in(std::string_view log) {
  constexpr std::string_view word = "processed ";
  std::uint64_t number = 0;
  const std::size_t at = log.rfind(word);
  if (at != std::string_view::npos) std::from_chars(log.data() + at + word.size(), log.data() + log.size(), number);
  return number;
}

bool is_lacking(const Hook& hook) {
  if (hook.group == HookGroup::Creation) {
    if (forbids_functions()) return true;
    return libbpf_find_vmlinux_btf_id("security_socket_create", BPF_MODIFY_RETURN) < 0;  // CONFIG_SECURITY
  }
  if (hook.kind != Hook::Kind::OnCall) return false;
  if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SYSCALL, nullptr) != 1) return true;
  return hook.group == HookGroup::Sweep &&
         libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_timer_init, nullptr) != 1;
}

/// Loads one program of an object, without maps with timers unless it may have them.
void expect_room_to_spare(const std::string& path, std::string_view name, bool with_timers) {
  const std::unique_ptr<bpf_object, CloseObject> object(bpf_object__open(path.c_str()));
  ASSERT_NE(object, nullptr);
  std::string log(log_size, '\0');
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    const bool wanted = std::string_view(bpf_program__name(program)) == name;
    bpf_program__set_autoload(program, wanted);
    if (!wanted) continue;
    bpf_program__set_log_buf(program, log.data(), log.size());
    bpf_program__set_log_level(program, log_statistics);
  }
  bpf_map* timers = bpf_object__find_map_by_name(object.get(), "sweeper");
  if (timers != nullptr && !with_timers) bpf_map__set_autocreate(timers, false);
  const int failed = bpf_object__load(object.get());
  log.resize(log.find('\0'));
  ASSERT_EQ(failed, 0) << log;
  const std::uint64_t instructions = instructions_in(log);
  std::cout << "verified " << name << " " << instructions << " instructions\n";  // docs/kernels.md
  EXPECT_GT(instructions, 0U) << log;
  EXPECT_LT(instructions, most_instructions) << log;
}

class Verifier : public ::testing::TestWithParam<Hook> {};

TEST_P(Verifier, AcceptsTheProgramWithRoomToSpare) {
  const Hook& hook = GetParam();
  if (is_lacking(hook)) GTEST_SKIP() << "kernel lacks what " << hook.program << " needs";
  expect_room_to_spare(EGRESS_BPF_OBJECT, hook.program, hook.group == HookGroup::Sweep);
}

class StrictVerifier : public ::testing::TestWithParam<std::string_view> {};

TEST_P(StrictVerifier, AcceptsTheProgramWithRoomToSpare) {
  const bool xdp = GetParam().ends_with("xdp");
  const std::string object = xdp ? "/egress_strict_xdp.bpf.o" : "/egress_strict_tc.bpf.o";
  expect_room_to_spare(EGRESS_BUILD_DIR + object, GetParam(), false);
}

INSTANTIATE_TEST_SUITE_P(Programs, StrictVerifier, ::testing::ValuesIn(strict_programs),
                         [](const auto& tested) { return std::string(tested.param); });

INSTANTIATE_TEST_SUITE_P(Programs, Verifier, ::testing::ValuesIn(hooks),
                         [](const auto& tested) { return std::string(tested.param.program); });

}  // namespace
}  // namespace egress
