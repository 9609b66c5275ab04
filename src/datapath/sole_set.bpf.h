/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Most cgroups with rules can be judged by one set alone, most sets have rules of one shape, most
 * rules are the first of their chain. Then this says what match.bpf.h would, without a call: where
 * returns are guarded each costs 5 to 8 ns, and there are nine of them on the way.
 */
#ifndef EGRESS_DATAPATH_SOLE_SET_H
#define EGRESS_DATAPATH_SOLE_SET_H

#include "datapath/match.bpf.h"

/*
 * A moment in units of about a second, for rules that live longer: the clock need not be read (38 ns)
 * for what ends more than a unit after the walk of a cache entry, which holds for one tick.
 */
static __always_inline __u32 second_of(__u64 clock)
{
	return clock >> 30;
}

/*
 * The action of a rule that certainly is in force and fits a packet of the common kind; 0: ask rule_says().
 * Most rules are such ones, and here they cost no call and no branch.
 */
static __always_inline __u32 says_plainly(const volatile struct egress_rule *rule, __u32 id, __u32 epoch, __u32 since,
					  const struct flow *flow, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 found = rule->id, flags = rule->flags, proto = rule->proto, first = rule->port_first, last = rule->port_last,
	      turn = rule->turn, action = rule->action, v6 = flow->flags & FLOW_V6, takes_turn, other_proto, other_port, ends_soon;

	takes_turn = is_set(turn) & (turn / EGRESS_TURN_GOES | (1 - egress_turn_reached(epoch, turn)));
	ends_soon = ((rule->expires_at >> 30) - since - 2) >> 63;
	proto += (PROTO_ICMPV6 - PROTO_ICMP) * (v6 & (1 - is_set(proto ^ PROTO_ICMP)));
	other_proto = (flags / EGRESS_RULE_PROTO & 1) * (proto ^ flow->proto);
	other_port = is_set(first) & (1 - (flow->flags / FLOW_PORTS & 1) | ((__u32)flow->port - first) >> 31 |
				      (last - flow->port) >> 31);
	if (!belongs(rule, wanted, addr01, addr23) | (found ^ id) | takes_turn | ends_soon | other_proto | other_port |
	    (flags & (EGRESS_RULE_TRIAL_NEW | EGRESS_RULE_TRIAL_OLD)) | IS_AUDIT(action) | (rule->id ^ id))
		return 0;
	return action & 0xF;
}

/* judge_at_once() cannot say. */
#define LONG_WAY ANSWER(SAYS_TORN, 0)

/*
 * A set that alone can judge the cgroup, and holds no audits. The rules of one address list have one shape most often, and
 * the rule is the first of its chain: then it is found here without a call, which is what costs most below.
 */
static __always_inline __u64 judge_at_once(ASKED, __u32 set_index, __u32 since)
{
	struct flow flow = {.addr = {addr01, addr01 >> 32, addr23, addr23 >> 32},
			    .flags = epoch_packed & 0xFF,
			    .proto = epoch_packed >> 8,
			    .port = epoch_packed >> 16};
	struct egress_set *set = bpf_map_lookup_elem(&sets, &set_index);
	struct egress_index_key key;
	struct egress_shape *shape;
	struct egress_rule *rule;
	volatile __u32 *head;
	__u32 at, id, action;
	__u64 run;

	if (!set || set->flags & (EGRESS_SET_ONLY | EGRESS_SET_AUDIT))
		return LONG_WAY;
	run = *(volatile __u64 *)&set->lists[list_of(flow.flags)];
	at = run;
	shape = bpf_map_lookup_elem(&shapes, &at);
	if (run >> 32 == 1 && shape) {
		make_key(&key, set_index, shape, &flow);
		head = head_at(egress_index_place(egress_index_hash(&key), EGRESS_CHAIN_PLAIN, heads_mask));
		id = head ? *head : 0;
		rule = rule_soon_at(id);
		if (rule && id) {
			action = says_plainly(rule, id, epoch_packed >> 32, since, &flow,
					      WANTED(set_index, shape->kind, key.plen),
					      (__u64)key.addr[1] << 32 | key.addr[0],
					      (__u64)key.addr[3] << 32 | key.addr[2]);
			if (action)
				return ANSWER(action, id);
		}
	}
	return LONG_WAY;
}

/* Called after a walk: whether judge_at_once() can judge this cgroup. Returns the cover of the set that can. */
__noinline int note_sole_set(__u64 leaf, __u64 when)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	__u32 since = second_of(bpf_ktime_get_boot_ns()), ref, set_index = 0, cover = 0;
	struct egress_anchor *anchor;
	struct egress_set *set;

	if (!entry)
		return 0;
	ref = entry->refs[0];
	if (entry->sum == sum_of(leaf, when, 1, sum_of_ref(ref, 0))) { /* one name, no rules of other tools */
		ref &= ~REF_OWN;
		anchor = bpf_map_lookup_elem(&anchors, &ref);
		if (anchor) {
			set_index = anchor->first_set;
			set = bpf_map_lookup_elem(&sets, &set_index);
			if (!set || set->next)
				set_index = 0;
			else
				cover = *(volatile __u32 *)&set->flags >> EGRESS_SET_COVER_SHIFT;
		}
	}
	entry->sole.set = set_index;
	entry->sole.since = since;
	entry->sole.sum = sum_of_words(leaf, when, SUM_SOLE, set_index, since);
	return set_index ? cover : 0;
}

/* Whether note_the_rest() was called since the walk: a call and a strict layer walk too. */
static __always_inline bool is_noted(volatile struct cache_entry *entry, __u64 id, __u64 when)
{
	return entry->sole.sum == sum_of_words(id, when, SUM_SOLE, entry->sole.set, entry->sole.since);
}

/* What is remembered beside the names of an entry, if it has names and no rules of other tools. */
__noinline int note_the_rest(__u64 leaf, __u64 when)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	__u32 cover;

	if (!entry || !entry->count || entry->door)
		return 0;
	cover = note_sole_set(leaf, when);
	note_lengths_v4(leaf, when, cover);
	note_lengths_v6(leaf, when, cover);
	return 0;
}

#endif
