// SPDX-License-Identifier: GPL-2.0
// What the program itself costs: BPF_PROG_TEST_RUN takes the cgroup of the caller, so the caller moves.
#include <memory>

#include "contests.hpp"
#include "destinations.hpp"
#include "sizes.hpp"
#include "support/packet_builder.hpp"
#include "to_strangers.hpp"

namespace egress::bench {
namespace {

constexpr std::uint16_t packet_port = 0x1234;
constexpr int repeats = 50'000;  ///< of one packet: a few milliseconds
constexpr int batch = 512;       ///< of packets to other destinations, one system call each

using Frame = test::ByteList;

Frame frame_to(const Address& address) {
  if (address.family == Family::V6) return test::Ipv6({.dst = format(address)}).udp(packet_port).ethernet();
  return test::Ipv4({.dst = format(address)}).udp(packet_port).ethernet();
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

using Frames = std::shared_ptr<const std::vector<Frame>>;

Frames frames_to(const std::vector<Address>& addresses) {
  auto frames = std::make_shared<std::vector<Frame>>();
  for (const Address& each : addresses) frames->push_back(frame_to(each));
  return frames;
}

/// The next `batch` each time: it takes all of them before one comes again.
std::function<double()> one_each(const std::string& cgroup, int program, const Frames& frames) {
  return [=, at = std::size_t{0}]() mutable {
    enter(cgroup);
    const double start = cpu_time();
    for (int i = 0; i < batch; ++i) run(program, (*frames)[at++ % frames->size()], 1, 1);
    return (cpu_time() - start) / batch;
  };
}

/// The same few all the time, after a round of them that is not counted: what of the cold ones is the cold.
std::function<double()> the_same_few(const std::string& cgroup, int program, const Frames& frames) {
  return [=] {
    enter(cgroup);
    for (int i = 0; i < batch; ++i) run(program, (*frames)[static_cast<std::size_t>(i)], 1, 1);
    const double start = cpu_time();
    for (int i = 0; i < batch; ++i) run(program, (*frames)[static_cast<std::size_t>(i)], 1, 1);
    return (cpu_time() - start) / batch;
  };
}

/// All contenders that no packet of `measured` matches; measured(cgroup, program) measures one.
template <typename Measured>
std::vector<Contender> programs(const Ground& ground, Family family, const Measured& measured) {
  const std::string none = ground.field.none.directory();
  std::vector<Contender> all{
      {empty_program, measured(none, ground.empty_program)},
      {std::string(empty_program) + " again " + null_control, measured(none, ground.empty_program)},
      {free_cgroup, measured(ground.field.instance.root().directory() + "/free", ground.program)},
  };
  for (const Ground::Judge& each : ground.judges(family)) {
    if (each.program >= 0) all.push_back({each.name(), measured(each.place.cgroup, each.program)});
  }
  return all;
}

}  // namespace

Table contest_hot(const Ground& ground, Family family) {
  const std::string root = ground.field.instance.root().directory();
  const Frame stranger = frame_to(strangers(family).front());
  Contest contest{.title = "One packet again and again (BPF_PROG_TEST_RUN)",
                  .unit = "ns a packet,",
                  .rounds = sizes().packet_rounds,
                  .contenders = programs(ground, family, [&](const std::string& cgroup, int program) {
                    return again_and_again(cgroup, program, stranger, 1);
                  })};
  const auto in = [&](const char* name, const std::string& path, const Frame& frame, std::uint32_t verdict) {
    contest.contenders.push_back({name, again_and_again(root + path, ground.program, frame, verdict)});
  };
  if (family == Family::V6) {
    contest.title += ", IPv6";
  } else {
    const Frame denied = frame_to(exact(family, 1).front().address);
    in(free_deeper, "/free/1/2/3/4", stranger, 1);
    in(one_deeper, path_of({.count = 1}) + "/1/2/3/4", stranger, 1);
    in(endless_match, path_of({.count = 1}), denied, 0);
    in(deadline_match, "/deadline", denied, 0);
  }
  return hold(contest);
}

Table contest_back_to_back(const Ground& ground, Family family) {
  ToStrangers to_strangers(family);
  const Frame frame = frame_to(strangers(family).front());
  Contest contest{.title = "Random destinations, back to back (BPF_PROG_TEST_RUN)",
                  .unit = "ns a packet,",
                  .rounds = sizes().packet_rounds,
                  .contenders = programs(ground, family, [&](const std::string& cgroup, int program) {
                    return again_and_again(cgroup, to_strangers.program_like(program), frame, 1);
                  })};
  if (family == Family::V6) contest.title += ", IPv6";
  return hold(contest);
}

Table contest_cold(const Ground& ground, Family family) {
  const Frames frames = frames_to(strangers(family));
  Contest contest{.title = "Random destinations, one system call a packet (BPF_PROG_TEST_RUN)",
                  .unit = "ns a packet,",
                  .rounds = sizes().cold_rounds,
                  .contenders = programs(ground, family, [&](const std::string& cgroup, int program) {
                    return one_each(cgroup, program, frames);
                  })};
  if (family == Family::V6) contest.title += ", IPv6";
  const List most{.family = family, .count = sizes().most()};
  const std::string name = name_of(ours, most);
  contest.contenders.push_back(
      {"empty program, the same 512", the_same_few(ground.field.none.directory(), ground.empty_program, frames)});
  contest.contenders.push_back({name + ", the same 512", the_same_few(ground.cgroup_of(most), ground.program, frames)});
  return hold(contest);
}

}  // namespace egress::bench
