// SPDX-License-Identifier: GPL-2.0
#include "egress/socket.hpp"

#include <fmt/format.h>

namespace egress {
namespace {

std::string endpoint(const Address& address, std::uint16_t port) {
  return address.family == Family::V6 ? fmt::format("[{}]:{}", format(address), port)
                                      : fmt::format("{}:{}", format(address), port);
}

}  // namespace

std::string format(const Socket& socket) {
  const std::string_view protocol = socket.protocol == protocol::udp ? "udp" : "tcp";
  const std::string local = endpoint(socket.local, socket.local_port);
  switch (socket.state) {
    case Socket::State::Listening:
      return fmt::format("{} listening on {}", protocol, local);
    case Socket::State::Connected:
      return fmt::format("{} {} to {}", protocol, local, endpoint(socket.remote, socket.remote_port));
    case Socket::State::Unconnected:
      break;
  }
  return fmt::format("{} {}", protocol, local);
}

}  // namespace egress
