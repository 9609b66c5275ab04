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
#include "datapath/flow.bpf.h"
#include "datapath/sieve.bpf.h"
#include "datapath/subject.bpf.h"

/* egress_list, computed. */
static __always_inline __u32 list_of(__u32 flags)
{
	__u32 list = (flags & FLOW_V6) * EGRESS_LIST_V6 +
		     ((flags / FLOW_PORTS_UNKNOWN | flags / FLOW_PROTO_UNKNOWN) & 1) * EGRESS_LIST_V4_MARK;

	return bounded(list, EGRESS_LISTS - 1);
}

static __always_inline bool reached(__u32 epoch, __u32 mark)
{
	return (__s32)(epoch - mark) >= 0;
}

/*
 * A moment in units of about a second, for rules that live longer: the clock need not be read (38 ns)
 * for what ends more than a unit after the walk of a cache entry, which holds for one tick.
 */
static __always_inline __u32 second_of(__u64 clock)
{
	return clock >> 30;
}

/* since: second_of() a moment at most one tick ago, or SINCE_UNKNOWN. */
#define SINCE_UNKNOWN 0

static __always_inline __u64 deadline_of_trial(__u32 flags)
{
	struct egress_control *control;

	if (!(flags & (EGRESS_RULE_TRIAL_NEW | EGRESS_RULE_TRIAL_OLD)))
		return EGRESS_FOREVER;
	control = the_control();
	return control ? *(volatile __u64 *)&control->trial_deadline : EGRESS_FOREVER;
}

static __always_inline bool in_force(const volatile struct egress_rule *rule, __u32 epoch, __u32 since)
{
	__u8 flags = rule->flags;
	__u32 born = rule->born, died = rule->died;
	__u64 expires_at = rule->expires_at, trial, now;
	bool gone = died && reached(epoch, died);

	if ((born && !reached(epoch, born)) || (gone && !(flags & EGRESS_RULE_TRIAL_OLD)))
		return false;
	trial = deadline_of_trial(flags);
	if (trial == EGRESS_FOREVER && (expires_at == EGRESS_FOREVER || (since && expires_at >> 30 > since + 1ull)))
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
 * of any kind. wanted: set << 24 | kind << 16 | prefix length.
 */
static __always_inline bool belongs(const volatile struct egress_rule *rule, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 kind = wanted >> 16 & 0xFF, v6 = kind & EGRESS_KIND_V6, mark = kind / EGRESS_KIND_MARK & 1;
	__u32 other_kind = (kind_of(rule) ^ kind) & (EGRESS_KIND_PROTO | EGRESS_KIND_RANGE | EGRESS_KIND_EXACT);

	return !((rule->set ^ (__u32)(wanted >> 24)) | (rule->plen ^ (__u32)(wanted & 0xFF)) | other_kind * (1 - mark) |
		 (~rule->flags & (EGRESS_RULE_V4 + v6 * (EGRESS_RULE_V6 - EGRESS_RULE_V4))) |
		 (rule->addr[0] ^ (__u32)addr01) | (rule->addr[1] ^ (__u32)(addr01 >> 32)) |
		 (rule->addr[2] ^ (__u32)addr23) | (rule->addr[3] ^ (__u32)(addr23 >> 32)));
}

/* What a rule says, in one number: next rule of the chain, action (0: does not apply). */
#define SAYS(next_, action_) ((__u64)(action_) << 32 | (next_))
#define ANY_ACTION(action_) ((__u32)((action_) + 7) >> 3 & 1) /* without branches, as IS_AUDIT */
#define IS_AUDIT(action_) ((__u32)(action_) & (__u32)(action_) >> 1 & 1)
#define SAYS_TORN 0x10 /* not the rule that was looked for: ask the index again */

/*
 * One rule of a chain. In numbers (see ASKED below): id_epoch: id << 32 | epoch;
 * packed: what read_headers returns, and the clock as in_force() takes it << 32; wanted: see belongs(); addr01, addr23: the address,
 * already masked. Where the place was given to another rule meanwhile, its links lead
 * into another chain.
 */
__noinline __u64 rule_says(__u64 id_epoch, __u64 packed, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 id = id_epoch >> 32, mark = wanted >> 16 & EGRESS_KIND_MARK, found, next;
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
	if (!fits(rule, &flow, mark) || !in_force(rule, (__u32)id_epoch, packed >> 32) || rule->id != id)
		action = 0;
	return SAYS(next, action & 0xF);
}

#define CHAIN_PART 16 /* rules at once: what a loop does is verified once for each time around */

/*
 * The first rule of a chain that says anything: the rule, and the action. Without an action:
 * the rule to go on from, 0 = none. MET in `packed`: what the first rule says is known, the
 * next is meant. No branches that go on.
 */
#define MET 0x100000000ull
__noinline __u64 first_in_chain(__u64 id_epoch, __u64 packed, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 id = id_epoch >> 32, met = packed >> 32;

#pragma unroll
	for (__u32 step = 0; step < CHAIN_PART; step++) {
		__u64 says;

		if (!id)
			return 0;
		says = rule_says((__u64)id << 32 | (__u32)id_epoch, (__u32)packed, wanted, addr01, addr23);
		if ((says >> 32) * (1 - met))
			return SAYS(id, says >> 32);
		met = 0;
		id = says;
	}
	return id;
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

/* Counts a rule that lets packets pass; id 0 = none. */
__noinline int count_passing(__u32 id, __u64 audited)
{
	const struct amount amount = {.packets = audited >> 32, .bytes = (__u32)audited};

	if (id && audited)
		count_rule(EGRESS_COUNTER_RULE | id, &amount);
	return 0;
}

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
	__u64 decided = 0, wanted, met = 0;

	if (!shape || !worth_a_look(shape, flow.flags))
		return 0;
	make_key(&key, set_shape >> 32, shape, &flow);
	if (key.plen && !sieve_holds((__u64)key.addr[1] << 32 | key.addr[0], (__u64)key.addr[3] << 32 | key.addr[2],
				     key.plen, flow.flags & FLOW_V6))
		return 0;
	wanted = (__u64)key.set << 24 | (__u64)shape->kind << 16 | key.plen;
	head = head_at(egress_index_place(egress_index_hash(&key), wanted / (EGRESS_KIND_MARK << 16) & 1, heads_mask));
	if (!head)
		return 0;
	id = *head;
	addr01 = (__u64)key.addr[1] << 32 | key.addr[0];
	addr23 = (__u64)key.addr[3] << 32 | key.addr[2];
	for (__u32 step = 0; step < EGRESS_CHAIN_MAX / CHAIN_PART + EGRESS_STEPS_MAX; step++) {
		__u64 says;
		__u32 any, audit;

		if (!id)
			return decided;
		says = first_in_chain((__u64)id << 32 | epoch_packed >> 32, (__u32)epoch_packed | met, wanted, addr01,
				      addr23);
		if (says >> 32 & SAYS_TORN)
			return ANSWER(SAYS_TORN, 0);
		any = ANY_ACTION(says >> 32);
		audit = IS_AUDIT(says >> 32);
		if ((any & ~audit) > is_set(audited))
			return says;
		id = says;
		count_passing(id * audit, audited);
		decided += says * (any & ~audit & ~ANY_ACTION(decided >> 32));
		met = any * MET;
	}
	return limit_exceeded();
}

/*
 * The action of a rule that certainly is in force and fits a packet of the common kind; 0: ask rule_says().
 * Most rules are such ones, and here they cost no call and no branch.
 */
static __always_inline __u32 says_plainly(const volatile struct egress_rule *rule, __u32 id, __u32 epoch, __u32 since,
					  const struct flow *flow, __u64 wanted, __u64 addr01, __u64 addr23)
{
	__u32 found = rule->id, flags = rule->flags, proto = rule->proto, first = rule->port_first, last = rule->port_last,
	      born = rule->born, action = rule->action, v6 = flow->flags & FLOW_V6, not_yet, other_proto, other_port, ends_soon;

	not_yet = is_set(born) & (epoch - born) >> 31;
	ends_soon = ((rule->expires_at >> 30) - since - 2) >> 63;
	proto += (PROTO_ICMPV6 - PROTO_ICMP) * (v6 & (1 - is_set(proto ^ PROTO_ICMP)));
	other_proto = (flags / EGRESS_RULE_PROTO & 1) * (proto ^ flow->proto);
	other_port = is_set(first) & (1 - (flow->flags / FLOW_PORTS & 1) | ((__u32)flow->port - first) >> 31 |
				      (last - flow->port) >> 31);
	if (!belongs(rule, wanted, addr01, addr23) | (found ^ id) | rule->died | not_yet | ends_soon | other_proto | other_port |
	    (flags & (EGRESS_RULE_TRIAL_NEW | EGRESS_RULE_TRIAL_OLD)) | IS_AUDIT(action) | (rule->id ^ id))
		return 0;
	return action & 0xF;
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
					      (__u64)set_index << 24 | (__u64)shape->kind << 16 | key.plen,
					      (__u64)key.addr[1] << 32 | key.addr[0],
					      (__u64)key.addr[3] << 32 | key.addr[2]);
			if (action)
				return ANSWER(action, id);
		}
	}
	return LONG_WAY;
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

/* The deadline of a rule of drop_configs. */
static __always_inline bool door_in_force(const struct drop_config *config, __u64 now)
{
	__u64 lifetime = (__u64)config->ttl * NSEC_PER_SEC;

	if (config->ttl == DROP_CONFIG_NO_END)
		return true;
	if (config->created_at > U64_MAX - lifetime)
		return true; /* beyond the end of the clock */
	return now < config->created_at + lifetime;
}

static __always_inline bool door_fits(const struct drop_config *config, const struct flow *flow)
{
	if ((flow->flags & FLOW_V6) || config->dst_ip != flow->addr[0])
		return false;
	if (!config->dst_port)
		return true;
	if (flow->flags & FLOW_PORTS)
		return config->dst_port == flow->port;
	return flow->flags & FLOW_PORTS_UNKNOWN;
}

/*
 * The template's maps, written by any tool: the rule of one cgroup, if it is in force
 * and fits (or merely is in force, for packets that cannot be read). 0 = none.
 */
__noinline __u64 door_rule(__u64 cgroup, __u64 addr_packed, __u64 any_destination)
{
	struct flow flow = {.addr = {addr_packed >> 32},
			    .flags = addr_packed & 0xFF,
			    .proto = addr_packed >> 8,
			    .port = addr_packed >> 16};
	struct drop_config config, *found;
	__u32 id, *rule = bpf_map_lookup_elem(&cgroup_rules, &cgroup);

	if (!rule)
		return 0;
	id = *rule;
	found = bpf_map_lookup_elem(&drop_configs, &id);
	if (!found)
		return 0;
	__builtin_memcpy(&config, found, sizeof(config));
	if (config.cgroup_id != cgroup || !config.dst_ip)
		return 0;
	if (!any_destination && !door_fits(&config, &flow))
		return 0;
	if (!door_in_force(&config, bpf_ktime_get_boot_ns()))
		return 0;
	return ANSWER(EGRESS_ACTION_DROP | ANSWER_DOOR | (config.flags & DROP_CONFIG_CANARY ? ANSWER_SILENT : 0), id);
}

/* addr_packed: IPv4 address, and what read_headers returns; from the packet's cgroup up to the root. */
#ifndef EGRESS_STRICT
__noinline __u64 judge_by_door(struct __sk_buff *skb, __u64 levels, __u64 addr_packed, __u64 any_destination)
{
	for (int depth = EGRESS_LEVELS_MAX - 1; depth >= 0; depth--) {
		__u64 answer;

		if (!(levels >> depth & 1))
			continue;
		answer = door_rule(packet_ancestor(skb, depth), addr_packed, any_destination);
		if (answer)
			return answer;
	}
	return 0;
}

#endif

/* The same for what is no packet of this hook, or has no socket of its own. */
__noinline __u64 judge_origin_by_door(__u64 origin, __u64 levels, __u64 addr_packed, __u64 any_destination)
{
	for (int depth = EGRESS_LEVELS_MAX - 1; depth >= 0; depth--) {
		__u64 answer;

		if (!(levels >> depth & 1))
			continue;
		answer = door_rule(origin_ancestor(origin, depth), addr_packed, any_destination);
		if (answer)
			return answer;
	}
	return 0;
}

/* Called after a walk: whether judge_at_once() can judge this cgroup. */
__noinline int note_sole_set(__u64 leaf, __u64 when)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	__u32 since = second_of(bpf_ktime_get_boot_ns()), ref, set_index = 0;
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
		}
	}
	entry->sole.set = set_index;
	entry->sole.since = since;
	entry->sole.sum = sum_of_words(leaf, when, SUM_SOLE, set_index, since);
	return 0;
}

/* What is remembered beside the names of an entry, if it has names and no rules of other tools. */
__noinline int note_the_rest(__u64 leaf, __u64 when)
{
	volatile struct cache_entry *entry = cache_slot(leaf);

	if (!entry || !entry->count || entry->door)
		return 0;
	note_lengths_v4(leaf, when);
	note_lengths_v6(leaf, when);
	note_sole_set(leaf, when);
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
