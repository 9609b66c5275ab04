// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

#include "support/require.hpp"

namespace egress::test {

/// The test's end of a socket pair over which a child answers one request after the other.
class Channel {
 public:
  /// Two connected ends; both are closed on exec.
  static std::pair<Channel, Channel> make() {
    int fds[2];
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0, "make socket pair");
    return {Channel(fds[0]), Channel(fds[1])};
  }

  Channel(Channel&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Channel& operator=(Channel&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Channel() {
    if (fd_ >= 0) close(fd_);
  }

  [[nodiscard]] int fd() const { return fd_; }

  template <typename Message>
  void send(const Message& message) const {
    static_assert(std::is_trivially_copyable_v<Message>);
    require(::send(fd_, &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message), "talk to child process");
  }

  /// False when the other end is gone.
  template <typename Message>
  [[nodiscard]] bool receive(Message& message) const {
    static_assert(std::is_trivially_copyable_v<Message>);
    return recv(fd_, &message, sizeof(message), 0) == sizeof(message);
  }

  template <typename Reply, typename Request>
  [[nodiscard]] Reply call(const Request& request) const {
    send(request);
    Reply reply{};
    require(receive(reply), "hear from child process");
    return reply;
  }

 private:
  explicit Channel(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace egress::test
