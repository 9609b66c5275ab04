/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which destination does this packet have? src/core/parse_packet.cpp says the same in
 * plain C++; tests compare the two.
 *
 * What cannot be read is said, not guessed: FLOW_PORTS_UNKNOWN and FLOW_PROTO_UNKNOWN
 * make rules that drop match as if they fitted (fail closed), FLOW_MALFORMED and
 * FLOW_SOURCE_ROUTED end in a drop wherever a rule decides.
 */
#ifndef EGRESS_DATAPATH_FLOW_H
#define EGRESS_DATAPATH_FLOW_H

#include "datapath/packet.bpf.h"

#define FLOW_V6            0x01
#define FLOW_PORTS         0x02 /* `port` is the packet's */
#define FLOW_PORTS_UNKNOWN 0x04 /* the protocol has ports, they cannot be read */
#define FLOW_PROTO_UNKNOWN 0x08
#define FLOW_ND            0x10 /* neighbour discovery or MLD */
#define FLOW_MALFORMED     0x20
#define FLOW_SOURCE_ROUTED 0x40
#define FLOW_FRAGMENT      0x80 /* not the first one */
#define FLOW_UNCERTAIN     (FLOW_PORTS_UNKNOWN | FLOW_PROTO_UNKNOWN)

struct flow {
	__be32 addr[4]; /* IPv4 in addr[0], rest zero */
	__u32 flags;
	__u16 port;     /* host byte order */
	__u8 proto;
	__u8 zero;
};

/*
 * What the headers say beside the address, in one number: flags, protocol, port. One
 * number, computed without branches where that is cheap, is one state for the verifier
 * when it goes on to the matching; a struct filled on ten paths would be ten.
 */
#define PACKED(flags_, proto_, port_) ((__u32)(flags_) | (__u32)(proto_) << 8 | (__u32)(port_) << 16)

/* IANA protocol numbers. */
#define PROTO_HOPOPT   0
#define PROTO_ICMP     1
#define PROTO_TCP      6
#define PROTO_UDP      17
#define PROTO_DCCP     33
#define PROTO_ROUTING  43
#define PROTO_FRAGMENT 44
#define PROTO_AH       51
#define PROTO_ICMPV6   58
#define PROTO_DSTOPTS  60
#define PROTO_SCTP     132
#define PROTO_MH       135
#define PROTO_UDPLITE  136
#define PROTO_HIP      139
#define PROTO_SHIM6    140

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define DPORT_OFFSET 2          /* TCP, UDP, UDP-Lite, SCTP and DCCP alike */
#define PORTS_SIZE 4
#define FRAGMENT_OFFSET 0x1FFF  /* of IPv4's frag_off, in host order */
#define EXTENSIONS_MAX 8        /* extension headers followed; Linux itself has no bound */
#define IPOPT_END 0
#define IPOPT_NOP 1
#define IPOPT_LSRR 131          /* RFC 791: loose and strict source routing */
#define IPOPT_SSRR 137

/* One bit for each protocol whose packets carry a destination port at DPORT_OFFSET. */
const __u64 ported[4] = {1ull << PROTO_TCP | 1ull << PROTO_UDP | 1ull << PROTO_DCCP, 0,
				1ull << (PROTO_SCTP - 128) | 1ull << (PROTO_UDPLITE - 128), 0};

static __always_inline __u32 has_ports(__u8 proto)
{
	return ported[proto >> 6] >> (proto & 63) & 1;
}

/* One bit for each IPv6 extension header that another header follows. */
const __u64 extensions[4] = {1ull << PROTO_HOPOPT | 1ull << PROTO_ROUTING | 1ull << PROTO_FRAGMENT |
				     1ull << PROTO_AH | 1ull << PROTO_DSTOPTS,
			     0, 1ull << (PROTO_MH - 128) | 1ull << (PROTO_HIP - 128) | 1ull << (PROTO_SHIM6 - 128), 0};

static __always_inline __u32 is_extension(__u8 next)
{
	return extensions[next >> 6] >> (next & 63) & 1;
}

/* ICMPv6 130-132 and 143 are MLD (RFC 2710, 3810), 133-137 neighbour discovery (RFC 4861). */
static __always_inline bool is_nd_type(__u8 type)
{
	return (type >= 130 && type <= 137) || type == 143;
}

/* Adds the port at `offset`, where the header of `proto` begins. */
static __always_inline __u32 with_port(PACKET *packet, __u32 offset, __u8 proto, __u32 flags)
{
	__be16 ports[2];

	if (!has_ports(proto))
		return PACKED(flags, proto, 0);
	if ((flags & FLOW_FRAGMENT) || load_bytes(packet, offset, ports, sizeof(ports)) < 0)
		return PACKED(flags | FLOW_PORTS_UNKNOWN, proto, 0);
	return PACKED(flags | FLOW_PORTS, proto, bpf_ntohs(ports[1]));
}

/*
 * The steps of the two loops are global functions (5.6): the verifier sees each once,
 * and not once more for every way through the steps before.
 */
#define STEP(length_, flags_, next_) ((length_) << 16 | (flags_) << 8 | (next_))

/* One IPv4 option; length 0 ends the list. */
__noinline int read_ipv4_option(PACKET *packet, __u32 at, __u32 end)
{
	__u8 option[2];

	if (at >= end || load_bytes(packet, at, option, 1) < 0 || option[0] == IPOPT_END)
		return 0;
	if (option[0] == IPOPT_NOP)
		return STEP(1, 0, 0);
	if (at + 2 > end || load_bytes(packet, at, option, 2) < 0 || option[1] < 2 || at + option[1] > end)
		return STEP(0, FLOW_MALFORMED, 0);
	if (option[0] == IPOPT_LSRR || option[0] == IPOPT_SSRR)
		return STEP(option[1], FLOW_SOURCE_ROUTED, 0);
	return STEP(option[1], 0, 0);
}

/* IPv4 options from `at` up to `end`: looks for source routing. */
static __always_inline __u32 read_ipv4_options(PACKET *packet, __u32 at, __u32 end)
{
	__u32 flags = 0;

	for (int i = 0; i < 40; i++) {
		__u32 step = read_ipv4_option(packet, at, end);

		flags |= step >> 8 & 0xFF;
		if (!(step >> 16))
			break;
		at += step >> 16;
	}
	return flags;
}

/* The IPv6 extension header `header` at `at`: its length, its flags and what follows it. */
__noinline int read_ipv6_extension(PACKET *packet, __u32 at, __u32 header)
{
	__u8 extension[8]; /* none is shorter */
	__u32 length, flags = 0;

	if (load_bytes(packet, at, extension, sizeof(extension)) < 0)
		return STEP(0, FLOW_MALFORMED, 0);
	if (header == PROTO_FRAGMENT)
		length = 8;
	else if (header == PROTO_AH)
		length = (extension[1] + 2) * 4;
	else
		length = (extension[1] + 1) * 8;
	if (at + length > length_of(packet))
		return STEP(0, FLOW_MALFORMED, 0);
	if (header == PROTO_ROUTING)
		flags = FLOW_SOURCE_ROUTED;
	if (header == PROTO_FRAGMENT && ((extension[2] << 8 | extension[3]) & 0xFFF8))
		flags = FLOW_FRAGMENT;
	return STEP(length, flags, extension[0]);
}

/* `base`: where the IP header begins. */
static __always_inline __u32 read_ipv4(PACKET *packet, __u32 base)
{
	__u8 header[IPV4_HEADER];
	__u32 length, total, flags = 0;

	if (load_bytes(packet, base, header, sizeof(header)) < 0)
		return FLOW_MALFORMED;
	length = (header[0] & 0xF) * 4;
	total = header[2] << 8 | header[3];
	/* A total length of zero is a GSO packet beyond 64 KiB ("BIG TCP"). */
	if (header[0] >> 4 != 4 || length < IPV4_HEADER || base + length > length_of(packet) || (total && total < length))
		return FLOW_MALFORMED;
	if (length > IPV4_HEADER)
		flags = read_ipv4_options(packet, base + IPV4_HEADER, base + length);
	if (flags & FLOW_MALFORMED)
		return flags;
	if ((header[6] << 8 | header[7]) & FRAGMENT_OFFSET)
		flags |= FLOW_FRAGMENT;
	return with_port(packet, base + length, header[9], flags);
}

static __always_inline __u32 read_ipv6(PACKET *packet, __u32 base)
{
	__u8 header[8];
	__u32 at = base + IPV6_HEADER, flags = FLOW_V6;
	__u8 next, type;

	if (length_of(packet) < at || load_bytes(packet, base, header, sizeof(header)) < 0 || header[0] >> 4 != 6)
		return FLOW_V6 | FLOW_MALFORMED;
	next = header[6];
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
		__u32 step = read_ipv6_extension(packet, at, next);

		flags |= step >> 8 & 0xFF;
		if (flags & FLOW_MALFORMED)
			return flags;
		next = step;
		at += step >> 16;
		if (flags & FLOW_FRAGMENT)
			break;
	}
	if (is_extension(next)) /* chain longer than the bound, or hidden in a later fragment */
		return PACKED(flags | FLOW_PROTO_UNKNOWN | FLOW_PORTS_UNKNOWN, next, 0);
	if (next == PROTO_ICMPV6 && !(flags & FLOW_FRAGMENT) && load_bytes(packet, at, &type, 1) == 0 &&
	    is_nd_type(type))
		flags |= FLOW_ND;
	return with_port(packet, at, next, flags);
}

static __always_inline void read_address(PACKET *packet, __u32 base, struct flow *flow)
{
	if (flow->flags & FLOW_V6)
		load_bytes(packet, base + 24, flow->addr, 16);
	else
		load_bytes(packet, base + 16, flow->addr, 4);
}

/* `packed`: what the headers say; `flow` is zeroed by the caller. */
static __always_inline void unpack(struct flow *flow, __u32 packed)
{
	flow->flags = packed & 0xFF;
	flow->proto = packed >> 8;
	flow->port = packed >> 16;
}

#ifndef EGRESS_STRICT

/* The long way, for any packet. */
__noinline int read_headers(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(skb, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return read_ipv6(skb, 0);
	return FLOW_MALFORMED;
}

/*
 * The common packet: IPv4 without options or fragments, or IPv6 without extension
 * headers, its headers in the linear part. Direct access costs 2 ns, each
 * bpf_skb_load_bytes 15.
 */
static __always_inline bool is_plain_v4(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u16 total;

	if (!LIKELY(skb->protocol == bpf_htons(ETH_P_IP) && data + IPV4_HEADER + PORTS_SIZE <= end))
		return false;
	total = bpf_ntohs(*(__be16 *)(data + 2));
	return LIKELY(data[0] == 0x45 && !(*(__be16 *)(data + 6) & bpf_htons(FRAGMENT_OFFSET)) &&
		      !(total && total < IPV4_HEADER));
}

static __always_inline bool is_plain_v6(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return skb->protocol == bpf_htons(ETH_P_IPV6) && data + IPV6_HEADER + PORTS_SIZE <= end && data[0] >> 4 == 6 &&
	       !is_extension(data[6]) && data[6] != PROTO_ICMPV6;
}

/* The destination of a common packet. A benchmark has others, to be judged without a system call for each. */
#ifndef PLAIN_DESTINATION
#define PLAIN_DESTINATION(data_, offset_) ((__be32 *)((data_) + (offset_)))
#endif

#define DESTINATION_V4(data_) PLAIN_DESTINATION(data_, 16)
#define DESTINATION_V6(data_) PLAIN_DESTINATION(data_, 24)

/* Returns what read_headers does, or 0: not a common packet. */
static __always_inline __u32 read_plain(struct __sk_buff *skb, struct flow *flow)
{
	__u8 *data = (void *)(long)skb->data;
	__u32 port, ports;

	if (is_plain_v4(skb)) {
		flow->addr[0] = DESTINATION_V4(data)[0];
		port = bpf_ntohs(*(__be16 *)(data + IPV4_HEADER + DPORT_OFFSET));
		ports = has_ports(data[9]);
		return PACKED(ports * FLOW_PORTS, data[9], port & -ports);
	}
	if (!is_plain_v6(skb))
		return 0;
	flow->addr[0] = DESTINATION_V6(data)[0];
	flow->addr[1] = DESTINATION_V6(data)[1];
	flow->addr[2] = DESTINATION_V6(data)[2];
	flow->addr[3] = DESTINATION_V6(data)[3];
	port = bpf_ntohs(*(__be16 *)(data + IPV6_HEADER + DPORT_OFFSET));
	ports = has_ports(data[6]);
	return PACKED(FLOW_V6 | ports * FLOW_PORTS, data[6], port & -ports);
}

/* `flow` is zeroed by the caller. Goes by skb->protocol, never by the socket's family. */
static __always_inline void read_flow(struct __sk_buff *skb, struct flow *flow)
{
	__u32 packed = read_plain(skb, flow);
	bool plain = packed;

	if (!plain)
		packed = read_headers(skb);
	unpack(flow, packed);
	if (!plain)
		read_address(skb, 0, flow);
}

#endif

#endif
