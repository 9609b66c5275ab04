// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>

namespace egress::test {

/// A file of a new network namespace; the caller stays where it is.
[[nodiscard]] int make_network_namespace();

/// A datagram socket of that namespace, close on exec.
[[nodiscard]] int datagram_socket_in(int netns);

/// Two network namespaces joined by a wire, known to this process alone: they are gone with its last file
/// and child. Addresses: client 192.0.2.1/24 and 2001:db8::1/64, peer .2 and ::2; the peer owns everything
/// in `peer_addresses` too, and the client routes everything to it. Neighbours are fixed, so the first packet
/// leaves at once. The client's device does not segment: what the peer sees is the wire.
class Network {
 public:
  Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  static constexpr const char* client_device = "c0";
  static constexpr const char* peer_device = "p0";

  [[nodiscard]] int client() const { return client_; }
  [[nodiscard]] int peer() const { return peer_; }

 private:
  int client_ = -1;
  int peer_ = -1;
};

}  // namespace egress::test
