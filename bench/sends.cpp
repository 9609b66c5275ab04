// SPDX-License-Identifier: GPL-2.0
// What a sender feels: UDP sockets, 64 bytes a datagram, loopback.
#include <fmt/format.h>
#include <sys/socket.h>

#include <memory>

#include "contests.hpp"
#include "destinations.hpp"
#include "sizes.hpp"

namespace egress::bench {
namespace {

constexpr int sends = 10'000;  ///< of one slice
const char datagram[64] = {};

double a_second(double since) { return sends / (cpu_time() - since) * 1e9; }

std::function<double()> send_to_one(const Place& place, const Address& to, bool passes) {
  return [fd = connected_socket(place, to), passes] {
    const double start = cpu_time();
    for (int i = 0; i < sends; ++i) {
      const bool passed = send(fd, datagram, sizeof datagram, 0) > 0;
      test::require(passed == passes, "send as expected");
    }
    return a_second(start);
  };
}

using Endpoints = std::shared_ptr<const std::vector<Endpoint>>;

/// The next ones each time: it takes all of them before one comes again.
std::function<double()> send_to_many(const Place& place, const Endpoints& to) {
  return [fd = socket_in(place, to->front().family(), SOCK_DGRAM), to, at = std::size_t{0}]() mutable {
    const double start = cpu_time();
    for (int i = 0; i < sends; ++i) {
      const Endpoint& end = (*to)[at++ % to->size()];
      test::require(sendto(fd, datagram, sizeof datagram, 0, end.raw(), end.length) > 0, "send");
    }
    return a_second(start);
  };
}

template <typename Measured>
std::vector<Contender> senders(const Ground& ground, const std::vector<Ground::Judge>& judges,
                               const Measured& measured) {
  const std::string none = ground.field.none.directory();
  std::vector<Contender> all{
      {no_filter, measured(ground.here(none))},
      {std::string(no_filter) + " again " + null_control, measured(ground.here(none))},
      {std::string(no_filter) + ", another namespace", measured(Place{none, ground.other_network})},
      {empty_program, measured(ground.here(ground.field.empty.directory()))},
      {free_cgroup, measured(ground.here(ground.field.instance.root().directory() + "/free"))},
  };
  for (const Ground::Judge& each : judges) all.push_back({each.name(), measured(each.place)});
  enter(none);
  return all;
}

Table hold_sends(const std::string& title, Family family, std::vector<Contender> contenders) {
  return hold({.title = title + (family == Family::V6 ? ", IPv6" : ""),
               .unit = "a s of CPU time,",
               .against = Against::Ratio,
               .rounds = sizes().send_rounds,
               .contenders = std::move(contenders)});
}

}  // namespace

Table contest_sends(const Ground& ground, Family family) {
  const auto measured = [&](const Place& place) { return send_to_one(place, strangers(family).front(), true); };
  return hold_sends("UDP sends to one destination", family, senders(ground, ground.judges(family), measured));
}

Table contest_sends_to_many(const Ground& ground, Family family) {
  auto ends = std::make_shared<std::vector<Endpoint>>();
  for (const Address& each : strangers(family)) ends->emplace_back(each, sink_port);
  const auto measured = [&](const Place& place) { return send_to_many(place, ends); };
  return hold_sends(fmt::format("UDP sends to {} destinations", grouped(sizes().strange)), family,
                    senders(ground, ground.judges(family), measured));
}

Table contest_unconnected_sends(const Ground& ground) {
  auto end = std::make_shared<std::vector<Endpoint>>();
  end->emplace_back(strangers(Family::V4).front(), sink_port);
  const auto measured = [&](const Place& place) { return send_to_many(place, end); };
  return hold_sends("UDP sends to one destination, not connected", Family::V4,
                    senders(ground, ground.few_judges(), measured));
}

Table contest_drops(const Ground& ground) {
  const Address denied = exact(Family::V4, 1).front().address;
  const Place none = ground.here(ground.field.none.directory());
  std::vector<Contender> all{{no_filter, send_to_one(none, denied, true)},
                             {std::string(no_filter) + " again " + null_control, send_to_one(none, denied, true)}};
  for (const Ground::Judge& each : ground.judges(Family::V4)) {
    if (!each.list.networks && each.who != alone) all.push_back({each.name(), send_to_one(each.place, denied, false)});
  }
  enter(none.cgroup);
  return hold_sends("UDP sends that are dropped (no filter: that pass)", Family::V4, std::move(all));
}

}  // namespace egress::bench
