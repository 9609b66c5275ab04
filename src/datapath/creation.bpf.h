/* SPDX-License-Identifier: GPL-2.0 */
/*
 * May this task make such a socket? What a packet socket sends meets no hook of a
 * cgroup, so it must be refused before it is there.
 *
 * The socket will belong to the cgroup that the current task is in now: here, and
 * only here, the task says whose it is.
 */
#ifndef EGRESS_DATAPATH_CREATION_H
#define EGRESS_DATAPATH_CREATION_H

#include "datapath/verdict.bpf.h"

#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17
#define AF_XDP 44
#define SOCK_TYPE_MASK 0xF
#define SOCK_RAW 3

/* Its packets meet no hook, or carry headers that the process wrote. */
static __always_inline bool is_packet_socket(int family, int type)
{
	if (family == AF_PACKET || family == AF_XDP)
		return true;
	return (family == AF_INET || family == AF_INET6) && (type & SOCK_TYPE_MASK) == SOCK_RAW;
}

static __always_inline struct cgroup *cgroup_of_task(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

/* id_epoch: id << 32 | epoch. The record alone says whether the rule is in force: the run may name one that is gone. */
__noinline int rule_refuses(__u64 id_epoch, __u32 set)
{
	__u32 id = id_epoch >> 32;
	volatile struct egress_rule *rule = rule_at(id);

	if (!id || !rule || rule->id != id || rule->set != set || !(rule->flags & EGRESS_RULE_NO_PACKET_SOCKETS))
		return 0;
	return in_force(rule, (__u32)id_epoch) && rule->id == id;
}

/* From here on: the id of a rule that refuses packet sockets; 0 = none. One global function a level, as in match.bpf.h. */
__noinline __u32 refused_by_set(__u32 index, __u32 epoch)
{
	struct egress_set *set = bpf_map_lookup_elem(&sets, &index);
	__u64 run;
	__u32 at, left;

	if (!set)
		return 0;
	run = *(volatile __u64 *)&set->refusing; /* struct egress_run, read at once */
	at = run;
	left = run >> 32;
	for (__u32 step = 0; step < EGRESS_REFUSING_MAX; step++) {
		struct egress_shape *place;
		__u32 id;

		if (!left)
			return 0;
		place = bpf_map_lookup_elem(&shapes, &at);
		if (!place)
			return 0;
		id = *(volatile __u32 *)&place->rule;
		if (rule_refuses((__u64)id << 32 | epoch, index))
			return id;
		at++;
		left--;
	}
	return 0;
}

__noinline __u32 refused_by_name(__u32 ref, __u32 epoch)
{
	__u32 index = ref & ~REF_OWN, rule;
	struct egress_anchor *anchor = bpf_map_lookup_elem(&anchors, &index);

	if (!anchor)
		return 0;
	index = anchor->first_set;
	for (__u32 step = 0; step < EGRESS_SETS_OF_PACKET; step++) {
		struct egress_set *set = bpf_map_lookup_elem(&sets, &index);

		if (!index || !set)
			return 0;
		if ((ref & REF_OWN) || !(set->flags & EGRESS_SET_ONLY)) {
			rule = refused_by_set(index, epoch);
			if (rule)
				return rule;
		}
		index = set->next;
	}
	return 0;
}

/* leaf: cgroup id, whose cache entry has just been checked. */
__noinline __u32 refused_by_names(__u64 leaf, __u32 epoch)
{
	volatile struct cache_entry *entry = cache_slot(leaf);

	if (!entry)
		return 0;
	for (__u32 i = 0; i < EGRESS_SETS_OF_PACKET; i++) {
		__u32 rule;

		if (i >= entry->count)
			return 0;
		rule = refused_by_name(entry->refs[i], epoch);
		if (rule)
			return rule;
	}
	return 0;
}

#define CREATE_EPERM -1
#define CREATE_GO_ON 0

/* Of a packet socket that a task somewhere on this host is about to make: 0 goes on, else an errno. */
static __always_inline int judge_creation(void)
{
	struct egress_control *control = the_control();
	struct cgroup *cgroup = cgroup_of_task();
	struct subject subject = {};
	struct amount refused = {.denied = 1};
	__u32 epoch, rule;

	if (!control || !cgroup || origin_ancestor((__u64)cgroup, 0) != root_id)
		return CREATE_GO_ON; /* outside of the enforced subtree */
	epoch = *(volatile __u32 *)&control->epoch;
	subject.id = BPF_CORE_READ(cgroup, kn, id);
	subject.entry = cache_slot(subject.id);
	if (!subject.entry)
		return CREATE_GO_ON; /* an array index within bounds: cannot be */
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		__u64 when = when_of(epoch);

		if (!recall(&subject, when)) {
			walk_origin((__u64)cgroup, subject.id, when);
			if (!recall(&subject, when))
				continue;
		}
		if (!subject.count)
			return CREATE_GO_ON;
		if (subject.count > EGRESS_SETS_OF_PACKET)
			return CREATE_EPERM; /* what its rules say is not known; its packets are dropped too */
		rule = refused_by_names(subject.id, epoch);
		if (!undisturbed(&subject))
			continue;
		if (!rule)
			return CREATE_GO_ON;
		print_verdict(subject.id, ANSWER(EGRESS_ACTION_REJECT, rule));
		count_rule(EGRESS_COUNTER_RULE | rule, &refused);
		return CREATE_EPERM;
	}
	return CREATE_EPERM; /* nothing is known; as for packets */
}

#endif
