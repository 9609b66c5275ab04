// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "core/evaluate.hpp"
#include "support/packet_builder.hpp"

namespace egress {
namespace {

using test::byte_list;
using test::Ipv4;
using test::Ipv6;
using test::Packet;

Flow parse(const Packet& packet) { return parse_packet(packet.bytes()); }

/// By the C library, not by the parser under test elsewhere.
Address address(const char* text) {
  Address address;
  address.family = std::string_view(text).find(':') == std::string_view::npos ? Family::V4 : Family::V6;
  EXPECT_EQ(inet_pton(address.family == Family::V4 ? AF_INET : AF_INET6, text, address.bytes.data()), 1);
  return address;
}

bool malformed(const Packet& packet) { return parse(packet).malformed; }

// ---- Ports ----

TEST(ParsePacket, ReadsDestinationProtocolAndPortOfIpv4Tcp) {
  const Flow flow = parse(Ipv4({.dst = "203.0.113.9"}).tcp(0x1234));
  Flow expected;
  expected.destination = address("203.0.113.9");
  expected.protocol = 6;
  expected.port = 0x1234;
  EXPECT_EQ(flow, expected);
}

TEST(ParsePacket, ReadsDestinationProtocolAndPortOfIpv6Udp) {
  const Flow flow = parse(Ipv6({.dst = "2001:db8:5::9"}).udp(0x1234));
  Flow expected;
  expected.destination = address("2001:db8:5::9");
  expected.protocol = 17;
  expected.port = 0x1234;
  EXPECT_EQ(flow, expected);
}

TEST(ParsePacket, ReadsThePortOfEveryProtocolThatHasOneInIpv4) {
  EXPECT_EQ(parse(Ipv4().tcp(0x1201)).port, 0x1201);
  EXPECT_EQ(parse(Ipv4().udp(0x1202)).port, 0x1202);
  EXPECT_EQ(parse(Ipv4().udplite(0x1203)).port, 0x1203);
  EXPECT_EQ(parse(Ipv4().sctp(0x1204)).port, 0x1204);
  EXPECT_EQ(parse(Ipv4().dccp(0x1205)).port, 0x1205);
}

TEST(ParsePacket, ReadsThePortOfEveryProtocolThatHasOneInIpv6) {
  EXPECT_EQ(parse(Ipv6().tcp(0x1201)).port, 0x1201);
  EXPECT_EQ(parse(Ipv6().udp(0x1202)).port, 0x1202);
  EXPECT_EQ(parse(Ipv6().udplite(0x1203)).port, 0x1203);
  EXPECT_EQ(parse(Ipv6().sctp(0x1204)).port, 0x1204);
  EXPECT_EQ(parse(Ipv6().dccp(0x1205)).port, 0x1205);
}

TEST(ParsePacket, ReadsPortZeroAsAPort) { EXPECT_EQ(parse(Ipv4().udp(0)).port, 0); }

TEST(ParsePacket, FindsNoPortInIcmpAndKnowsThatThereIsNone) {
  const Flow flow = parse(Ipv4().icmp(8));
  EXPECT_EQ(flow.protocol, 1);
  EXPECT_FALSE(flow.port);
  EXPECT_TRUE(flow.ports_known);
}

TEST(ParsePacket, FindsNoPortInEsp) {
  const Flow flow = parse(Ipv4().raw(50, byte_list({1, 2, 3, 4, 5, 6, 7, 8})));
  EXPECT_EQ(flow.protocol, 50);
  EXPECT_FALSE(flow.port);
  EXPECT_TRUE(flow.ports_known);
}

TEST(ParsePacket, ReadsAPortFromExactlyFourBytesOfTransport) {
  EXPECT_EQ(parse(Ipv4().raw(17, byte_list({1, 2, 0x12, 0x34}))).port, 0x1234);
  EXPECT_EQ(parse(Ipv6().raw(6, byte_list({1, 2, 0x12, 0x34}))).port, 0x1234);
}

TEST(ParsePacket, DoesNotKnowThePortsOfThreeBytesOfTransport) {
  for (const int protocol : {6, 17, 33, 132, 136}) {
    const Flow flow = parse(Ipv4().raw(static_cast<std::uint8_t>(protocol), byte_list({1, 2, 0x12})));
    EXPECT_FALSE(flow.ports_known) << protocol;
    EXPECT_FALSE(flow.port) << protocol;
    EXPECT_TRUE(flow.protocol_known) << protocol;
    EXPECT_FALSE(flow.malformed) << protocol;
  }
}

TEST(ParsePacket, DoesNotKnowThePortsOfAnEmptyIpv6Transport) {
  const Flow flow = parse(Ipv6().raw(6, {}));
  EXPECT_FALSE(flow.ports_known);
  EXPECT_EQ(flow.protocol, 6);
}

TEST(ParsePacket, TakesProtocol58InIpv4ForWhatItSays) {
  const Flow flow = parse(Ipv4().raw(58, byte_list({135, 0, 0, 0})));
  EXPECT_EQ(flow.protocol, 58);
  EXPECT_FALSE(flow.neighbour_discovery);
}

// ---- IPv4 header ----

TEST(ParsePacket, CallsAnEmptyPacketMalformed) { EXPECT_TRUE(parse_packet({}).malformed); }

TEST(ParsePacket, CallsEveryVersionButFourAndSixMalformed) {
  for (int version = 0; version < 16; ++version) {
    const auto first = static_cast<std::uint8_t>(version << 4 | 5);
    if (version != 6) {
      EXPECT_EQ(malformed(Ipv4().udp(1).with_byte(0, first)), version != 4) << version;
    }
    if (version != 4) {
      EXPECT_EQ(malformed(Ipv6().udp(1).with_byte(0, first)), version != 6) << version;
    }
  }
}

TEST(ParsePacket, CallsNineteenBytesOfIpv4Malformed) {
  EXPECT_TRUE(malformed(Ipv4().udp(1).truncated(19)));
  EXPECT_FALSE(malformed(Ipv4().udp(1).truncated(20)));
}

TEST(ParsePacket, CallsAnIpv4HeaderOfLessThanFiveWordsMalformed) {
  for (int words = 0; words < 5; ++words) {
    EXPECT_TRUE(malformed(Ipv4({.ihl = static_cast<std::uint8_t>(words)}).udp(1))) << words;
  }
}

TEST(ParsePacket, CallsAnIpv4HeaderLongerThanThePacketMalformed) {
  EXPECT_TRUE(malformed(Ipv4({.ihl = 6}).raw(17, byte_list({1, 2, 3}))));
  EXPECT_FALSE(malformed(Ipv4({.ihl = 6}).raw(17, byte_list({1, 1, 1, 1}))));
}

TEST(ParsePacket, TellsTheDestinationOfAMalformedPacket) {
  const Flow flow = parse(Ipv4({.dst = "203.0.113.9", .ihl = 4}).udp(1));
  EXPECT_TRUE(flow.malformed);
  EXPECT_EQ(flow.destination, address("203.0.113.9"));
}

TEST(ParsePacket, CallsATotalLengthBelowTheHeaderMalformed) {
  EXPECT_TRUE(malformed(Ipv4({.total_length = 19}).udp(1)));
  EXPECT_FALSE(malformed(Ipv4({.total_length = 20}).udp(1)));
  EXPECT_TRUE(malformed(Ipv4({.total_length = 23}).option_bytes({1, 1, 1, 1}).udp(1)));
}

TEST(ParsePacket, AcceptsATotalLengthOfZeroForBigGsoPackets) {
  EXPECT_EQ(parse(Ipv4({.total_length = 0}).tcp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, BelievesTheBytesRatherThanTheTotalLength) {
  EXPECT_EQ(parse(Ipv4({.total_length = 20}).udp(0x1234)).port, 0x1234);
  EXPECT_EQ(parse(Ipv4({.total_length = 60000}).udp(0x1234)).port, 0x1234);
}

// ---- IPv4 options (C1) ----

TEST(ParsePacket, C1ReadsThePortBehindRecordRoute) {
  const Flow flow = parse(Ipv4().option(7, {4, 0, 0, 0, 0}).udp(0x1234));
  EXPECT_EQ(flow.port, 0x1234);
  EXPECT_FALSE(flow.source_routed);
}

TEST(ParsePacket, ReadsThePortBehindFortyBytesOfOptions) {
  Ipv4 packet;
  for (int i = 0; i < 40; ++i) packet = packet.option_bytes({1});
  EXPECT_EQ(parse(packet.tcp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, SeesLooseSourceRouting) {
  const Flow flow = parse(Ipv4().option(131, {4, 203, 0, 113, 9}).udp(0x1234));
  EXPECT_TRUE(flow.source_routed);
  EXPECT_FALSE(flow.malformed);
  EXPECT_EQ(flow.port, 0x1234);
}

TEST(ParsePacket, SeesStrictSourceRouting) {
  EXPECT_TRUE(parse(Ipv4().option(137, {4, 203, 0, 113, 9}).udp(1)).source_routed);
}

TEST(ParsePacket, SeesSourceRoutingBehindOtherOptions) {
  EXPECT_TRUE(
      parse(Ipv4().option_bytes({1, 1}).option(7, {4, 0}).option(131, {4, 203, 0, 113, 9}).udp(1)).source_routed);
}

TEST(ParsePacket, SeesNoSourceRoutingInTheDataOfAnotherOption) {
  EXPECT_FALSE(parse(Ipv4().option(7, {131, 4, 137, 4}).udp(1)).source_routed);
}

TEST(ParsePacket, SeesNoSourceRoutingBehindTheEndOfTheOptionList) {
  const Flow flow = parse(Ipv4().option_bytes({0, 131, 3, 4}).udp(0x1234));
  EXPECT_FALSE(flow.source_routed);
  EXPECT_EQ(flow.port, 0x1234);
}

TEST(ParsePacket, IgnoresGarbageBehindTheEndOfTheOptionList) {
  EXPECT_FALSE(malformed(Ipv4().option_bytes({0, 7, 0, 0}).udp(1)));
}

TEST(ParsePacket, CallsAnOptionOfLengthZeroMalformed) {
  EXPECT_TRUE(malformed(Ipv4().option_bytes({7, 0, 0, 0}).udp(1)));
}

TEST(ParsePacket, CallsAnOptionOfLengthOneMalformed) {
  EXPECT_TRUE(malformed(Ipv4().option_bytes({7, 1, 0, 0}).udp(1)));
}

TEST(ParsePacket, AcceptsAnOptionOfLengthTwo) { EXPECT_FALSE(malformed(Ipv4().option_bytes({7, 2, 1, 1}).udp(1))); }

TEST(ParsePacket, CallsAnOptionThatLeavesTheHeaderMalformed) {
  EXPECT_TRUE(malformed(Ipv4().option_bytes({7, 5, 0, 0}).udp(1)));
  EXPECT_FALSE(malformed(Ipv4().option_bytes({7, 4, 0, 0}).udp(1)));
}

TEST(ParsePacket, CallsAnOptionWithoutLengthByteMalformed) {
  EXPECT_TRUE(malformed(Ipv4().option_bytes({1, 1, 1, 7}).udp(1)));
}

// ---- IPv4 fragments (C3) ----

TEST(ParsePacket, C3DoesNotReadThePortsOfALaterFragment) {
  for (const int protocol : {6, 17, 33, 132, 136}) {
    const Flow flow =
        parse(Ipv4().fragment(1).raw(static_cast<std::uint8_t>(protocol), byte_list({0x41, 0x41, 0x12, 0x34})));
    EXPECT_FALSE(flow.ports_known) << protocol;
    EXPECT_FALSE(flow.port) << protocol;
    EXPECT_TRUE(flow.protocol_known) << protocol;
    EXPECT_EQ(flow.protocol, protocol);
  }
}

TEST(ParsePacket, ReadsThePortsOfTheFirstFragment) {
  EXPECT_EQ(parse(Ipv4().fragment(0, true).udp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, SeesTheHighestBitOfAFragmentOffset) {
  EXPECT_FALSE(parse(Ipv4().fragment(0x1000).udp(1)).ports_known);
}

TEST(ParsePacket, TakesDoNotFragmentForNoOffset) {
  EXPECT_EQ(parse(Ipv4({.do_not_fragment = true}).udp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, KnowsThatALaterFragmentOfIcmpHasNoPorts) {
  const Flow flow = parse(Ipv4().fragment(3).icmp(8));
  EXPECT_TRUE(flow.ports_known);
  EXPECT_FALSE(flow.port);
}

// ---- IPv6 (C2, C6) ----

TEST(ParsePacket, CallsThirtyNineBytesOfIpv6Malformed) {
  EXPECT_TRUE(malformed(Ipv6().udp(1).truncated(39)));
  EXPECT_FALSE(malformed(Ipv6().udp(1).truncated(40)));
}

TEST(ParsePacket, TellsTheFamilyOfATruncatedIpv6Packet) {
  EXPECT_EQ(parse(Ipv6().udp(1).truncated(12)).destination.family, Family::V6);
}

TEST(ParsePacket, C6LeavesAnIpv4MappedDestinationInAnIpv6HeaderAsItIs) {
  EXPECT_EQ(parse(Ipv6({.dst = "::ffff:192.0.2.7"}).udp(1)).destination, address("::ffff:192.0.2.7"));
}

TEST(ParsePacket, C2ReadsThePortBehindEachKindOfExtensionHeader) {
  EXPECT_EQ(parse(Ipv6().hop_by_hop().udp(0x1201)).port, 0x1201);
  EXPECT_EQ(parse(Ipv6().destination_options().udp(0x1202)).port, 0x1202);
  EXPECT_EQ(parse(Ipv6().authentication().udp(0x1203)).port, 0x1203);
  EXPECT_EQ(parse(Ipv6().mobility().udp(0x1204)).port, 0x1204);
  EXPECT_EQ(parse(Ipv6().hip().udp(0x1205)).port, 0x1205);
  EXPECT_EQ(parse(Ipv6().shim6().udp(0x1206)).port, 0x1206);
  EXPECT_EQ(parse(Ipv6().routing().udp(0x1207)).port, 0x1207);
  EXPECT_EQ(parse(Ipv6().fragment().udp(0x1208)).port, 0x1208);
}

TEST(ParsePacket, ReadsThePortBehindTheLongestExtensionHeader) {
  EXPECT_EQ(parse(Ipv6().destination_options(255).udp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, CountsTheLengthOfAuthenticationHeadersInWords) {
  for (const int units : {0, 1, 2, 3, 5, 255}) {
    EXPECT_EQ(parse(Ipv6().authentication(static_cast<std::uint8_t>(units)).tcp(0x1234)).port, 0x1234) << units;
  }
}

TEST(ParsePacket, IgnoresTheReservedByteOfAFragmentHeader) {
  EXPECT_EQ(parse(Ipv6().fragment().udp(0x1234).with_byte(41, 0xFF)).port, 0x1234);
}

TEST(ParsePacket, FollowsEightExtensionHeaders) {
  Ipv6 packet;
  for (int i = 0; i < 8; ++i) packet = packet.destination_options();
  const Flow flow = parse(packet.tcp(0x1234));
  EXPECT_EQ(flow.port, 0x1234);
  EXPECT_TRUE(flow.protocol_known);
}

TEST(ParsePacket, C2KnowsNeitherProtocolNorPortsBehindNineExtensionHeaders) {
  Ipv6 packet;
  for (int i = 0; i < 9; ++i) packet = packet.destination_options();
  const Flow flow = parse(packet.tcp(0x1234));
  EXPECT_FALSE(flow.protocol_known);
  EXPECT_FALSE(flow.ports_known);
  EXPECT_FALSE(flow.port);
  EXPECT_FALSE(flow.malformed);
}

TEST(ParsePacket, KnowsNeitherProtocolNorPortsWhenTheNinthHeaderIsAnotherKind) {
  const Flow flow = parse(Ipv6()
                              .hop_by_hop()
                              .destination_options()
                              .authentication()
                              .mobility()
                              .hip()
                              .shim6()
                              .fragment()
                              .destination_options()
                              .hop_by_hop()
                              .udp(1));
  EXPECT_FALSE(flow.protocol_known);
  EXPECT_FALSE(flow.source_routed);
}

TEST(ParsePacket, DoesNotLookAtARoutingHeaderBeyondTheBound) {
  Ipv6 packet;
  for (int i = 0; i < 8; ++i) packet = packet.destination_options();
  const Flow flow = parse(packet.routing().tcp(1));
  EXPECT_FALSE(flow.source_routed);
  EXPECT_FALSE(flow.protocol_known);
}

TEST(ParsePacket, TakesEspForAFinalProtocol) {
  const Flow flow = parse(Ipv6().raw(50, byte_list({6, 0, 0, 0, 0, 0, 0, 0})));
  EXPECT_EQ(flow.protocol, 50);
  EXPECT_TRUE(flow.protocol_known);
}

TEST(ParsePacket, TakesNoNextHeaderForAFinalProtocol) {
  const Flow flow = parse(Ipv6().destination_options().raw(59, {}));
  EXPECT_EQ(flow.protocol, 59);
  EXPECT_TRUE(flow.protocol_known);
  EXPECT_TRUE(flow.ports_known);
}

TEST(ParsePacket, CallsATruncatedExtensionHeaderMalformed) {
  const Packet packet = Ipv6().destination_options(1).raw(59, {});  // 40 + 16 bytes
  EXPECT_FALSE(malformed(packet));
  EXPECT_TRUE(malformed(packet.truncated(55)));
  EXPECT_TRUE(malformed(packet.truncated(47)));
  EXPECT_TRUE(malformed(packet.truncated(41)));
  EXPECT_TRUE(malformed(packet.truncated(40)));
}

TEST(ParsePacket, CallsATruncatedFragmentHeaderMalformed) {
  EXPECT_TRUE(malformed(Ipv6().fragment().udp(1).truncated(47)));
  EXPECT_FALSE(malformed(Ipv6().fragment().udp(1).truncated(48)));
}

TEST(ParsePacket, CallsATruncatedAuthenticationHeaderMalformed) {
  EXPECT_TRUE(malformed(Ipv6().authentication(4).udp(1).truncated(63)));
  EXPECT_FALSE(malformed(Ipv6().authentication(4).udp(1).truncated(64)));
}

TEST(ParsePacket, SeesARoutingHeaderOfAnyType) {
  for (const int type : {0, 2, 3, 4, 253}) {
    const Flow flow = parse(Ipv6().routing(2).udp(0x1234).with_byte(42, static_cast<std::uint8_t>(type)));
    EXPECT_TRUE(flow.source_routed) << type;
    EXPECT_EQ(flow.port, 0x1234) << type;
  }
}

TEST(ParsePacket, SeesARoutingHeaderBehindOtherHeaders) {
  EXPECT_TRUE(parse(Ipv6().hop_by_hop().destination_options().routing().udp(1)).source_routed);
}

// ---- IPv6 fragments ----

TEST(ParsePacket, TakesTheProtocolOfALaterIpv6FragmentFromItsFragmentHeader) {
  const Flow flow = parse(Ipv6().fragment({.offset = 1}).udp(0x1234));
  EXPECT_EQ(flow.protocol, 17);
  EXPECT_TRUE(flow.protocol_known);
  EXPECT_FALSE(flow.ports_known);
  EXPECT_FALSE(flow.port);
}

TEST(ParsePacket, DoesNotKnowTheProtocolOfALaterFragmentThatBeginsInAnotherExtensionHeader) {
  const Flow flow = parse(Ipv6().fragment({.offset = 1}).destination_options().udp(0x1234));
  EXPECT_FALSE(flow.protocol_known);
  EXPECT_FALSE(flow.ports_known);
}

TEST(ParsePacket, DoesNotCallThePayloadOfALaterFragmentATruncatedHeader) {
  EXPECT_FALSE(malformed(Ipv6().fragment({.offset = 1}).raw(60, byte_list({1, 255}))));
}

TEST(ParsePacket, FollowsTheChainBehindAFirstFragment) {
  EXPECT_EQ(parse(Ipv6().fragment({.offset = 0}).destination_options().udp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, TakesAnAtomicFragmentForAWholePacket) {
  EXPECT_EQ(parse(Ipv6().fragment({.offset = 0, .more = false}).tcp(0x1234)).port, 0x1234);
}

TEST(ParsePacket, IgnoresTheReservedBitsBesideAFragmentOffset) {
  EXPECT_EQ(parse(Ipv6().fragment().udp(0x1234).with_byte(43, 0x07)).port, 0x1234);
  EXPECT_FALSE(parse(Ipv6().fragment().udp(0x1234).with_byte(43, 0x08)).ports_known);
}

TEST(ParsePacket, RemembersARoutingHeaderInFrontOfALaterFragment) {
  EXPECT_TRUE(parse(Ipv6().routing().fragment({.offset = 4}).udp(1)).source_routed);
}

// ---- Neighbour discovery and MLD (A10) ----

TEST(ParsePacket, A10KnowsNeighbourDiscoveryAndMldByTheirTypes) {
  for (int type = 0; type < 256; ++type) {
    const bool expected = (type >= 130 && type <= 137) || type == 143;
    EXPECT_EQ(parse(Ipv6().icmpv6(static_cast<std::uint8_t>(type))).neighbour_discovery, expected) << type;
  }
}

TEST(ParsePacket, KnowsMldBehindAHopByHopHeader) {
  EXPECT_TRUE(parse(Ipv6({.dst = "ff02::16"}).hop_by_hop().mld_report()).neighbour_discovery);
}

TEST(ParsePacket, KnowsNeighbourDiscoveryByItsFirstByteAlone) {
  EXPECT_TRUE(parse(Ipv6().raw(58, byte_list({135}))).neighbour_discovery);
}

TEST(ParsePacket, KnowsNoNeighbourDiscoveryWithoutItsFirstByte) {
  const Flow flow = parse(Ipv6().raw(58, {}));
  EXPECT_FALSE(flow.neighbour_discovery);
  EXPECT_FALSE(flow.malformed);
}

TEST(ParsePacket, KnowsNoNeighbourDiscoveryInALaterFragment) {
  EXPECT_FALSE(parse(Ipv6().fragment({.offset = 1}).neighbour_solicitation()).neighbour_discovery);
}

TEST(ParsePacket, KnowsNeighbourDiscoveryInAFirstFragment) {
  EXPECT_TRUE(parse(Ipv6().fragment().neighbour_solicitation()).neighbour_discovery);
}

// ---- The builder itself ----

TEST(PacketBuilder, PutsAnEthernetHeaderInFront) {
  const auto ipv4 = Ipv4().udp(1).ethernet();
  ASSERT_EQ(ipv4.size(), Ipv4().udp(1).size() + 14);
  EXPECT_EQ(ipv4[12], std::byte{0x08});
  EXPECT_EQ(ipv4[13], std::byte{0x00});
  EXPECT_EQ(ipv4[14], std::byte{0x45});
  const auto ipv6 = Ipv6().udp(1).ethernet();
  EXPECT_EQ(ipv6[12], std::byte{0x86});
  EXPECT_EQ(ipv6[13], std::byte{0xDD});
  EXPECT_EQ(ipv6[14], std::byte{0x60});
}

TEST(PacketBuilder, FillsInLengthsAndTheHeaderChecksumOfIpv4) {
  const Packet packet = Ipv4().option(7, {4, 0, 0}).udp(0x1234, 5);
  const auto bytes = packet.bytes();
  EXPECT_EQ(std::to_integer<int>(bytes[0]), 0x47);
  EXPECT_EQ(std::to_integer<int>(bytes[3]), 28 + 8 + 5);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 28; i += 2)
    sum += std::to_integer<std::uint32_t>(bytes[i]) << 8 | std::to_integer<std::uint32_t>(bytes[i + 1]);
  EXPECT_EQ((sum & 0xFFFF) + (sum >> 16), 0xFFFFu);
}

TEST(PacketBuilder, FillsInThePayloadLengthOfIpv6) {
  const Packet packet = Ipv6().hop_by_hop(1).fragment().udp(1, 5);
  EXPECT_EQ(std::to_integer<int>(packet.bytes()[5]), 16 + 8 + 8 + 5);
  EXPECT_EQ(packet.size(), 40u + 16 + 8 + 8 + 5);
}

}  // namespace
}  // namespace egress
