/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which rule decides this flow of this subject, now? The one place where that is
 * computed; src/core/evaluate.cpp says the same in plain C++.
 *
 * One function a level (names, sets, shapes, rules), each global and free of branches
 * in its loop: inlined into one, this was more than the verifier follows.
 */
#ifndef EGRESS_DATAPATH_MATCH_H
#define EGRESS_DATAPATH_MATCH_H

#include "datapath/account.bpf.h"
#include "datapath/rule.bpf.h"
#include "datapath/subject.bpf.h"

/* egress_list, computed. */
static __always_inline __u32 list_of(__u32 flags)
{
	__u32 list = (flags & FLOW_V6) * EGRESS_LIST_V6 +
		     ((flags / FLOW_PORTS_UNKNOWN | flags / FLOW_PROTO_UNKNOWN) & 1) * EGRESS_LIST_V4_MARK;

	return bounded(list, EGRESS_LISTS - 1);
}

/* An answer in one number, as SAYS: action and rule. */
#define ANSWER(action_, rule_) ((__u64)(action_) << 32 | (rule_))
#define ANSWER_ACTION(answer_) ((__u32)((answer_) >> 32) & 0xF)
#define ANSWER_RULE(answer_) ((__u32)(answer_)) /* 0: dropped for what the packet is */
#define ANSWER_DOOR 0x10   /* the rule is a key of drop_configs */
#define ANSWER_SILENT 0x20 /* a canary's rule: judged, not counted */

/*
 * From here on one function a level: names, sets of a name, shapes of a set, rules of
 * a chain. Each is global (5.6), so the verifier sees it once, and therefore takes
 * and gives numbers (pointers to memory are allowed only since 5.12):
 *
 * addr01, addr23: the address; epoch_packed: epoch, and what read_headers returns;
 * audited: packets << 32 | bytes that a rule which lets them pass counts, 0 = nothing.
 */
#define ASKED __u64 addr01, __u64 addr23, __u64 epoch_packed
#define ASK addr01, addr23, epoch_packed

static __always_inline __u64 limit_exceeded(void)
{
	count_reason(EGRESS_REASON_LIMIT);
	return ANSWER(EGRESS_ACTION_DROP, 0);
}

/* How often a set is asked again because a rule changed hands while it was read. */
#define RETRIES 32

/* The rules behind one shape (index into `shapes`) of a set: set_shape: set << 32 | shape. */
__noinline __u64 judge_by_shape(ASKED, __u64 set_shape, __u64 audited)
{
	struct flow flow = {.addr = {addr01, addr01 >> 32, addr23, addr23 >> 32},
			    .flags = epoch_packed & 0xFF,
			    .proto = epoch_packed >> 8,
			    .port = epoch_packed >> 16};
	__u32 index = set_shape, id;
	struct egress_shape *shape = bpf_map_lookup_elem(&shapes, &index);
	struct egress_index_key key;
	volatile __u32 *head;
	__u64 decided = 0, wanted, packed;

	if (!shape || !worth_a_look(shape, flow.flags))
		return 0;
	make_key(&key, set_shape >> 32, shape, &flow);
	if (key.plen && !sieve_holds((__u64)key.addr[1] << 32 | key.addr[0], (__u64)key.addr[3] << 32 | key.addr[2],
				     key.plen, flow.flags & FLOW_V6))
		return 0;
	wanted = WANTED(key.set, shape->kind, key.plen);
	head = head_at(egress_index_place(egress_index_hash(&key), shape->kind / EGRESS_KIND_MARK & 1, heads_mask));
	if (!head)
		return 0;
	id = *head;
	packed = (__u32)epoch_packed;
	for (__u32 part = 0; part < EGRESS_CHAIN_MAX / CHAIN_PART + 1; part++) {
		__u64 says;
		__u32 decides;

		if (!id)
			return decided;
		says = first_in_chain((__u64)id << 32 | epoch_packed >> 32, packed, wanted,
				      (__u64)key.addr[1] << 32 | key.addr[0], (__u64)key.addr[3] << 32 | key.addr[2]);
		if (says >> 32 & SAYS_TORN)
			return ANSWER(SAYS_TORN, 0);
		if (audited && AUDITS(says))
			count_audits(id, AUDITS(says), shape->kind / EGRESS_KIND_MARK, audited);
		says &= AN_AUDIT(0) - 1;
		decides = ANY_ACTION(says >> 32);
		if (decides > is_set(audited))
			return says;
		decided += says * decides;
		packed = (packed & ~MET) | decides * (MET | ONLY_AUDITS);
		id = says;
	}
	return limit_exceeded();
}

/* The most specific rule of one set. own_index: 1 << 32 if the cgroup itself bears the name, and the set. */
__noinline __u64 judge_by_set(ASKED, __u64 own_index, __u64 audited)
{
	__u32 set_index = own_index;
	struct egress_set *set = bpf_map_lookup_elem(&sets, &set_index);
	__u64 run, decided = 0;
	__u32 at, left;

	if (!set)
		return 0;
	run = *(volatile __u64 *)&set->lists[list_of(epoch_packed & 0xFF)]; /* struct egress_run, read at once */
	at = run;
	left = run >> 32;
	if ((set->flags & EGRESS_SET_ONLY) && !(own_index >> 32))
		return 0;
	audited *= set->flags / EGRESS_SET_AUDIT & 1;
	for (__u32 step = 0; step < EGRESS_SHAPES_MAX + RETRIES; step++) {
		__u64 answer, torn;

		if (!left || is_set(decided) > is_set(audited))
			return decided;
		answer = judge_by_shape(ASK, (__u64)set_index << 32 | at, audited);
		torn = answer >> 36 & 1; /* SAYS_TORN: ask again */
		at += 1 - torn;
		left -= 1 - torn;
		decided += answer * (1 - torn) * (1 - is_set(decided));
	}
	return limit_exceeded();
}

/* Counts a rule that lets packets pass; id 0 = none. */
__noinline int count_passing(__u32 id, __u64 audited)
{
	const struct amount amount = {.packets = audited >> 32, .bytes = (__u32)audited};

	if (id && audited)
		count_rule(EGRESS_COUNTER_RULE | id, &amount);
	return 0;
}

/* The sets of one name; the first that says drop or reject is final. */
__noinline __u64 judge_by_name(ASKED, __u64 ref, __u64 audited)
{
	__u32 index = ref & ~REF_OWN;
	struct egress_anchor *anchor = bpf_map_lookup_elem(&anchors, &index);

	if (!anchor)
		return 0;
	index = anchor->first_set;
	for (__u32 step = 0; step < EGRESS_SETS_OF_PACKET; step++) {
		struct egress_set *set = bpf_map_lookup_elem(&sets, &index);
		__u64 answer;

		if (!index || !set)
			return 0;
		answer = judge_by_set(ASK, (ref & REF_OWN) << 1 | index, audited);
		if (answer && answer >> 32 != EGRESS_ACTION_ALLOW)
			return answer;
		count_passing(answer, audited); /* an exception, or nothing */
		index = set->next;
	}
	return limit_exceeded();
}

/* The library's rules. leaf: cgroup id, whose cache entry has just been checked. */
__noinline __u64 judge_by_names(ASKED, __u64 leaf, __u64 audited)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	__u32 count;

	if (!entry)
		return 0;
	count = entry->count;
	for (__u32 step = 0; step < EGRESS_SETS_OF_PACKET; step++) {
		__u32 last = count; /* by one register less: the stack is scarce here */
		__u64 answer;

		asm volatile("%0 -= %1" : "+r"(last) : "r"(step));
		if (!last)
			return 0;
		answer = judge_by_name(ASK, entry->refs[(last - 1) & (REFS_SIZE - 1)], audited);
		if (answer)
			return answer;
	}
	return 0;
}

/* Whether a set of this name has a rule in force that decides. */
__noinline int name_decides(__u32 ref)
{
	__u64 now = bpf_ktime_get_boot_ns();
	__u32 index = ref & ~REF_OWN;
	struct egress_anchor *anchor = bpf_map_lookup_elem(&anchors, &index);

	if (!anchor)
		return 1;
	index = anchor->first_set;
	for (__u32 step = 0; step < EGRESS_SETS_OF_PACKET; step++) {
		struct egress_set *set;
		__u32 aside;

		if (!index)
			return 0;
		set = bpf_map_lookup_elem(&sets, &index);
		if (!set)
			return 1;
		aside = set->flags / EGRESS_SET_ONLY & 1 & ~(ref >> 31); /* the cgroup alone, and this is a descendant */
		if (set->decides_until * (1 - aside) > now)
			return 1;
		index = set->next;
	}
	return 1;
}

/* Whether any rule that decides is in force for this cgroup (door rules aside). */
__noinline int any_set_decides(__u64 leaf)
{
	volatile struct cache_entry *entry = cache_slot(leaf);

	if (!entry)
		return 1;
	for (__u32 i = 0; i < EGRESS_SETS_OF_PACKET; i++) {
		if (i >= entry->count)
			return 0;
		if (name_decides(entry->refs[i]))
			return 1;
	}
	return 0;
}

#endif
