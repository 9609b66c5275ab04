/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where in a frame does its IP header begin? What is in front of it need not be what the
 * sender wished: any Linux receiver takes off VLAN tags of identifier 0, one after the
 * other, and a PPPoE session carries IP too.
 */
#ifndef EGRESS_DATAPATH_FRAME_H
#define EGRESS_DATAPATH_FRAME_H

#include "datapath/packet.bpf.h"

#define ETH_HEADER 14
#define ETH_TYPE_OFFSET 12
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define ETH_P_PPP_SES 0x8864
#define VLAN_TAG 4
#define VLAN_TAGS_MAX 8  /* tags followed; Linux itself has no bound for those of identifier 0 */
#define PPPOE_HEADER 6   /* RFC 2516 */
#define PPP_IP 0x0021    /* RFC 1332, 5072 */
#define PPP_IPV6 0x0057

/* In one number: where the IP header begins, and of which version; or what the frame is instead. */
#define FRAME_AT(frame_) ((frame_) & 0xFFFF)
#define FRAME_V4 0x10000
#define FRAME_V6 0x20000
#define FRAME_ARP 0x40000
#define FRAME_OTHER 0x80000
#define FRAME_MALFORMED 0x100000 /* it has or may have an IP packet that cannot be found */

static __always_inline __u32 frame_of(__u32 type, __u32 at)
{
	if (type == ETH_P_IP)
		return FRAME_V4 | at;
	if (type == ETH_P_IPV6)
		return FRAME_V6 | at;
	return type == ETH_P_ARP ? FRAME_ARP : FRAME_OTHER;
}

/* What a PPPoE session header at `at` leads to. The protocol may be one byte (RFC 1661, 6.5). */
static __always_inline __u32 read_pppoe(PACKET *packet, __u32 at)
{
	__u8 proto[2];
	__u32 number, length = 2;

	if (load_bytes(packet, at + PPPOE_HEADER, proto, sizeof(proto)) < 0)
		return FRAME_MALFORMED;
	number = proto[0] << 8 | proto[1];
	if (proto[0] & 1) {
		number = proto[0];
		length = 1;
	}
	at += PPPOE_HEADER + length;
	if (number == PPP_IP)
		return FRAME_V4 | at;
	return number == PPP_IPV6 ? FRAME_V6 | at : FRAME_OTHER;
}

/* An Ethernet frame, or (`header` 0) a packet of a device without link-layer header. */
__noinline int read_frame(PACKET *packet, __u32 header)
{
	__u32 at = ETH_HEADER, type;
	__u8 bytes[2];

	if (!header) {
		if (load_bytes(packet, 0, bytes, 1) < 0)
			return FRAME_OTHER;
		return bytes[0] >> 4 == 4 ? FRAME_V4 : bytes[0] >> 4 == 6 ? FRAME_V6 : FRAME_OTHER;
	}
	if (load_bytes(packet, ETH_TYPE_OFFSET, bytes, sizeof(bytes)) < 0)
		return FRAME_OTHER;
	type = bytes[0] << 8 | bytes[1];
	for (int tag = 0; tag < VLAN_TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); tag++) {
		if (load_bytes(packet, at + 2, bytes, sizeof(bytes)) < 0)
			return FRAME_MALFORMED;
		type = bytes[0] << 8 | bytes[1];
		at += VLAN_TAG;
	}
	if (type == ETH_P_8021Q || type == ETH_P_8021AD)
		return FRAME_MALFORMED;
	return type == ETH_P_PPP_SES ? read_pppoe(packet, at) : frame_of(type, at);
}

#endif
