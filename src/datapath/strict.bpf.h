/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The strict layers: a frame at a device, judged by the same rules as a packet of the
 * origin's cgroup. Only what is dropped here is counted here: what passes was counted
 * by the packet hook, if it met that.
 */
#ifndef EGRESS_DATAPATH_STRICT_H
#define EGRESS_DATAPATH_STRICT_H

#define EGRESS_STRICT

#include "datapath/frame.bpf.h"
#include "datapath/verdict.bpf.h"

#define FRAME_DROPPED 0
#define FRAME_PASSED 1

__noinline int read_ip(PACKET *packet, __u32 frame)
{
	return frame & FRAME_V6 ? read_ipv6(packet, FRAME_AT(frame)) : read_ipv4(packet, FRAME_AT(frame));
}

/* Dropped for what the frame is, unless no rule decides here anyway. */
static __always_inline __u64 judge_unreadable_frame(const struct subject *subject, __u64 origin,
						    enum egress_reason reason)
{
	if (!any_set_decides(subject->id) && !(subject->door && judge_origin_by_door(origin, subject->door, 0, 1)))
		return 0;
	count_reason(reason);
	return ANSWER(EGRESS_ACTION_DROP, 0);
}

static __always_inline __u64 judge_ip(const struct subject *subject, __u64 origin, __u32 epoch,
				      const struct flow *flow)
{
	__u64 packed = PACKED(flow->flags, flow->proto, flow->port), answer = 0;

	if (flow->flags & (FLOW_MALFORMED | FLOW_SOURCE_ROUTED))
		answer = judge_unreadable_frame(subject, origin,
						flow->flags & FLOW_MALFORMED ? EGRESS_REASON_MALFORMED
									     : EGRESS_REASON_SOURCE_ROUTE);
	if (answer || (flow->flags & FLOW_MALFORMED))
		return answer;
	if (subject->count)
		answer = judge_by_names((__u64)flow->addr[1] << 32 | flow->addr[0],
					(__u64)flow->addr[3] << 32 | flow->addr[2], (__u64)epoch << 32 | packed,
					subject->id, 0);
	if (!answer && subject->door)
		answer = judge_origin_by_door(origin, subject->door, (__u64)flow->addr[0] << 32 | packed, 0);
	return answer;
}

/* `refused`: a frame of no kind that has an IP address is dropped too. */
static __always_inline __u64 judge_other(const struct subject *subject, __u64 origin, __u32 frame, bool refused)
{
	if (frame & FRAME_MALFORMED)
		return judge_unreadable_frame(subject, origin, EGRESS_REASON_MALFORMED);
	if (frame & FRAME_ARP)
		return 0;
	count_reason(EGRESS_REASON_NOT_IP);
	return refused ? judge_unreadable_frame(subject, origin, EGRESS_REASON_NOT_IP) : 0;
}

/* So that there are never more drops than packets. */
static __always_inline void count_processed(__u64 packets)
{
	__u32 zero = 0;
	struct drop_stats *totals = bpf_map_lookup_elem(&stats, &zero);

	if (totals)
		totals->packets_processed += packets;
}

/* One attempt. `id` is the origin's cgroup; `frame` says what read_frame found, and FRAME_REFUSED. */
#define FRAME_REFUSED 0x80000000u

__noinline int judge_frame(PACKET *packet, __u64 origin, __u64 id, __u32 frame)
{
	struct egress_control *control = the_control();
	struct subject subject = {.id = id, .entry = cache_slot(id)};
	struct amount amount = {.packets = segments_of(packet)};
	struct flow flow = {};
	__u32 base = FRAME_AT(frame);
	__u64 when, answer;

	if (!control || !subject.entry)
		return FRAME_PASSED; /* arrays, and indices within them: cannot be */
	when = when_of(*(volatile __u32 *)&control->epoch);
	if (!recall(&subject, when)) {
		walk_origin(origin, id, when);
		return TRY_AGAIN;
	}
	if (!subject.count && !subject.door)
		return FRAME_PASSED;

	amount.bytes = length_of(packet);
	if (subject.count > EGRESS_SETS_OF_PACKET) {
		answer = limit_exceeded();
	} else if (frame & (FRAME_V4 | FRAME_V6)) {
		unpack(&flow, read_ip(packet, frame));
		read_address(packet, base, &flow);
		amount.bytes = wire_bytes(packet, base, flow.flags & FLOW_V6, flow.proto);
		answer = judge_ip(&subject, origin, when >> 32, &flow);
	} else {
		answer = judge_other(&subject, origin, frame, frame & FRAME_REFUSED);
	}
	if (!undisturbed(&subject))
		return TRY_AGAIN;
	if (!answer)
		return FRAME_PASSED;
	count_oddities(flow.flags, true);
	count_processed(amount.packets);
	count_drop(answer, &amount);
	return FRAME_DROPPED;
}

/* `layer`: the reason that says where it was dropped. */
static __always_inline int judge_strictly(PACKET *packet, __u64 origin, __u64 id, __u32 frame,
					  enum egress_reason layer)
{
	int verdict = TRY_AGAIN;

	for (int attempt = 0; attempt < ATTEMPTS && verdict == TRY_AGAIN; attempt++)
		verdict = judge_frame(packet, origin, id, frame);
	if (verdict == FRAME_PASSED)
		return FRAME_PASSED;
	if (verdict == TRY_AGAIN)
		count_reason(EGRESS_REASON_TORN);
	count_reason(layer);
	return FRAME_DROPPED;
}

#endif
