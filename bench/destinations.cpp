// SPDX-License-Identifier: GPL-2.0
#include "destinations.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <unordered_set>

#include "sizes.hpp"

namespace egress::bench {
namespace {

using Random = std::mt19937;

std::size_t octets(Family family) { return family == Family::V4 ? 4 : 16; }

Address random_address(Family family, Random& random) {
  Address address{.family = family};
  do {
    for (std::size_t i = 0; i < octets(family); ++i) address.bytes[i] = static_cast<std::uint8_t>(random());
    if (family == Family::V6) address.bytes[0] = 0x20 | (address.bytes[0] & 0x1F);
  } while (family == Family::V4 && (address.bytes[0] == 0 || address.bytes[0] == 127 || address.bytes[0] > 223));
  return address;
}

Prefix cut(Address address, unsigned length) {
  for (unsigned bit = length; bit < address.bits(); ++bit) {
    address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> bit % 8));
  }
  return {address, static_cast<std::uint8_t>(length)};
}

std::vector<unsigned> lengths_of(Family family) {
  std::vector<unsigned> lengths;
  for (unsigned each = family == Family::V4 ? 16 : 32; each <= (family == Family::V4 ? 32u : 64u); ++each) {
    lengths.push_back(each);
  }
  if (family == Family::V6) lengths.push_back(128);
  return lengths;
}

struct Hash {
  std::size_t operator()(const Address& address) const {
    std::uint64_t sum = 0;
    for (const std::uint8_t byte : address.bytes) sum = (sum ^ byte) * 0x100000001B3;
    return sum;
  }
};

}  // namespace

std::vector<Prefix> exact(Family family, int count) {
  Random random(3);
  std::unordered_set<Address, Hash> seen;
  std::vector<Prefix> all;
  while (static_cast<int>(all.size()) < count) {
    Address address = random_address(family, random);
    address.bytes[octets(family) - 1] &= 0xFE;
    if (seen.insert(address).second) all.push_back({address, static_cast<std::uint8_t>(address.bits())});
  }
  return all;
}

std::vector<Prefix> mixed(Family family, int count) {
  const std::vector<unsigned> lengths = lengths_of(family);
  Random random(7);
  std::set<Prefix> seen;
  std::vector<Prefix> all;
  for (std::size_t i = 0; static_cast<int>(all.size()) < count; ++i) {
    const Prefix prefix = cut(random_address(family, random), lengths[i % lengths.size()]);
    if (seen.insert(prefix).second) all.push_back(prefix);
  }
  return all;
}

std::vector<Address> strangers(Family family, int count) {
  std::map<unsigned, std::unordered_set<Address, Hash>> known;
  for (const Prefix& each : mixed(family, sizes().most_mixed())) known[each.length].insert(each.address);
  Random random(11);
  std::vector<Address> found;
  while (static_cast<int>(found.size()) < count) {
    Address address = random_address(family, random);
    address.bytes[octets(family) - 1] |= 1;
    const bool met = std::ranges::any_of(
        known, [&](const auto& each) { return each.second.contains(cut(address, each.first).address); });
    if (!met) found.push_back(address);
  }
  return found;
}

const std::vector<Address>& strangers(Family family) {
  static const std::vector<Address> v4 = strangers(Family::V4, sizes().strange);
  static const std::vector<Address> v6 = strangers(Family::V6, sizes().strange);
  return family == Family::V4 ? v4 : v6;
}

std::vector<RuleSpec> drops(const std::vector<Prefix>& destinations, Lifetime lifetime) {
  std::vector<RuleSpec> rules;
  rules.reserve(destinations.size());
  for (const Prefix& each : destinations) {
    RuleSpec rule;
    rule.destination.prefix = each;
    rule.lifetime = lifetime;
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace egress::bench
