/* SPDX-License-Identifier: GPL-2.0 */
/* What follows from an answer of match.bpf.h: counts, and at packets and calls a line in the trace pipe if asked for. */
#ifndef EGRESS_DATAPATH_VERDICT_H
#define EGRESS_DATAPATH_VERDICT_H

#include "datapath/door.bpf.h"
#include "datapath/sole_set.bpf.h"

/* Not static: the BTF of a static constant has no offset that libbpf could mend (bpf_printk makes one). */
const char verdict_format[] = "egress: cgroup %llu rule %u action %u";

static __always_inline void print_verdict(__u64 cgroup, __u64 answer)
{
	if (debug)
		bpf_trace_printk(verdict_format, sizeof(verdict_format), cgroup, ANSWER_RULE(answer),
				 ANSWER_ACTION(answer));
}

static __always_inline __u64 counter_of(__u64 answer)
{
	return (answer >> 32 & ANSWER_DOOR ? EGRESS_COUNTER_DOOR : EGRESS_COUNTER_RULE) | ANSWER_RULE(answer);
}

static __always_inline void count_oddities(__u32 flags, bool dropped)
{
	if (flags & FLOW_FRAGMENT)
		count_reason(EGRESS_REASON_FRAGMENT);
	if (flags & FLOW_PROTO_UNKNOWN)
		count_reason(EGRESS_REASON_EXTHDR_LIMIT);
	if ((flags & FLOW_ND) && !dropped)
		count_reason(EGRESS_REASON_EXEMPT);
}

static __always_inline void count_drop(__u64 answer, const struct amount *amount)
{
	__u32 zero = 0;
	struct drop_stats *totals = bpf_map_lookup_elem(&stats, &zero);

	if (!totals || answer >> 32 & ANSWER_SILENT)
		return;
	totals->packets_dropped += amount->packets;
	totals->bytes_dropped += amount->bytes;
	if (ANSWER_RULE(answer))
		count_rule(counter_of(answer), amount);
}

#define TRY_AGAIN 2 /* beside dropped and passed */

#endif
