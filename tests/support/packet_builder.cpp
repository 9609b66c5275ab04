// SPDX-License-Identifier: GPL-2.0
#include "support/packet_builder.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace egress::test {
namespace {

constexpr std::uint16_t source_port = 0x8765;

void put(ByteList& bytes, int value) { bytes.push_back(static_cast<std::byte>(value)); }

void put16(ByteList& bytes, std::uint16_t value) {
  put(bytes, value >> 8);
  put(bytes, value & 0xFF);
}

void set16(ByteList& bytes, std::size_t offset, std::uint16_t value) {
  bytes[offset] = static_cast<std::byte>(value >> 8);
  bytes[offset + 1] = static_cast<std::byte>(value & 0xFF);
}

void append(ByteList& bytes, std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

/// The bytes of an address; a test that misspells one ends here.
ByteList address(int family, const std::string& text) {
  std::array<std::byte, 16> bytes{};
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) std::abort();
  return {bytes.begin(), bytes.begin() + (family == AF_INET ? 4 : 16)};
}

std::uint16_t internet_checksum(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += std::to_integer<std::uint32_t>(bytes[i]) << 8 | std::to_integer<std::uint32_t>(bytes[i + 1]);
  while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// Ports, then zeros up to the size of the header, then the payload.
ByteList ports_header(std::uint16_t dport, std::size_t header, std::size_t payload) {
  ByteList bytes;
  put16(bytes, source_port);
  put16(bytes, dport);
  bytes.resize(header);
  bytes.resize(header + payload, std::byte{0xA5});
  return bytes;
}

ByteList icmp_message(std::uint8_t type) {
  ByteList bytes(24);
  bytes[0] = std::byte{type};
  return bytes;
}

}  // namespace

ByteList byte_list(std::initializer_list<int> values) {
  ByteList bytes;
  for (const int value : values) put(bytes, value);
  return bytes;
}

Packet Packet::truncated(std::size_t length) const {
  return Packet({bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(std::min(length, bytes_.size()))});
}

Packet Packet::with_byte(std::size_t offset, std::uint8_t value) const {
  Packet changed = *this;
  changed.bytes_.at(offset) = std::byte{value};
  return changed;
}

ByteList Packet::ethernet() const {
  ByteList frame = byte_list({0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01});
  const bool ipv6 = !bytes_.empty() && std::to_integer<int>(bytes_[0]) >> 4 == 6;
  put16(frame, ipv6 ? 0x86DD : 0x0800);
  append(frame, bytes_);
  return frame;
}

template <typename Derived>
Packet Transport<Derived>::tcp(std::uint16_t dport, std::size_t payload) const {
  ByteList bytes = ports_header(dport, 20, payload);
  bytes[12] = std::byte{0x50};  // five words of header
  bytes[13] = std::byte{0x02};  // SYN
  return self().finish(6, bytes);
}

template <typename Derived>
Packet Transport<Derived>::udp(std::uint16_t dport, std::size_t payload) const {
  ByteList bytes = ports_header(dport, 8, payload);
  set16(bytes, 4, static_cast<std::uint16_t>(bytes.size()));
  return self().finish(17, bytes);
}

template <typename Derived>
Packet Transport<Derived>::udplite(std::uint16_t dport, std::size_t payload) const {
  return self().finish(136, ports_header(dport, 8, payload));
}

template <typename Derived>
Packet Transport<Derived>::sctp(std::uint16_t dport, std::size_t payload) const {
  return self().finish(132, ports_header(dport, 12, payload));
}

template <typename Derived>
Packet Transport<Derived>::dccp(std::uint16_t dport, std::size_t payload) const {
  ByteList bytes = ports_header(dport, 16, payload);
  bytes[4] = std::byte{4};  // data offset in words
  return self().finish(33, bytes);
}

template <typename Derived>
Packet Transport<Derived>::raw(std::uint8_t protocol, const ByteList& bytes) const {
  return self().finish(protocol, bytes);
}

template class Transport<Ipv4>;
template class Transport<Ipv6>;

Ipv4 Ipv4::option(std::uint8_t kind, std::initializer_list<int> data) const {
  Ipv4 next = *this;
  put(next.options_, kind);
  put(next.options_, static_cast<int>(data.size()) + 2);
  append(next.options_, byte_list(data));
  return next;
}

Ipv4 Ipv4::option_bytes(std::initializer_list<int> bytes) const {
  Ipv4 next = *this;
  append(next.options_, byte_list(bytes));
  return next;
}

Ipv4 Ipv4::fragment(std::uint16_t offset, bool more) const {
  Ipv4 next = *this;
  next.fields_.fragment_offset = offset;
  next.fields_.more_fragments = more;
  return next;
}

Packet Ipv4::icmp(std::uint8_t type) const { return finish(1, icmp_message(type)); }

Packet Ipv4::finish(std::uint8_t protocol, const ByteList& transport) const {
  ByteList options = options_;
  options.resize((options.size() + 3) / 4 * 4);
  const std::size_t header = 20 + options.size();
  const auto words = static_cast<int>(header / 4);
  const auto total = static_cast<std::uint16_t>(header + transport.size());
  const int flags = (fields_.more_fragments ? 0x2000 : 0) | (fields_.do_not_fragment ? 0x4000 : 0);

  ByteList bytes;
  put(bytes, fields_.version.value_or(4) << 4 | fields_.ihl.value_or(static_cast<std::uint8_t>(words)));
  put(bytes, 0);
  put16(bytes, fields_.total_length.value_or(total));
  put16(bytes, 0x4321);
  put16(bytes, static_cast<std::uint16_t>(flags | fields_.fragment_offset));
  put(bytes, 64);
  put(bytes, protocol);
  put16(bytes, 0);
  append(bytes, address(AF_INET, fields_.src));
  append(bytes, address(AF_INET, fields_.dst));
  append(bytes, options);
  set16(bytes, 10, internet_checksum(bytes));
  append(bytes, transport);
  return Packet(std::move(bytes));
}

Ipv6 Ipv6::with(Extension extension) const {
  Ipv6 next = *this;
  next.chain_.push_back(std::move(extension));
  return next;
}

Ipv6 Ipv6::extension(std::uint8_t kind, std::uint8_t units) const {
  ByteList bytes((units + std::size_t{1}) * 8);
  bytes[1] = std::byte{units};
  return with({kind, std::move(bytes)});
}

Ipv6 Ipv6::authentication(std::uint8_t units) const {
  ByteList bytes((units + std::size_t{2}) * 4);
  bytes[1] = std::byte{units};
  return with({51, std::move(bytes)});
}

Ipv6 Ipv6::fragment(Ipv6Fragment fragment) const {
  ByteList bytes(8);
  set16(bytes, 2, static_cast<std::uint16_t>(fragment.offset << 3 | (fragment.more ? 1 : 0)));
  set16(bytes, 6, 0x4321);
  return with({44, std::move(bytes)});
}

Packet Ipv6::icmpv6(std::uint8_t type) const { return finish(58, icmp_message(type)); }

Packet Ipv6::finish(std::uint8_t protocol, const ByteList& transport) const {
  ByteList rest;
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    ByteList header = chain_[i].bytes;
    header[0] = std::byte{i + 1 < chain_.size() ? chain_[i + 1].kind : protocol};
    append(rest, header);
  }
  append(rest, transport);

  ByteList bytes;
  put(bytes, fields_.version.value_or(6) << 4);
  bytes.resize(4);
  put16(bytes, static_cast<std::uint16_t>(rest.size()));
  put(bytes, chain_.empty() ? protocol : chain_.front().kind);
  put(bytes, 64);
  append(bytes, address(AF_INET6, fields_.src));
  append(bytes, address(AF_INET6, fields_.dst));
  append(bytes, rest);
  return Packet(std::move(bytes));
}

}  // namespace egress::test
