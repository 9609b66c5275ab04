/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random destinations without a system call between two packets: the next of a list stands for that of the packet.
 * bpf_get_prandom_u32 would meet a rule now and then, and costs 17 ns; to read a list in order costs 1.5. All programs
 * share it and the place in it: none finds in the caches what another has just looked up.
 */
#ifndef EGRESS_BENCH_TO_STRANGERS_H
#define EGRESS_BENCH_TO_STRANGERS_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "strangers.h"

struct stranger {
	__be32 addr[4]; /* IPv4 in addr[0] */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STRANGERS);
	__type(key, __u32);
	__type(value, struct stranger);
} strangers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next_stranger SEC(".maps");

__be32 destination[4]; /* of this packet */

static __always_inline void take_next_destination(void)
{
	__u32 zero = 0, at;
	__u32 *next = bpf_map_lookup_elem(&next_stranger, &zero);
	struct stranger *stranger;

	if (!next)
		return;
	at = (*next)++ % STRANGERS;
	stranger = bpf_map_lookup_elem(&strangers, &at);
	if (stranger)
		__builtin_memcpy(destination, stranger->addr, sizeof(destination));
}

#endif
