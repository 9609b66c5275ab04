/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packet as the hook got it. Everything above reads it through here, so that the
 * programs at a socket buffer and the one at a driver's frame (EGRESS_XDP) are the same.
 */
#ifndef EGRESS_DATAPATH_PACKET_H
#define EGRESS_DATAPATH_PACKET_H

#include "datapath/kernel.bpf.h"

#ifdef EGRESS_XDP

#define PACKET struct xdp_md

#define FRAME_MAX 0x3FFF /* headers lie within; a jumbo frame is shorter */

static __always_inline __u32 length_of(PACKET *packet)
{
	__u64 length = (void *)(long)packet->data_end - (void *)(long)packet->data;

	asm volatile("" : "+r"(length)); /* the verifier takes no 32-bit arithmetic with pointers */
	return length;
}

/* `size` is constant. bpf_xdp_load_bytes would need 5.18. */
static __always_inline int load_bytes(PACKET *packet, __u32 at, void *to, __u32 size)
{
	__u8 *data = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;

	if (at > FRAME_MAX)
		return -1;
	data += bounded(at, FRAME_MAX);
	if (data + size > end)
		return -1;
	__builtin_memcpy(to, data, size);
	return 0;
}

static __always_inline __u32 segments_of(PACKET *packet)
{
	return 1; /* a driver hands over frames */
}

#else

#define PACKET struct __sk_buff

static __always_inline __u32 length_of(PACKET *packet)
{
	return packet->len;
}

static __always_inline int load_bytes(PACKET *packet, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes(packet, at, to, size);
}

static __always_inline __u32 segments_of(PACKET *packet)
{
	__u32 segments = packet->gso_segs;

	return segments ?: 1;
}

#endif

#endif
