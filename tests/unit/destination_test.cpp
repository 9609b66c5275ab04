// SPDX-License-Identifier: GPL-2.0
#include "egress/destination.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/address.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

using test::BadCase;
using test::destination;

Address address(std::string_view text) {
  auto out = parse_address(text);
  EXPECT_TRUE(out) << text;
  return out ? *out : Address{};
}

// ---- canonical text ----

struct TextCase {
  std::string text;
  std::string canonical;
};

std::ostream& operator<<(std::ostream& out, const TextCase& c) { return out << c.text; }

class DestinationText : public testing::TestWithParam<TextCase> {};

TEST_P(DestinationText, IsReadAndPrintedInCanonicalForm) {
  const auto read = parse_destination(GetParam().text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(format(*read), GetParam().canonical);
  const auto again = parse_destination(GetParam().canonical);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *read);
}

INSTANTIATE_TEST_SUITE_P(Any, DestinationText,
                         testing::Values(TextCase{"any", "any"}, TextCase{"any:25/tcp", "any:25/tcp"},
                                         TextCase{"any:53", "any:53"}, TextCase{"any/icmp", "any/icmp"},
                                         TextCase{"any/24", "any/24"}, TextCase{"any/0", "any/0"},
                                         TextCase{"any:8000-8099/udp", "any:8000-8099/udp"},
                                         TextCase{"any/6", "any/tcp"}, TextCase{"any:1-65535", "any:1-65535"}));

INSTANTIATE_TEST_SUITE_P(
    V4, DestinationText,
    testing::Values(TextCase{"8.8.8.8", "8.8.8.8"}, TextCase{"8.8.8.8:53", "8.8.8.8:53"},
                    TextCase{"8.8.8.8:53/udp", "8.8.8.8:53/udp"}, TextCase{"8.8.8.8/32", "8.8.8.8"},
                    TextCase{"8.8.8.8/32:53", "8.8.8.8:53"}, TextCase{"8.8.8.8/udp", "8.8.8.8/udp"},
                    TextCase{"203.0.113.0/24:8000-8099/tcp", "203.0.113.0/24:8000-8099/tcp"},
                    TextCase{"203.0.113.77/24", "203.0.113.0/24"}, TextCase{"10.0.0.0/udp", "10.0.0.0/udp"},
                    TextCase{"10.255.255.255/9", "10.128.0.0/9"}, TextCase{"255.255.255.255/31", "255.255.255.254/31"},
                    TextCase{"0.0.0.0/0", "0.0.0.0/0"}, TextCase{"1.2.3.4/0", "0.0.0.0/0"},
                    TextCase{"0.0.0.0", "0.0.0.0"}, TextCase{"1.2.3.4:80-80", "1.2.3.4:80"},
                    TextCase{"1.2.3.4:1", "1.2.3.4:1"}, TextCase{"1.2.3.4:65535/sctp", "1.2.3.4:65535/sctp"},
                    TextCase{"1.2.3.4/32/47", "1.2.3.4/32/47"}, TextCase{"1.2.3.0/24/47", "1.2.3.0/24/47"},
                    TextCase{"1.2.3.4/17", "1.2.0.0/17"}, TextCase{"1.2.3.4/32/17", "1.2.3.4/udp"}));

INSTANTIATE_TEST_SUITE_P(
    V6, DestinationText,
    testing::Values(TextCase{"2001:db8::/32", "2001:db8::/32"}, TextCase{"2001:db8::/32/udp", "2001:db8::/32/udp"},
                    TextCase{"[2001:db8::1]:443", "[2001:db8::1]:443"},
                    TextCase{"[2001:db8::/32]:443/tcp", "[2001:db8::/32]:443/tcp"},
                    TextCase{"[2001:db8::]/32:443", "[2001:db8::/32]:443"},
                    TextCase{"[2001:db8::]/32:443-444/udp", "[2001:db8::/32]:443-444/udp"},
                    TextCase{"[2001:db8::]/32", "2001:db8::/32"}, TextCase{"[2001:db8::]/32/tcp", "2001:db8::/32/tcp"},
                    TextCase{"[2001:db8::/32]", "2001:db8::/32"}, TextCase{"[2001:db8::/32]/50", "2001:db8::/32/50"},
                    TextCase{"[2001:db8::1]", "2001:db8::1"}, TextCase{"[2001:db8::1]/icmp", "2001:db8::1/icmp"},
                    TextCase{"2001:db8::1/128", "2001:db8::1"}, TextCase{"[2001:db8::1/128]:80", "[2001:db8::1]:80"},
                    TextCase{"2001:db8::1/128/47", "2001:db8::1/128/47"},
                    TextCase{"2001:db8::1/udp", "2001:db8::1/udp"}, TextCase{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
                    TextCase{"2001:db8::ffff/33", "2001:db8::/33"},
                    TextCase{"2001:db8:ffff::/33", "2001:db8:8000::/33"}, TextCase{"::/0", "::/0"},
                    TextCase{"::", "::"}, TextCase{"::1", "::1"}, TextCase{"2001:db8::1:443", "2001:db8::1:443"}));

INSTANTIATE_TEST_SUITE_P(
    C6MappedV4, DestinationText,
    testing::Values(TextCase{"::ffff:1.2.3.4", "1.2.3.4"}, TextCase{"::ffff:102:304", "1.2.3.4"},
                    TextCase{"[::ffff:1.2.3.4]:53/udp", "1.2.3.4:53/udp"}, TextCase{"::ffff:1.2.3.4/120", "1.2.3.0/24"},
                    TextCase{"::ffff:1.2.3.4/96", "0.0.0.0/0"}, TextCase{"::ffff:1.2.3.4/128", "1.2.3.4"},
                    TextCase{"[::ffff:1.2.3.4/112]:7", "1.2.0.0/16:7"}, TextCase{"::ffff:0:0/95", "::fffe:0:0/95"},
                    TextCase{"::fffe:0:0/96", "::fffe:0:0/96"}, TextCase{"::1.2.3.4", "::102:304"}));

INSTANTIATE_TEST_SUITE_P(Protocols, DestinationText,
                         testing::Values(TextCase{"any/tcp", "any/tcp"}, TextCase{"any/udp", "any/udp"},
                                         TextCase{"any/sctp", "any/sctp"}, TextCase{"any/udplite", "any/udplite"},
                                         TextCase{"any/dccp", "any/dccp"}, TextCase{"any/1", "any/icmp"},
                                         TextCase{"any/58", "any/58"}, TextCase{"any/17", "any/udp"},
                                         TextCase{"any/33", "any/dccp"}, TextCase{"any/132", "any/sctp"},
                                         TextCase{"any/136", "any/udplite"}, TextCase{"any/255", "any/255"},
                                         TextCase{"any:9/136", "any:9/udplite"}, TextCase{"any/2", "any/2"}));

// ---- values ----

TEST(Destination, AnyHasNoPrefix) {
  EXPECT_EQ(destination("any"), Destination{});
  EXPECT_NE(destination("0.0.0.0/0"), destination("any"));
  EXPECT_NE(destination("::/0"), destination("0.0.0.0/0"));
  EXPECT_EQ(destination("0.0.0.0/0").prefix->length, 0);
}

TEST(Destination, HoldsItsPartsInHostOrder) {
  const Destination d = destination("203.0.113.7/32:4660-22136/udp");
  EXPECT_EQ(d.prefix->address.family, Family::V4);
  EXPECT_EQ(d.prefix->address.bytes[0], 203);
  EXPECT_EQ(d.prefix->address.bytes[3], 7);
  EXPECT_EQ(d.prefix->length, 32);
  EXPECT_EQ(d.ports, (PortRange{0x1234, 0x5678}));
  EXPECT_EQ(d.protocol, 17);
}

TEST(Destination, ClearsHostBitsOfAPrefix) {
  const Prefix prefix = *destination("255.255.255.255/13").prefix;
  EXPECT_EQ(format(prefix), "255.248.0.0/13");
  EXPECT_EQ(*destination("2001:db8:ffff:ffff::/36").prefix, *destination("2001:db8:f000::/36").prefix);
}

TEST(Destination, LeavesUnusedBytesOfAnIpv4AddressZero) {
  const Address a = address("::ffff:255.255.255.255");
  for (std::size_t i = 4; i < a.bytes.size(); ++i) EXPECT_EQ(a.bytes[i], 0) << i;
}

TEST(Destination, StoresIcmpAsOneAndKeepsFiftyEight) {
  EXPECT_EQ(destination("any/icmp").protocol, protocol::icmp);
  EXPECT_EQ(destination("2001:db8::1/icmp").protocol, protocol::icmp);
  EXPECT_EQ(destination("any/58").protocol, protocol::icmpv6);
  EXPECT_NE(destination("any/58"), destination("any/icmp"));
}

TEST(Destination, KeepsARangeOfAllPorts) { EXPECT_EQ(destination("any:1-65535").ports, (PortRange{1, 65535})); }

TEST(Destination, TakesZeroAsAProtocolAndNotAsNone) { EXPECT_EQ(destination("any/0").protocol, std::uint8_t{0}); }

TEST(Destination, ReadsANumberBehindAnAddressAsPrefixLength) {
  EXPECT_EQ(destination("10.0.0.0/17").prefix->length, 17);
  EXPECT_FALSE(destination("10.0.0.0/17").protocol);
  EXPECT_EQ(destination("any/17").protocol, 17);
}

// ---- malformed input ----

class BadDestination : public testing::TestWithParam<BadCase> {};

TEST_P(BadDestination, IsRefusedWithItsCause) {
  const auto read = parse_destination(GetParam().text);
  ASSERT_FALSE(read) << format(*read);
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_NE(read.error().message().find(GetParam().message), std::string::npos) << read.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    Ports, BadDestination,
    testing::Values(BadCase{"8.8.8.8:70000", "8.8.8.8:70000: port 70000 is not between 1 and 65535"},
                    BadCase{"8.8.8.8:0", "port 0 is not between 1 and 65535"},
                    BadCase{"8.8.8.8:65536", "port 65536 is not"},
                    BadCase{"8.8.8.8:18446744073709551669", "port 18446744073709551669 is not"},
                    BadCase{"8.8.8.8:+53", "port +53 is not between 1 and 65535 (a decimal number without sign"},
                    BadCase{"8.8.8.8:-53", "the port is missing"}, BadCase{"8.8.8.8:053", "or leading zero"},
                    BadCase{"8.8.8.8:0x35", "port 0x35 is not"}, BadCase{"8.8.8.8:1e3", "port 1e3 is not"},
                    BadCase{"8.8.8.8:domain", "port domain is not"}, BadCase{"8.8.8.8:", "the port is missing"},
                    BadCase{"8.8.8.8:53-", "the port is missing"}, BadCase{"8.8.8.8:/udp", "the port is missing"},
                    BadCase{"8.8.8.8:80-90-100", "port 90-100 is not"}, BadCase{"8.8.8.8:0-80", "port 0 is not"},
                    BadCase{"8.8.8.8:80-65536", "port 65536 is not"},
                    BadCase{"8.8.8.8:90-80", "port range 90-80 is reversed (80-90)"},
                    BadCase{"any:53/icmp", "protocol icmp has no ports (ports go with tcp, udp"},
                    BadCase{"any:53/47", "protocol 47 has no ports"}, BadCase{"any:53/58", "protocol 58 has no ports"},
                    BadCase{"10.0.0.0/udp:53", "the port stands behind the protocol"},
                    BadCase{"2001:db8::/32:443", "stands in brackets ([2001:db8::/32]:443)"},
                    BadCase{"8.8.8.8:53:54", "not an IPv6 address"}));

INSTANTIATE_TEST_SUITE_P(
    Lengths, BadDestination,
    testing::Values(BadCase{"10.0.0.0/33", "prefix length 33 is not between 0 and 32"},
                    BadCase{"2001:db8::/129", "prefix length 129 is not between 0 and 128"},
                    BadCase{"::ffff:1.2.3.4/129", "prefix length 129 is not between 0 and 128"},
                    BadCase{"10.0.0.0/08", "prefix length 08 is not"},
                    BadCase{"10.0.0.0/24x", "prefix length 24x is not"},
                    BadCase{"10.0.0.0/99999999999999999999", "prefix length 99999999999999999999 is not"},
                    BadCase{"10.0.0.0/", "the protocol is missing"}, BadCase{"10.0.0.0/+8", "unknown protocol +8"},
                    BadCase{"10.0.0.0/-8", "unknown protocol -8"},
                    BadCase{"[2001:db8::/]:80", "the prefix length is missing"},
                    BadCase{"[2001:db8::/x]:80", "prefix length x is not"},
                    BadCase{"[2001:db8::/32]/48:80", "the port stands behind the protocol"},
                    BadCase{"10.0.0.0/255.0.0.0", "prefix length 255.0.0.0 is not"}));

INSTANTIATE_TEST_SUITE_P(
    Protocols, BadDestination,
    testing::Values(BadCase{"any/256", "protocol 256 is not between 0 and 255"},
                    BadCase{"any/06", "protocol 06 is not"},
                    BadCase{"any/http", "unknown protocol http (tcp, udp, icmp, sctp, udplite, dccp or a number"},
                    BadCase{"any/TCP", "unknown protocol TCP"}, BadCase{"any/icmpv6", "unknown protocol icmpv6"},
                    BadCase{"any/", "the protocol is missing"}, BadCase{"any:53/", "the protocol is missing"},
                    BadCase{"any/tcp/udp", "unknown protocol tcp/udp"},
                    BadCase{"8.8.8.8/24/32/tcp", "protocol 32/tcp is not"},
                    BadCase{"8.8.8.8/24/", "the protocol is missing"}));

INSTANTIATE_TEST_SUITE_P(
    Addresses, BadDestination,
    testing::Values(BadCase{"", "an empty destination"},
                    BadCase{"example.com:80", "example.com is not an IP address (names are not looked up"},
                    BadCase{"ANY", "not an IP address"}, BadCase{"anyone", "anyone is not an IP address"},
                    BadCase{"1.2.3", "1.2.3 is not an IPv4 address"}, BadCase{"1.2.3.4.5", "is not an IPv4 address"},
                    BadCase{"01.2.3.4", "01.2.3.4 is not an IPv4 address"},
                    BadCase{"1.2.3.256", "is not an IPv4 address"}, BadCase{"0x7f.0.0.1", "is not an IP address"},
                    BadCase{"2130706433", "is not an IPv4 address"}, BadCase{"1.2.3.-4", "is not an IP address"},
                    BadCase{".", "is not an IPv4 address"}, BadCase{":53", "the address is missing"},
                    BadCase{"/24", "the address is missing"}, BadCase{"2001:db8", "2001 is not an IPv4 address"},
                    BadCase{"2001:db8:443", "is not an IPv6 address"}, BadCase{":::", "is not an IPv6 address"},
                    BadCase{"1::2::3", "is not an IPv6 address"},
                    BadCase{"1:2:3:4:5:6:7:8:9", "is not an IPv6 address"},
                    BadCase{"12345::", "is not an IPv6 address"}, BadCase{"::ffff:1.2.3.04", "is not an IPv6 address"},
                    BadCase{"fe80::1%eth0", "an address with a scope id cannot be matched"},
                    BadCase{"[fe80::1%eth0]:80", "scope id"}, BadCase{"[2001:db8::1", "the closing ] is missing"},
                    BadCase{"[2001:db8::1]443", "443 cannot follow the address"},
                    BadCase{"[1.2.3.4]:80", "only an IPv6 address stands in brackets"},
                    BadCase{"[any]:80", "only an IPv6 address stands in brackets"},
                    BadCase{"[]:80", "only an IPv6 address stands in brackets"},
                    BadCase{"[[::1]]:80", "]:80 cannot follow the address"},
                    BadCase{"::1]:80", "is not an IPv6 address"},
                    BadCase{"1.2.3.4]:80", "1.2.3.4] is not an IP address"}));

INSTANTIATE_TEST_SUITE_P(
    Characters, BadDestination,
    testing::Values(BadCase{" 8.8.8.8", "a blank, control or non-ASCII character"}, BadCase{"8.8.8.8 ", "a blank"},
                    BadCase{"8.8.8.8:53\n", R"(8.8.8.8:53\x0a: a blank, control)"}, BadCase{"8.8.8.8\t:53", "a blank"},
                    BadCase{std::string("8.8.8.8\0:53", 11), R"(8.8.8.8\x00:53: a blank, control)"},
                    BadCase{std::string("any\0", 4), R"(any\x00: a blank)"},
                    BadCase{"\x1b[2Jany", R"(\x1b[2Jany: a blank)"}, BadCase{"\xef\xbc\x98.8.8.8", "non-ASCII"},
                    BadCase{"8.8.8.8,1.1.1.1", "is not an IP address"},
                    BadCase{std::string(1 << 20, '8'), std::string(60, '8') + "...: 1048576 characters are too long"}));

TEST(Destination, QuotesHugeInputShortly) {
  for (const char filler : {'8', ':', '/', '[', '-', '\0', '\x1b', '\xff'}) {
    const auto read = parse_destination(std::string(1 << 16, filler));
    ASSERT_FALSE(read);
    EXPECT_LT(read.error().message().size(), 500u) << read.error().message();
  }
}

TEST(Destination, QuotesALongPartShortly) {
  const auto read = parse_destination("8.8.8.8:" + std::string(110, '9'));
  ASSERT_FALSE(read);
  EXPECT_LT(read.error().message().size(), 300u) << read.error().message();
}

TEST(Destination, ReadsTheLongestCorrectText) {
  EXPECT_TRUE(parse_destination("[1111:2222:3333:4444:5555:6666:7777:8888/128]:10000-65535/udplite"));
}

// ---- addresses ----

class AddressText : public testing::TestWithParam<TextCase> {};

TEST_P(AddressText, IsPrintedInItsShortestForm) {
  EXPECT_EQ(format(address(GetParam().text)), GetParam().canonical);
  EXPECT_EQ(address(GetParam().canonical), address(GetParam().text));
}

// RFC 5952, section 4 and the runs of zeros at every place.
INSTANTIATE_TEST_SUITE_P(
    Rfc5952, AddressText,
    testing::Values(TextCase{"2001:0db8::0001", "2001:db8::1"}, TextCase{"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
                    TextCase{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                    TextCase{"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                    TextCase{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
                    TextCase{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"}, TextCase{"2001:DB8::A", "2001:db8::a"},
                    TextCase{"0:0:0:0:0:0:0:0", "::"}, TextCase{"0:0:0:0:0:0:0:1", "::1"},
                    TextCase{"1:0:0:0:0:0:0:0", "1::"}, TextCase{"0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
                    TextCase{"1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"}, TextCase{"0:0:1:0:0:0:0:0", "0:0:1::"},
                    TextCase{"0:0:0:0:0:1:0:0", "::1:0:0"}, TextCase{"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
                    TextCase{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"}, TextCase{"::FFFF:9.8.7.6", "9.8.7.6"},
                    TextCase{"127.0.0.1", "127.0.0.1"}));

class BadAddress : public testing::TestWithParam<BadCase> {};

TEST_P(BadAddress, IsRefusedWithItsCause) {
  const auto read = parse_address(GetParam().text);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_NE(read.error().message().find(GetParam().message), std::string::npos) << read.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BadAddress,
    testing::Values(BadCase{"", "the address is missing"}, BadCase{"1.2.3.4:5", "not an IPv6 address"},
                    BadCase{"1.2.3.4/24", "not an IP address"}, BadCase{"[::1]", "not an IPv6 address"},
                    BadCase{" 1.2.3.4", "not an IP address"}, BadCase{"1.2.3.4\n", R"(1.2.3.4\x0a is not)"},
                    BadCase{std::string("1.2.3.4\0", 8), R"(1.2.3.4\x00 is not)"},
                    BadCase{std::string("::1\0x", 5), R"(::1\x00x is not)"}, BadCase{"any", "any is not an IP address"},
                    BadCase{std::string(70000, '1'), std::string(60, '1') + "... is not an IPv4 address"}));

TEST(Address, KnowsItsWidth) {
  EXPECT_EQ(address("1.2.3.4").bits(), 32u);
  EXPECT_EQ(address("::1").bits(), 128u);
}

// ---- prefixes and ports ----

struct ContainsCase {
  std::string prefix;
  std::string address;
  bool contained;
};

class PrefixContains : public testing::TestWithParam<ContainsCase> {};

TEST_P(PrefixContains, ComparesTheBitsOfItsLength) {
  const auto& [prefix, text, contained] = GetParam();
  EXPECT_EQ(destination(prefix).prefix->contains(address(text)), contained) << prefix << " " << text;
}

INSTANTIATE_TEST_SUITE_P(
    Neighbours, PrefixContains,
    testing::Values(
        ContainsCase{"10.0.0.0/8", "10.255.255.255", true}, ContainsCase{"10.0.0.0/8", "11.0.0.0", false},
        ContainsCase{"10.0.0.0/8", "9.255.255.255", false}, ContainsCase{"203.0.113.128/25", "203.0.113.127", false},
        ContainsCase{"203.0.113.128/25", "203.0.113.128", true}, ContainsCase{"203.0.113.6/31", "203.0.113.7", true},
        ContainsCase{"203.0.113.6/31", "203.0.113.8", false}, ContainsCase{"203.0.113.6", "203.0.113.6", true},
        ContainsCase{"203.0.113.6", "203.0.113.7", false}, ContainsCase{"0.0.0.0/0", "255.255.255.255", true},
        ContainsCase{"0.0.0.0/0", "::1", false}, ContainsCase{"::/0", "1.2.3.4", false},
        ContainsCase{"::/0", "ffff::", true}, ContainsCase{"2001:db8::/33", "2001:db8:7fff::1", true},
        ContainsCase{"2001:db8::/33", "2001:db8:8000::", false}, ContainsCase{"2001:db8::/127", "2001:db8::1", true},
        ContainsCase{"2001:db8::/127", "2001:db8::2", false}, ContainsCase{"::/8", "0.0.0.1", false}));

TEST(Prefix, IsPrintedWithoutTheLengthOfOneHost) {
  EXPECT_EQ(format(Prefix{address("1.2.3.4"), 32}), "1.2.3.4");
  EXPECT_EQ(format(Prefix{address("1.2.3.4"), 31}), "1.2.3.4/31");
  EXPECT_EQ(format(Prefix{address("::1"), 128}), "::1");
  EXPECT_EQ(format(Prefix{address("::"), 32}), "::/32");
}

TEST(PortRange, ContainsBothEndsAndNoNeighbour) {
  const PortRange range{0x1234, 0x1240};
  EXPECT_FALSE(range.contains(0x1233));
  EXPECT_TRUE(range.contains(0x1234));
  EXPECT_TRUE(range.contains(0x1240));
  EXPECT_FALSE(range.contains(0x1241));
}

TEST(Protocol, FiveOfThemHavePorts) {
  int count = 0;
  for (unsigned number = 0; number < 256; ++number) count += protocol::has_ports(static_cast<std::uint8_t>(number));
  EXPECT_EQ(count, 5);
  EXPECT_TRUE(protocol::has_ports(protocol::udplite));
  EXPECT_FALSE(protocol::has_ports(protocol::icmp));
}

// ---- round trips ----

class RandomDestinations {
 public:
  explicit RandomDestinations(unsigned seed) : random_(seed) {}

  Destination next() {
    Destination out;
    if (below(8) != 0) out.prefix = prefix();
    if (below(2) == 0) out.ports = ports();
    if (below(2) == 0) out.protocol = out.ports ? ported() : static_cast<std::uint8_t>(below(256));
    return out;
  }

 private:
  unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  std::uint8_t ported() {
    return std::array{protocol::tcp, protocol::udp, protocol::udplite, protocol::sctp, protocol::dccp}[below(5)];
  }
  Prefix prefix() {
    Address out;
    out.family = below(2) == 0 ? Family::V4 : Family::V6;
    for (std::size_t i = 0; i < out.bits() / 8; ++i) {
      out.bytes[i] = below(3) == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(below(256));
    }
    return canonical_prefix(out, static_cast<std::uint8_t>(below(out.bits() + 1)));
  }
  PortRange ports() {
    const auto a = static_cast<std::uint16_t>(1 + below(65535));
    const auto b = below(2) == 0 ? a : static_cast<std::uint16_t>(1 + below(65535));
    return {std::min(a, b), std::max(a, b)};
  }

  std::mt19937 random_;
};

TEST(Destination, SurvivesFormatAndParse) {
  constexpr unsigned seed = 20261123;
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomDestinations random(seed);
  for (int i = 0; i < 50000; ++i) {
    const Destination d = random.next();
    const std::string text = format(d);
    const auto read = parse_destination(text);
    ASSERT_TRUE(read) << i << ": " << text << ": " << read.error().message();
    ASSERT_EQ(*read, d) << i << ": " << text;
    ASSERT_EQ(format(*read), text) << i;
  }
}

TEST(Destination, EveryProtocolNumberSurvivesFormatAndParse) {
  for (const char* const where : {"any", "1.2.3.4/32", "1.2.3.0/24", "2001:db8::1/128", "::/0"}) {
    for (unsigned number = 0; number < 256; ++number) {
      const Destination d = destination(std::string(where) + "/" + std::to_string(number));
      EXPECT_EQ(d.protocol, number);
      EXPECT_EQ(destination(format(d)), d) << format(d);
    }
  }
}

TEST(Destination, EveryPrefixLengthSurvivesFormatAndParse) {
  for (const char* const where : {"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    for (unsigned length = 0; length <= address(where).bits(); ++length) {
      const Destination d = destination(std::string(where) + "/" + std::to_string(length));
      EXPECT_EQ(d.prefix->length, length);
      EXPECT_EQ(destination(format(d)), d) << format(d);
    }
  }
}

}  // namespace
}  // namespace egress
