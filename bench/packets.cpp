// SPDX-License-Identifier: GPL-2.0
// What the program itself costs: BPF_PROG_TEST_RUN takes the cgroup of the caller, so the caller moves.
#include <fmt/format.h>

#include <memory>

#include "contests.hpp"
#include "support/packet_builder.hpp"
#include "turns.hpp"

namespace egress::bench {
namespace {

constexpr std::uint16_t port = 0x1234;
constexpr int repeats = 50'000;  ///< of one packet: a few milliseconds
constexpr int strange = 65'536;  ///< destinations that match nothing
constexpr int batch = 512;       ///< of them, one system call each

using Frame = test::ByteList;

Frame frame_to(const std::string& address) { return test::Ipv4({.dst = address}).udp(port).ethernet(); }

std::string text_of(std::uint32_t a) {
  return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

/// Verdict checked: a benchmark of dropped packets is another one.
void run(int program, const Frame& frame, int repeat, std::uint32_t verdict) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<std::uint32_t>(frame.size()), .repeat = repeat);
  test::require(bpf_prog_test_run_opts(program, &options) == 0, "run program");
  test::require(options.retval == verdict, "get the verdict expected");
}

std::function<double()> again_and_again(const std::string& cgroup, int program, Frame frame, std::uint32_t verdict) {
  return [=] {
    enter(cgroup);
    const double start = cpu_time();
    run(program, frame, repeats, verdict);
    return (cpu_time() - start) / repeats;
  };
}

std::function<double()> one_each(const std::string& cgroup, int program,
                                 const std::shared_ptr<const std::vector<Frame>>& frames) {
  return [=, at = std::size_t{0}]() mutable {
    enter(cgroup);
    const double start = cpu_time();
    for (int i = 0; i < batch; ++i) run(program, (*frames)[at++ % frames->size()], 1, 1);
    return (cpu_time() - start) / batch;
  };
}

}  // namespace

void lay_rules(Filter& filter, const Field& field) {
  const auto in = [&](const char* path, std::vector<RuleSpec> rules) {
    test::require(mkdir((field.instance.root().directory() + path).c_str(), 0755) == 0, "make cgroup", path);
    if (rules.empty()) return;
    const auto ids = filter.add({Subject{Subject::Kind::Path, path}, std::move(rules), std::nullopt});
    if (!ids) fmt::print(stderr, "{}\n", ids.error().message());
    test::require(ids.ok(), "add rules");
  };
  in("/free", {});
  for (const char* deeper : {"/free/1", "/free/1/2", "/free/1/2/3", "/free/1/2/3/4"}) in(deeper, {});
  in("/one", {drop("203.0.113.7")});
  for (const char* deeper : {"/one/1", "/one/1/2", "/one/1/2/3", "/one/1/2/3/4"}) in(deeper, {});
  in("/deadline", {drop("203.0.113.7", std::chrono::hours(10))});
  in("/exact100", exact(100));
  in("/exact1k", exact(1'000));
  in("/exact10k", exact(10'000));
  in("/exact65k", exact(65'536));
  in("/mixed1k", mixed(1'000));
}

nlohmann::json contest_hot(const Field& field) {
  const std::string root = field.instance.root().directory();
  const int ours = program_of(field.instance);
  const int floor = attach_empty(field.empty.directory()).program;
  const Attached lpm_one = attach_lpm(field.lpm.directory(), {drop("203.0.113.7")});
  const Frame pass = frame_to(text_of(strangers(1, mixed(1'000)).front()));
  const auto here = [&](const char* path) { return again_and_again(root + path, ours, pass, 1); };
  return hold(
      {.title = "One packet again and again (BPF_PROG_TEST_RUN)",
       .unit = "ns a packet,",
       .contenders = {
           {"empty program", again_and_again(field.none.directory(), floor, pass, 1)},
           {"empty program again (null control)", again_and_again(field.none.directory(), floor, pass, 1)},
           {"cgroup without rules", here("/free")},
           {"cgroup without rules, 4 levels deeper", here("/free/1/2/3/4")},
           {"1 rule, no match", here("/one")},
           {"1 rule, no match, 4 levels deeper", here("/one/1/2/3/4")},
           {"100 exact, no match", here("/exact100")},
           {"1,000 exact, no match", here("/exact1k")},
           {"10,000 exact, no match", here("/exact10k")},
           {"65,536 exact, no match", here("/exact65k")},
           {"1,000 mixed prefixes, no match", here("/mixed1k")},
           {"match without end", again_and_again(root + "/one", ours, frame_to("203.0.113.7"), 0)},
           {"match with a deadline", again_and_again(root + "/deadline", ours, frame_to("203.0.113.7"), 0)},
           {"LPM program, 1 rule", again_and_again(field.none.directory(), lpm_one.program, pass, 1)},
           {"LPM program, 65,536 exact",
            again_and_again(field.none.directory(), attach_lpm(field.lpm.directory(), exact(65'536)).program, pass, 1)},
           {"LPM program, 1,000 mixed prefixes",
            again_and_again(field.none.directory(), attach_lpm(field.lpm.directory(), mixed(1'000)).program, pass, 1)},
       }});
}

nlohmann::json contest_cold(const Field& field) {
  const std::string root = field.instance.root().directory();
  const int ours = program_of(field.instance);
  const int floor = attach_empty(field.empty.directory()).program;
  auto frames = std::make_shared<std::vector<Frame>>();
  for (const std::uint32_t address : strangers(strange, mixed(1'000))) frames->push_back(frame_to(text_of(address)));
  const auto here = [&](const char* path) { return one_each(root + path, ours, frames); };
  return hold({.title = "Random destinations, one system call a packet (BPF_PROG_TEST_RUN)",
               .unit = "ns a packet,",
               .rounds = 61,
               .contenders = {
                   {"empty program", one_each(field.none.directory(), floor, frames)},
                   {"empty program again (null control)", one_each(field.none.directory(), floor, frames)},
                   {"cgroup without rules", here("/free")},
                   {"1 rule, no match", here("/one")},
                   {"100 exact, no match", here("/exact100")},
                   {"1,000 exact, no match", here("/exact1k")},
                   {"10,000 exact, no match", here("/exact10k")},
                   {"65,536 exact, no match", here("/exact65k")},
                   {"1,000 mixed prefixes, no match", here("/mixed1k")},
                   {"LPM program, 65,536 exact",
                    one_each(field.none.directory(), attach_lpm(field.lpm.directory(), exact(65'536)).program, frames)},
                   {"LPM program, 1,000 mixed prefixes",
                    one_each(field.none.directory(), attach_lpm(field.lpm.directory(), mixed(1'000)).program, frames)},
               }});
}

}  // namespace egress::bench
