// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace egress::test {

using ByteList = std::vector<std::byte>;

/// A finished IP packet. Made by Ipv4 and Ipv6:
///
///   Ipv4{.dst = "192.0.2.7"}.option(7, {3, 4}).udp(0x1234)
///   Ipv6{.dst = "2001:db8::7"}.hop_by_hop().fragment({.offset = 8}).tcp(0x1234)
///
/// Headers are right, lengths and IPv4's header checksum included, unless a field says otherwise; checksums of the
/// transport are zero.
class Packet {
 public:
  explicit Packet(ByteList bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  /// The first `length` bytes of it; lengths inside stay as they were.
  [[nodiscard]] Packet truncated(std::size_t length) const;
  /// The same with one byte overwritten.
  [[nodiscard]] Packet with_byte(std::size_t offset, std::uint8_t value) const;
  /// With a 14-byte Ethernet header in front, its type taken from the version of the packet.
  [[nodiscard]] ByteList ethernet() const;

 private:
  ByteList bytes_;
};

/// What the two builders have in common: the transport, which finishes the packet. `payload` is its length in bytes.
template <typename Derived>
class Transport {
 public:
  [[nodiscard]] Packet tcp(std::uint16_t dport, std::size_t payload = 8) const;
  [[nodiscard]] Packet udp(std::uint16_t dport, std::size_t payload = 8) const;
  [[nodiscard]] Packet udplite(std::uint16_t dport, std::size_t payload = 8) const;
  [[nodiscard]] Packet sctp(std::uint16_t dport, std::size_t payload = 8) const;
  [[nodiscard]] Packet dccp(std::uint16_t dport, std::size_t payload = 8) const;
  /// Anything: `bytes` follow the header, which names `protocol`.
  [[nodiscard]] Packet raw(std::uint8_t protocol, const ByteList& bytes) const;

 private:
  [[nodiscard]] const Derived& self() const { return static_cast<const Derived&>(*this); }
};

/// Bytes from numbers, for options and payloads.
[[nodiscard]] ByteList byte_list(std::initializer_list<int> values);

struct Ipv4Fields {
  std::string dst = "192.0.2.7";
  std::string src = "198.51.100.1";
  std::optional<std::uint8_t> version{};        ///< instead of 4
  std::optional<std::uint8_t> ihl{};            ///< instead of the right one, in words
  std::optional<std::uint16_t> total_length{};  ///< instead of the right one
  std::uint16_t fragment_offset = 0;            ///< in units of 8 bytes
  bool more_fragments = false;
  bool do_not_fragment = false;
};

class Ipv4 : public Transport<Ipv4> {
 public:
  explicit Ipv4(Ipv4Fields fields = {}) : fields_(std::move(fields)) {}

  /// Adds an option of `kind` with `data`; its length byte is right.
  [[nodiscard]] Ipv4 option(std::uint8_t kind, std::initializer_list<int> data) const;
  /// Adds bytes to the options as they are; the end is padded with end-of-list options.
  [[nodiscard]] Ipv4 option_bytes(std::initializer_list<int> bytes) const;
  /// Fragment at `offset`, in units of 8 bytes.
  [[nodiscard]] Ipv4 fragment(std::uint16_t offset, bool more = false) const;

  [[nodiscard]] Packet icmp(std::uint8_t type) const;
  [[nodiscard]] Packet finish(std::uint8_t protocol, const ByteList& transport) const;

 private:
  Ipv4Fields fields_;
  ByteList options_;
};

struct Ipv6Fields {
  std::string dst = "2001:db8::7";
  std::string src = "2001:db8:1::1";
  std::optional<std::uint8_t> version{};  ///< instead of 6
};

struct Ipv6Fragment {
  std::uint16_t offset = 0;  ///< in units of 8 bytes
  bool more = true;
};

class Ipv6 : public Transport<Ipv6> {
 public:
  explicit Ipv6(Ipv6Fields fields = {}) : fields_(std::move(fields)) {}

  /// Each adds one extension header behind those there. `units` is the header's own length field.
  [[nodiscard]] Ipv6 hop_by_hop(std::uint8_t units = 0) const { return extension(0, units); }
  [[nodiscard]] Ipv6 routing(std::uint8_t units = 0) const { return extension(43, units); }
  [[nodiscard]] Ipv6 destination_options(std::uint8_t units = 0) const { return extension(60, units); }
  [[nodiscard]] Ipv6 mobility(std::uint8_t units = 0) const { return extension(135, units); }
  [[nodiscard]] Ipv6 hip(std::uint8_t units = 0) const { return extension(139, units); }
  [[nodiscard]] Ipv6 shim6(std::uint8_t units = 0) const { return extension(140, units); }
  /// `units` of AH count 4 bytes, less two: 4 is the 24 bytes of HMAC-SHA1-96.
  [[nodiscard]] Ipv6 authentication(std::uint8_t units = 4) const;
  [[nodiscard]] Ipv6 fragment(Ipv6Fragment fragment = {}) const;
  /// A header of `kind` in the common form, (units + 1) * 8 bytes.
  [[nodiscard]] Ipv6 extension(std::uint8_t kind, std::uint8_t units = 0) const;

  [[nodiscard]] Packet icmpv6(std::uint8_t type) const;
  [[nodiscard]] Packet neighbour_solicitation() const { return icmpv6(135); }
  [[nodiscard]] Packet mld_report() const { return icmpv6(143); }
  [[nodiscard]] Packet finish(std::uint8_t protocol, const ByteList& transport) const;

 private:
  struct Extension {
    std::uint8_t kind = 0;
    ByteList bytes;  ///< the first, next header, is filled in at the end
  };

  [[nodiscard]] Ipv6 with(Extension extension) const;

  Ipv6Fields fields_;
  std::vector<Extension> chain_;
};

}  // namespace egress::test
