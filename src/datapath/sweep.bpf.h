/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Housekeeping: rules that are over leave every map with nobody of ours alive. One
 * BPF timer for the instance (5.15). Whether a rule is over for a packet is judged
 * in match.bpf.h; a sweep that is late changes no verdict.
 *
 * The library and a sweep exclude each other by control.maintenance. A library that
 * was killed or stopped with the word in hand loses it when its lease ends; one that
 * goes on after all finds that out before its change is seen (engine/maintenance.hpp).
 */
#ifndef EGRESS_DATAPATH_SWEEP_H
#define EGRESS_DATAPATH_SWEEP_H

#include "datapath/door.bpf.h"

#define SWEEP_PERIOD (250 * 1000 * 1000ull) /* ns */
#define DOOR_PERIODS 3 /* to go through a hash takes long for its size, not for what is in it: 3 ms for a million */
#define CLOCK_BOOTTIME 7

struct sweeper {
	struct bpf_timer timer;
	__u32 periods;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweeper);
} sweeper SEC(".maps");

struct bpf_map;

struct sweep {
	__u64 now;
	__u64 next_deadline;
	bool trial_over; /* nobody confirmed: the former rules stay */
};

static __always_inline bool take_maintenance(struct egress_control *control, __u64 now)
{
	__u32 seen = __sync_val_compare_and_swap(&control->maintenance, EGRESS_MAINTENANCE_FREE,
						 EGRESS_MAINTENANCE_SWEEP);

	if (seen == EGRESS_MAINTENANCE_FREE)
		return true;
	if (seen != EGRESS_MAINTENANCE_LIBRARY || now < *(volatile __u64 *)&control->lease_until)
		return false;
	return __sync_val_compare_and_swap(&control->maintenance, EGRESS_MAINTENANCE_LIBRARY,
					   EGRESS_MAINTENANCE_SWEEP) == EGRESS_MAINTENANCE_LIBRARY;
}

#define UNLINKED 0

/*
 * Takes a rule out of the next rules of a chain, at: one that stands before it; next: what follows it there.
 * UNLINKED, or the rule to go on from.
 */
__noinline __u32 unlink_behind(__u32 at, __u32 id, __u32 next, __u32 chain)
{
	chain &= EGRESS_CHAINS - 1;
	for (int i = 0; i < CHAIN_PART; i++) {
		struct egress_rule *before = rule_at(at);

		if (!before || before->id != at)
			return UNLINKED; /* the chain has ended, or is not one */
		at = before->next[chain];
		if (at == id) {
			before->next[chain] = next;
			return UNLINKED;
		}
	}
	return at;
}

/* place_chain: where the chain begins << 32 | enum egress_chain. */
__noinline int unlink_rule(__u64 place_chain, __u32 id, __u32 next)
{
	volatile __u32 *head = head_at(place_chain >> 32);
	__u32 at;

	if (!head)
		return 0;
	at = *head;
	if (at == id) {
		*head = next;
		return 0;
	}
	for (int part = 0; part < EGRESS_CHAIN_MAX / CHAIN_PART && at; part++)
		at = unlink_behind(at, id, next, place_chain);
	return 0;
}

static __always_inline void unlink_from(const struct egress_rule *rule, const struct egress_index_key *key, __u32 chain)
{
	unlink_rule((__u64)egress_index_place(egress_index_hash(key), chain, heads_mask) << 32 | chain, rule->id,
		    rule->next[chain]);
}

static __always_inline void unlink_everywhere(struct egress_rule *rule)
{
	struct egress_index_key key = {.set = rule->set, .plen = rule->plen};

	key.addr[0] = rule->addr[0];
	key.addr[1] = rule->addr[1];
	key.addr[2] = rule->addr[2];
	key.addr[3] = rule->addr[3];
	if (rule->port_first || (rule->flags & EGRESS_RULE_PROTO))
		unlink_from(rule, &key, EGRESS_CHAIN_MARK);
	if (rule->flags & EGRESS_RULE_PROTO)
		key.proto = rule->proto == PROTO_ICMPV6 ? PROTO_ICMP : rule->proto;
	if (rule->port_first == rule->port_last)
		key.port = rule->port_first;
	unlink_from(rule, &key, EGRESS_CHAIN_PLAIN);
}

static __noinline int remove_rule(struct egress_rule *rule)
{
	__u32 id = rule->id;
	__u64 counter = EGRESS_COUNTER_RULE | id;

	unlink_everywhere(rule);
	rule->id = 0; /* before the counter goes: see create_counter() */
	bpf_map_delete_elem(&counters, &counter);
	rule->expires_at = 0;
	rule->created = 0;
	rule->set = rule->reason = 0;
	rule->action = rule->flags = rule->proto = rule->plen = 0;
	rule->port_first = rule->port_last = 0;
	rule->turn = 0;
	rule->addr[0] = rule->addr[1] = rule->addr[2] = rule->addr[3] = 0;
	return 0;
}

/* `next` goes one sweep after the rule: a packet that met it on its way through a chain walks on by it. */
static __always_inline void forget_links(struct egress_rule *rule)
{
	rule->next[0] = rule->next[1] = 0;
}

static __always_inline void remove_and_come_again(struct egress_rule *rule, struct sweep *sweep)
{
	remove_rule(rule);
	if (sweep->now + SWEEP_PERIOD < sweep->next_deadline)
		sweep->next_deadline = sweep->now + SWEEP_PERIOD;
}

static long sweep_rule(struct bpf_map *map, const __u32 *slot, struct egress_rule *rule, struct sweep *sweep)
{
	__u64 ends;

	if (!rule->id) {
		forget_links(rule);
		return 0;
	}
	if (sweep->trial_over && (rule->flags & EGRESS_RULE_TRIAL_OLD)) {
		rule->turn = 0; /* in force meanwhile: the trial's deadline has passed */
		rule->flags &= ~EGRESS_RULE_TRIAL_OLD;
	}
	/*
	 * Over is over, also for a rule that a change was about to bring or to take. One call for both
	 * reasons: the verifier follows each.
	 */
	ends = rule->expires_at * (1 - (sweep->trial_over & rule->flags / EGRESS_RULE_TRIAL_NEW & 1));
	if (ends <= sweep->now)
		remove_and_come_again(rule, sweep);
	else if (rule->expires_at < sweep->next_deadline)
		sweep->next_deadline = rule->expires_at;
	return 0;
}

/* Rules of other tools. A half-written entry (cgroup_id 0) is not ours to judge. */
static long sweep_door(struct bpf_map *map, const __u32 *key, struct drop_config *config, struct sweep *sweep)
{
	__u32 id = *key, *named;
	__u64 cgroup = config->cgroup_id, counter = EGRESS_COUNTER_DOOR | id;

	if (!cgroup || door_in_force(config, sweep->now))
		return 0;
	named = bpf_map_lookup_elem(&cgroup_rules, &cgroup);
	if (named && *named == id)
		bpf_map_delete_elem(&cgroup_rules, &cgroup);
	bpf_map_delete_elem(&drop_configs, &id);
	bpf_map_delete_elem(&counters, &counter);
	return 0;
}

/*
 * The word was free, or its holder is dead or has stood still for a lease: `pending` is
 * of no interest. What remains of a broken-off change, the next writer undoes or ends.
 */
static __always_inline void sweep_rules(struct egress_control *control, struct sweep *sweep)
{
	__u64 trial = control->trial_deadline;

	sweep->trial_over = trial != EGRESS_FOREVER && trial <= sweep->now;
	if (trial != EGRESS_FOREVER && !sweep->trial_over)
		sweep->next_deadline = trial;
	bpf_for_each_map_elem(&rules, sweep_rule, sweep, 0);
	if (sweep->trial_over)
		control->trial_deadline = EGRESS_FOREVER;
	control->next_deadline = sweep->next_deadline;
	control->sweeps++;
}

static int on_timer(void *map, __u32 *key, struct sweeper *value)
{
	struct egress_control *control = the_control();
	struct sweep sweep = {.now = bpf_ktime_get_boot_ns(), .next_deadline = EGRESS_FOREVER};

	if (control) {
		control->swept_at = sweep.now;
		if (control->next_deadline <= sweep.now && take_maintenance(control, sweep.now)) {
			sweep_rules(control, &sweep);
			__sync_val_compare_and_swap(&control->maintenance, EGRESS_MAINTENANCE_SWEEP,
						    EGRESS_MAINTENANCE_FREE);
		}
		if (value->periods++ % DOOR_PERIODS == 0)
			bpf_for_each_map_elem(&drop_configs, sweep_door, &sweep, 0);
	}
	bpf_timer_start(&value->timer, SWEEP_PERIOD, 0);
	return 0;
}

#endif
