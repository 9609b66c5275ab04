// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "support/channel.hpp"
#include "support/child_process.hpp"
#include "support/endpoint.hpp"

namespace egress::test {

/// Packets that arrived, as they were on the wire, and their IP bytes.
struct Arrived {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;

  bool operator==(const Arrived&) const = default;
  Arrived operator-(const Arrived& before) const { return {packets - before.packets, bytes - before.bytes}; }
};

/// Which arrivals to count; what is not named is not asked for.
struct Arrivals {
  std::optional<std::string> to;
  std::optional<std::uint16_t> port;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint16_t> from_port;
};

/// The far end of the wire: a process in its own network namespace that sees every frame arriving on its
/// device (whether or not a socket takes it), takes datagrams and accepts connections.
class Peer {
 public:
  /// `device` is looked up in `netns`.
  static Peer start(int netns, const std::string& device);

  /// Takes UDP and UDP-Lite datagrams to this port, on every address, so that no ICMP error answers them.
  void take_datagrams(std::uint16_t port) const;
  /// Accepts connections to this port, on every address, and reads them empty.
  void accept_connections(std::uint16_t port) const;

  /// What arrived so far. Exact for packets sent before the last Lab::settle().
  [[nodiscard]] Arrived arrived(const Arrivals& arrivals) const;
  [[nodiscard]] Arrived datagrams(const Endpoint& to) const;
  /// Waits until so many packets arrived; false after `bound`.
  [[nodiscard]] bool wait_for(const Arrivals& arrivals, std::uint64_t packets, std::chrono::milliseconds bound) const;

  /// Payload bytes read from connections to this port.
  [[nodiscard]] std::uint64_t stream_bytes(std::uint16_t port) const;
  [[nodiscard]] bool wait_for_stream(std::uint16_t port, std::uint64_t bytes, std::chrono::milliseconds bound) const;
  [[nodiscard]] std::uint64_t connections(std::uint16_t port) const;

  /// Frames that came too fast to be seen: must be zero for the counts to be exact.
  [[nodiscard]] std::uint64_t unseen() const;

 private:
  Peer(Channel channel, ChildProcess child) : channel_(std::move(channel)), child_(std::move(child)) {}
  Channel channel_;
  ChildProcess child_;
};

}  // namespace egress::test
