// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "support/peer.hpp"

namespace egress::test {

/// What a frame is counted under.
struct FrameKey {
  std::array<std::uint8_t, 16> to{};  ///< IPv4-mapped for IPv4
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  std::uint16_t from_port = 0;

  auto operator<=>(const FrameKey&) const = default;
};

/// Counts the IP packets that arrive on a device.
class Sniffer {
 public:
  /// In the network namespace of the caller.
  explicit Sniffer(const std::string& device);

  [[nodiscard]] int fd() const { return fd_; }
  /// Takes everything that waits.
  void drain();
  [[nodiscard]] std::uint64_t unseen();
  [[nodiscard]] const std::map<FrameKey, Arrived>& frames() const { return frames_; }

 private:
  void count(std::span<const std::uint8_t> packet);

  int fd_ = -1;
  std::uint64_t unseen_ = 0;
  std::map<FrameKey, Arrived> frames_;
};

/// IPv4 addresses become IPv4-mapped.
[[nodiscard]] std::array<std::uint8_t, 16> address_key(const std::string& text);

}  // namespace egress::test
