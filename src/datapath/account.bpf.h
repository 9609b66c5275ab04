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

/* Where the transport header of an IPv6 packet begins: behind the extension headers. `base`: where the IP header does. */
__noinline __u32 ipv6_transport(PACKET *packet, __u32 base)
{
	__u32 at = base + IPV6_HEADER;
	__u8 next = 0;

	if (load_bytes(packet, base + 6, &next, 1) < 0)
		return IPV6_HEADER;
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
		__u32 step = read_ipv6_extension(packet, at, next);

		at += step >> 16;
		next = step & 0xFF;
	}
	return at - base;
}

/*
 * Layer 3 bytes on the wire: a GSO packet carries its headers once, every segment
 * repeats them. Only asked for packets of cgroups with rules. `base`: where the IP header begins.
 */
static __always_inline __u64 wire_bytes(PACKET *packet, __u32 base, bool v6, __u8 proto)
{
	__u32 segments = segments_of(packet), length = length_of(packet) - base, l3, l4 = 8;
	__u8 byte = 0;

	if (segments == 1)
		return length;
	if (v6) {
		l3 = ipv6_transport(packet, base);
	} else {
		if (load_bytes(packet, base, &byte, 1) < 0)
			return length;
		l3 = (byte & 0xF) * 4;
	}
	if (proto == PROTO_TCP) { /* data offset, RFC 9293 */
		if (load_bytes(packet, base + l3 + 12, &byte, 1) < 0)
			return length;
		l4 = (byte >> 4) * 4;
	}
	return length + (__u64)(segments - 1) * (l3 + l4);
}

static __always_inline void count_reason(enum egress_reason reason)
{
	__u32 key = reason;
	__u64 *count = bpf_map_lookup_elem(&reason_counts, &key);

	if (count)
		(*count)++;
}

#define COUNTER_EXISTS -17 /* EEXIST: another CPU was first */

/* For a rule that nobody made a counter for: one of another tool, or of many that came at once. */
__noinline int create_counter(__u64 key)
{
	struct egress_counter fresh = {};

	return bpf_map_update_elem(&counters, &key, &fresh, BPF_NOEXIST);
}

/* A function of its own for the stack, as the next one. */
__noinline int count_uncounted(int err)
{
	if (err && err != COUNTER_EXISTS)
		count_reason(EGRESS_REASON_UNCOUNTED);
	return 0;
}

/*
 * A sweep clears the id of a rule before it takes the counter: what was made behind its
 * back is taken again here. A function of its own for the stack (Linux before 6.12).
 */
__noinline int forget_counter_of_none(__u64 key)
{
	volatile struct egress_rule *rule = rule_at((__u32)key);

	if (rule && rule->id == (__u32)key)
		return 0;
	return bpf_map_delete_elem(&counters, &key);
}

static __always_inline void count_rule(__u64 key, const struct amount *amount)
{
	struct egress_counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter) {
		count_uncounted(create_counter(key));
		if (!(key & EGRESS_COUNTER_DOOR))
			forget_counter_of_none(key);
		counter = bpf_map_lookup_elem(&counters, &key);
		if (!counter)
			return;
	}
	counter->packets += amount->packets;
	counter->bytes += amount->bytes;
	counter->denied += amount->denied;
}

#endif
