/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does one rule say to this flow, now? And where do the rules of a prefix stand?
 * src/core/evaluate.cpp says the same in plain C++.
 */
#ifndef EGRESS_DATAPATH_RULE_H
#define EGRESS_DATAPATH_RULE_H

#include "datapath/account.bpf.h"
#include "datapath/flow.bpf.h"
#include "datapath/sieve.bpf.h"

static __always_inline __u64 deadline_of_trial(__u32 flags)
{
	struct egress_control *control;

	if (!(flags & (EGRESS_RULE_TRIAL_NEW | EGRESS_RULE_TRIAL_OLD)))
		return EGRESS_FOREVER;
	control = the_control();
	return control ? *(volatile __u64 *)&control->trial_deadline : EGRESS_FOREVER;
}

static __always_inline bool in_force(const volatile struct egress_rule *rule, __u32 epoch)
{
	__u8 flags = rule->flags;
	__u32 turn = rule->turn;
	__u64 expires_at = rule->expires_at, trial, now;
	bool reached = turn && egress_turn_reached(epoch, turn), goes = turn & EGRESS_TURN_GOES, gone = goes && reached;

	if ((turn && !goes && !reached) || (gone && !(flags & EGRESS_RULE_TRIAL_OLD)))
		return false;
	trial = deadline_of_trial(flags);
	if (trial == EGRESS_FOREVER && expires_at == EGRESS_FOREVER)
		return !gone;
	now = bpf_ktime_get_boot_ns();
	if (now >= expires_at)
		return false;
	if ((flags & EGRESS_RULE_TRIAL_NEW) && now >= trial)
		return false;
	return !gone || now >= trial;
}

/* Whether a rule found under a matching prefix fits the rest of the flow. */
static __always_inline bool fits(const volatile struct egress_rule *rule, const struct flow *flow, bool mark)
{
	__u8 flags = rule->flags, proto = rule->proto;
	__u16 first = rule->port_first, last = rule->port_last;
	bool allow = rule->action == EGRESS_ACTION_ALLOW;

	if ((flow->flags & FLOW_ND) && !(flags & EGRESS_RULE_INCLUDE_ND))
		return false;
	/* Rules without ports are met in their own shape unless the protocol is unknown. */
	if (mark && !(flow->flags & FLOW_PROTO_UNKNOWN) && !first)
		return false;
	if (flags & EGRESS_RULE_PROTO) {
		if ((flow->flags & FLOW_V6) && proto == PROTO_ICMP)
			proto = PROTO_ICMPV6;
		if (flow->flags & FLOW_PROTO_UNKNOWN) {
			if (allow)
				return false;
		} else if (proto != flow->proto) {
			return false;
		}
	}
	if (first) {
		if (flow->flags & FLOW_PORTS)
			return first <= flow->port && flow->port <= last;
		return (flow->flags & FLOW_PORTS_UNKNOWN) && !allow;
	}
	return true;
}

static __always_inline __u32 all_bits_if(__u32 kind, __u32 bit)
{
	return -(__u32)(kind / bit & 1);
}

/* Without branches: each would double what the verifier has to follow. */
static __always_inline void make_key(struct egress_index_key *key, __u32 set, const struct egress_shape *shape,
				     const struct flow *flow)
{
	__u32 kind = shape->kind;
	__u8 plen = shape->plen, proto = flow->proto;
	const __be32 *mask = masks + plen;

	proto -= (PROTO_ICMPV6 - PROTO_ICMP) * (1 - is_set(proto ^ PROTO_ICMPV6));
	key->set = set;
	key->port = flow->port & all_bits_if(kind, EGRESS_KIND_EXACT);
	key->plen = plen;
	key->proto = proto & all_bits_if(kind, EGRESS_KIND_PROTO);
	key->addr[0] = flow->addr[0] & mask[MASK_ZERO];
	key->addr[1] = flow->addr[1] & mask[MASK_ZERO - 32 * 1];
	key->addr[2] = flow->addr[2] & mask[MASK_ZERO - 32 * 2];
	key->addr[3] = flow->addr[3] & mask[MASK_ZERO - 32 * 3];
}

/* Whether a shape can lead to a rule that fits at all. */
static __always_inline bool worth_a_look(const struct egress_shape *shape, __u32 flags)
{
	__u32 ports = shape->kind / EGRESS_KIND_EXACT | shape->kind / EGRESS_KIND_RANGE;
	__u32 proto = shape->kind / EGRESS_KIND_PROTO;

	return !((ports & ~(flags / FLOW_PORTS) & 1) | (proto & flags / FLOW_PROTO_UNKNOWN & 1));
}

/* The part of egress_shape.kind that a rule shows in its plain chain. */
static __always_inline __u32 kind_of(const volatile struct egress_rule *rule)
{
	__u32 first = rule->port_first, range = is_set(first ^ rule->port_last);

	return (rule->flags / EGRESS_RULE_PROTO & 1) * EGRESS_KIND_PROTO |
	       is_set(first) * (EGRESS_KIND_EXACT + range * (EGRESS_KIND_RANGE - EGRESS_KIND_EXACT));
}

/*
 * Whether the rule is of the prefix and shape that was looked for: others stand in the same
 * chain. Which port and protocol it names, fits() asks. A rule in the chain of the marks is
 * of any kind. wanted: see WANTED.
 */
static __always_inline bool belongs(const volatile struct egress_rule *rule, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 kind = wanted >> 8 & 0xFF, v6 = kind & EGRESS_KIND_V6, mark = kind / EGRESS_KIND_MARK & 1;
	__u32 other_kind = (kind_of(rule) ^ kind) & (EGRESS_KIND_PROTO | EGRESS_KIND_RANGE | EGRESS_KIND_EXACT);

	return !((rule->set ^ (__u32)(wanted >> 16)) | (rule->plen ^ (__u32)(wanted & 0xFF)) | other_kind * (1 - mark) |
		 (~rule->flags & (EGRESS_RULE_V4 + v6 * (EGRESS_RULE_V6 - EGRESS_RULE_V4))) |
		 (rule->addr[0] ^ (__u32)addr01) | (rule->addr[1] ^ (__u32)(addr01 >> 32)) |
		 (rule->addr[2] ^ (__u32)addr23) | (rule->addr[3] ^ (__u32)(addr23 >> 32)));
}

/* What a rule says, in one number: next rule of the chain, action (0: does not apply). */
#define SAYS(next_, action_) ((__u64)(action_) << 32 | (next_))
#define ANY_ACTION(action_) ((__u32)((action_) + 7) >> 3 & 1) /* without branches, as IS_AUDIT */
#define IS_AUDIT(action_) ((__u32)(action_) & (__u32)(action_) >> 1 & 1)
#define WANTED(set_, kind_, plen_) ((__u64)(set_) << 16 | (__u64)(kind_) << 8 | (plen_))
#define SAYS_TORN 0x10 /* not the rule that was looked for: ask the index again */

/*
 * One rule of a chain. In numbers (see ASKED below): id_epoch: id << 32 | epoch;
 * packed: what read_headers returns; wanted: see belongs(); addr01, addr23: the address,
 * already masked. Where the place was given to another rule meanwhile, its links lead
 * into another chain.
 */
__noinline __u64 rule_says(__u64 id_epoch, __u64 packed, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 id = id_epoch >> 32, mark = wanted >> 8 & EGRESS_KIND_MARK, found, next;
	struct flow flow = {.flags = packed & 0xFF, .proto = packed >> 8, .port = packed >> 16};
	volatile struct egress_rule *rule = rule_at(id);
	__u8 action;

	if (!rule)
		return 0;
	found = rule->id;
	next = rule->next[mark / EGRESS_KIND_MARK * EGRESS_CHAIN_MARK];
	if (!found)
		return SAYS(next, 0); /* over, and swept this moment */
	if (found != id)
		return SAYS(0, SAYS_TORN);
	if (!belongs(rule, wanted, addr01, addr23))
		return SAYS(next, 0);
	action = rule->action;
	if (!fits(rule, &flow, mark) || !in_force(rule, (__u32)id_epoch) || rule->id != id)
		action = 0;
	return SAYS(next, action & 0xF);
}

#define CHAIN_PART 16 /* rules at once: what a loop does is verified once for each time around */

/* More in `packed`, for chains: */
#define MET (1ull << 32)         /* what the first rule says is known, the next is meant */
#define ONLY_AUDITS (1ull << 33) /* it is decided already */

/* And in what a part of a chain says: bit N, the rule N after the first is an audit that applies. */
#define AUDITS(says_) ((says_) >> 48)
#define AN_AUDIT(step_) (1ull << (48 + (step_)))

/*
 * The first rule of a chain that decides: the rule, and the action; and which audits are on the way.
 * Without an action: the rule to go on from, 0 = none. Unrolled for the stack.
 */
__noinline __u64 first_in_chain(__u64 id_epoch, __u64 packed, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u64 audits = 0;

#pragma unroll
	for (__u32 step = 0; step < CHAIN_PART; step++) {
		__u64 says;

		asm volatile("" : "+r"(id_epoch), "+r"(packed)); /* or parts of them get places of their own */
		if (!(id_epoch >> 32))
			return audits;
		says = rule_says(id_epoch, packed, wanted, addr01, addr23);
		if (says >> 32 & SAYS_TORN)
			return says;
		if (ANY_ACTION(says >> 32) & ~IS_AUDIT(says >> 32) & ~(__u32)(packed / MET | packed / ONLY_AUDITS))
			return audits | SAYS(id_epoch >> 32, says >> 32);
		audits |= (__u64)(IS_AUDIT(says >> 32) & ~(__u32)(packed / MET)) << (48 + step);
		packed &= ~MET;
		id_epoch = says << 32 | (__u32)id_epoch;
	}
	return audits | id_epoch >> 32;
}

/* Counts the audits that first_in_chain() found from the rule `id` on. audited: packets << 32 | bytes. */
__noinline int count_audits(__u32 id, __u64 audits, __u32 chain, __u64 audited)
{
	const struct amount amount = {.packets = audited >> 32, .bytes = (__u32)audited};

	for (__u32 step = 0; step < CHAIN_PART; step++) {
		volatile struct egress_rule *rule = rule_at(id);

		if (!audits || !rule)
			return 0;
		if (audits & 1 && rule->id == id)
			count_rule(EGRESS_COUNTER_RULE | id, &amount);
		audits >>= 1;
		id = rule->next[chain & (EGRESS_CHAINS - 1)];
	}
	return 0;
}

#endif
