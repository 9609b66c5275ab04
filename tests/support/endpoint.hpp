// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "support/require.hpp"

namespace egress::test {

/// An address in text and a port in host byte order.
struct Endpoint {
  std::string address;
  std::uint16_t port = 0;

  [[nodiscard]] bool v6() const { return address.find(':') != std::string::npos; }
  [[nodiscard]] int family() const { return v6() ? AF_INET6 : AF_INET; }

  /// As a destination of a rule, with the port: "203.0.113.7:53", "[2001:db8::1]:53".
  [[nodiscard]] std::string text() const { return (v6() ? "[" + address + "]" : address) + ":" + std::to_string(port); }
};

/// A socket address with its length.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

inline SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress result;
  if (endpoint.v6()) {
    auto* address = reinterpret_cast<sockaddr_in6*>(&result.storage);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(endpoint.port);
    require(inet_pton(AF_INET6, endpoint.address.c_str(), &address->sin6_addr) == 1, "read address",
            endpoint.address.c_str());
    result.length = sizeof(sockaddr_in6);
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&result.storage);
    address->sin_family = AF_INET;
    address->sin_port = htons(endpoint.port);
    require(inet_pton(AF_INET, endpoint.address.c_str(), &address->sin_addr) == 1, "read address",
            endpoint.address.c_str());
    result.length = sizeof(sockaddr_in);
  }
  return result;
}

/// The address alone, without the port.
inline std::string text_of(const SocketAddress& to) {
  char text[INET6_ADDRSTRLEN] = {};
  if (to.get()->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(to.get())->sin_addr, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(to.get())->sin6_addr, text, sizeof(text));
  }
  return text;
}

}  // namespace egress::test
