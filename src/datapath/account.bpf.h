/* SPDX-License-Identifier: GPL-2.0 */
/* How much was it? Totals, per-rule counters and reasons; all per CPU, all written here only. */
#ifndef EGRESS_DATAPATH_ACCOUNT_H
#define EGRESS_DATAPATH_ACCOUNT_H

#include "datapath/flow.bpf.h"
#include "datapath/maps.bpf.h"

/* What one call of a hook stands for. */
struct amount {
	__u64 packets;
	__u64 bytes;
	__u64 denied;
};

static __always_inline __u32 segments_of(struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs;

	return segments ?: 1;
}

/* Where the transport header of an IPv6 packet begins: behind the extension headers. */
__noinline __u32 ipv6_transport(struct __sk_buff *skb)
{
	__u32 at = IPV6_HEADER;
	__u8 next = 0;

	if (bpf_skb_load_bytes(skb, 6, &next, 1) < 0)
		return at;
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
		__u32 step = read_ipv6_extension(skb, at, next);

		at += step >> 16;
		next = step & 0xFF;
	}
	return at;
}

/*
 * Layer 3 bytes on the wire: a GSO packet carries its headers once, every segment
 * repeats them. Only asked for packets of cgroups with rules.
 */
static __always_inline __u64 wire_bytes(struct __sk_buff *skb, bool v6, __u8 proto)
{
	__u32 segments = segments_of(skb), l3, l4 = 8;
	__u8 byte = 0;

	if (segments == 1)
		return skb->len;
	if (v6) {
		l3 = ipv6_transport(skb);
	} else {
		if (bpf_skb_load_bytes(skb, 0, &byte, 1) < 0)
			return skb->len;
		l3 = (byte & 0xF) * 4;
	}
	if (proto == PROTO_TCP) { /* data offset, RFC 9293 */
		if (bpf_skb_load_bytes(skb, l3 + 12, &byte, 1) < 0)
			return skb->len;
		l4 = (byte >> 4) * 4;
	}
	return skb->len + (__u64)(segments - 1) * (l3 + l4);
}

static __always_inline void count_reason(enum egress_reason reason)
{
	__u32 key = reason;
	__u64 *count = bpf_map_lookup_elem(&reason_counts, &key);

	if (count)
		(*count)++;
}

/* For a rule of another tool: nobody made a counter for it. */
__noinline int create_counter(__u64 key)
{
	struct egress_counter fresh = {};

	return bpf_map_update_elem(&counters, &key, &fresh, BPF_NOEXIST);
}

static __always_inline void count_rule(__u64 key, const struct amount *amount)
{
	struct egress_counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter) {
		if (!(key & EGRESS_COUNTER_DOOR))
			return;
		create_counter(key);
		counter = bpf_map_lookup_elem(&counters, &key);
		if (!counter)
			return;
	}
	counter->packets += amount->packets;
	counter->bytes += amount->bytes;
	counter->denied += amount->denied;
}

#endif
