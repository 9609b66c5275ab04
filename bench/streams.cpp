// SPDX-License-Identifier: GPL-2.0
// TCP over loopback, both ends in one thread: its CPU time is all that the way there and back costs.
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <chrono>

#include "contests.hpp"
#include "destinations.hpp"
#include "sizes.hpp"

namespace egress::bench {
namespace {

constexpr int round_trips = 2'000;                ///< of one slice
constexpr std::size_t volume = 32 * 1024 * 1024;  ///< bytes of one slice
constexpr std::uint16_t stream_port = 9010;

struct Stream {
  int client = -1, server = -1;
};

/// The client is in the cgroup of the place; the server is in none, like a server elsewhere.
Stream connect_stream(const Ground& ground, const Place& place) {
  const Endpoint end(strangers(Family::V4).front(), stream_port);
  const int on = 1;
  const Fd listener(socket_in({ground.field.none.directory(), place.network}, end.family(), SOCK_STREAM));
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  test::require(bind(listener.get(), end.raw(), end.length) == 0 && listen(listener.get(), 1) == 0, "listen");
  Stream stream{.client = socket_in(place, end.family(), SOCK_STREAM)};
  test::require(connect(stream.client, end.raw(), end.length) == 0, "connect");
  enter(ground.field.none.directory());
  stream.server = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  test::require(stream.server >= 0, "accept");
  for (const int fd : {stream.client, stream.server}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return stream;
}

/// One byte.
void pass_on(int from, int to) {
  char byte = 0;
  test::require(write(from, &byte, 1) == 1 && read(to, &byte, 1) == 1, "pass a byte on");
}

std::function<double()> back_and_forth(const Stream& stream) {
  return [stream] {
    const double start = cpu_time();
    for (int i = 0; i < round_trips; ++i) {
      pass_on(stream.client, stream.server);
      pass_on(stream.server, stream.client);
    }
    return round_trips / (cpu_time() - start) * 1e9;
  };
}

std::function<double()> pour(const Stream& stream) {
  for (const int fd : {stream.client, stream.server}) fcntl(fd, F_SETFL, O_NONBLOCK);
  return [stream] {
    static std::array<char, 65'536> buffer{};
    const auto bound = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::size_t sent = 0;
    std::size_t got = 0;
    const double start = cpu_time();
    while (got < volume) {
      if (sent < volume)
        sent += static_cast<std::size_t>(
            std::max<ssize_t>(write(stream.client, buffer.data(), std::min(buffer.size(), volume - sent)), 0));
      got += static_cast<std::size_t>(std::max<ssize_t>(read(stream.server, buffer.data(), buffer.size()), 0));
      test::require(std::chrono::steady_clock::now() < bound, "pour");
    }
    return static_cast<double>(volume) / (cpu_time() - start) * 1e3;
  };
}

template <typename Measured>
Table hold_streams(const Ground& ground, const std::string& title, const Measured& measured) {
  const std::string none = ground.field.none.directory();
  const auto in = [&](const Place& place) { return measured(connect_stream(ground, place)); };
  Contest contest{.title = title,
                  .unit = "a s of CPU time,",
                  .against = Against::Ratio,
                  .rounds = sizes().stream_rounds,
                  .contenders = {{no_filter, in(ground.here(none))},
                                 {std::string(no_filter) + " again " + null_control, in(ground.here(none))},
                                 {empty_program, in(ground.here(ground.field.empty.directory()))}}};
  for (const Ground::Judge& each : ground.few_judges()) {
    contest.contenders.push_back({each.name(), in(each.place)});
  }
  enter(none);
  return hold(contest);
}

}  // namespace

Table contest_round_trips(const Ground& ground) {
  return hold_streams(ground, "TCP round trips of one byte", back_and_forth);
}

Table contest_throughput(const Ground& ground) { return hold_streams(ground, "TCP megabytes", pour); }

}  // namespace egress::bench
