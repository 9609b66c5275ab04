/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose packet is it, and which names with rules does its cgroup bear?
 *
 * A socket keeps the cgroup it was made in, and a cgroup its ancestors, so the walk
 * up the tree is remembered per leaf cgroup in a direct-mapped array. An entry holds
 * for one epoch (every rule change makes another) and, for the template's maps that
 * other tools write without telling, for one clock tick.
 *
 * A run may be interrupted by another on the same CPU that writes the same entry.
 * Every entry carries a sum over its content: it is checked before use and again
 * after, and a run that was disturbed starts anew. No lock, no barrier on any path.
 */
#ifndef EGRESS_DATAPATH_SUBJECT_H
#define EGRESS_DATAPATH_SUBJECT_H

#include "datapath/maps.bpf.h"

#define CACHE_ENTRIES 1024 /* per CPU; power of two */

/* A reference: an anchor, and whether it names the packet's own cgroup or an ancestor. */
#define REF_OWN 0x80000000u

#define REFS_SIZE 32 /* EGRESS_SETS_OF_PACKET, and a power of two */

#define PROBES_MAX 8

/* See sieve.bpf.h: which prefix lengths the rules of the names have, of one family, and what of them is asked first. */
struct cached_probes {
	__u64 probes; /* a byte each, the rest zero */
	__u64 sum;
};

struct cached_lengths {
	__u64 bits[2];
	__u64 sum;
};

/* The only set that can judge the cgroup; see judge_at_once(). */
struct cached_sole_set {
	__u64 sum;
	__u32 set; /* 0 = more, or none */
	__u32 since; /* CLOCK_BOOTTIME of the walk, in units of second_of() */
};

struct cache_entry {
	__u64 id; /* of the leaf cgroup; 0 = unused */
	__u64 sum;
	__u32 epoch;
	__u32 tick;
	__u32 door;  /* bit N: the ancestor N levels below the root is in cgroup_rules */
	__u32 count; /* of refs; may be more than fit: then nothing is known */
	struct cached_probes probes[2]; /* IPv4, IPv6; up to here it is 64 bytes, all that most packets need */
	__u32 refs[REFS_SIZE]; /* root first */
	struct cached_lengths lengths[2];
	struct cached_sole_set sole;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CACHE_ENTRIES);
	__type(key, __u32);
	__type(value, struct cache_entry);
} cache SEC(".maps");

/* The names that can judge one packet: an entry, and what it must still hold when all is said. */
struct subject {
	volatile struct cache_entry *entry;
	__u64 id;
	__u64 sum;
	__u32 door;
	__u32 count;
};

/* Odd multipliers keep every word's bits in the sum. */
static __always_inline __u64 sum_of(__u64 id, __u64 when, __u64 what, __u64 refs)
{
	return id * 0x9E3779B97F4A7C15ull + when * 0xC2B2AE3D27D4EB4Full + what * 0x165667B19E3779F9ull + refs + 1;
}

static __always_inline __u64 sum_of_ref(__u32 ref, __u32 at)
{
	return ((__u64)at << 32 | ref) * 0x9E3779B185EBCA87ull;
}

/* 1 if x is not zero, without a branch: the compiler must not recognise it, or it makes one. */
static __always_inline __u64 is_set(__u64 x)
{
	__u64 negated = -x;

	asm volatile("" : "+r"(negated));
	return (x | negated) >> 63;
}

#ifndef EGRESS_STRICT
extern void *bpf_cast_to_kern_ctx(void *) __ksym __weak; /* 6.2 */

#define NO_FULL_SOCKET (1 << 6 | 1 << 12) /* TCP_TIME_WAIT, TCP_NEW_SYN_RECV */

/* Cgroup id of a packet. Without the helper where that can be: each call costs 5 to 8 ns where returns are guarded. */
static __always_inline __u64 cgroup_of_packet(struct __sk_buff *skb)
{
	if (LIKELY(has_kernel_context)) {
		struct sk_buff *packet = bpf_cast_to_kern_ctx(skb);
		struct sock *sk = packet->sk;

		if (LIKELY(sk && !(1 << (sk->__sk_common.skc_state & 31) & NO_FULL_SOCKET)))
			return sk->sk_cgrp_data.cgroup->kn->id;
	}
	return bpf_skb_cgroup_id(skb);
}

/* NULL = not known without a call of a helper. */
static __always_inline struct sock *socket_of_call(struct bpf_sock_addr *call)
{
	struct bpf_sock_addr_kern *kernel;

	if (!has_kernel_context)
		return NULL;
	kernel = bpf_cast_to_kern_ctx(call);
	return kernel->sk;
}

/* Cgroup id of the socket of a call; 0 = not known, as above. */
static __always_inline __u64 cgroup_of_call(struct bpf_sock_addr *call)
{
	struct sock *sk = socket_of_call(call);

	return sk ? sk->sk_cgrp_data.cgroup->kn->id : 0;
}

/* Cgroup id of the ancestor of a packet `depth` levels below the enforced root; 0 = not that deep. */
static __always_inline __u64 packet_ancestor(struct __sk_buff *skb, __u32 depth)
{
	return bpf_skb_ancestor_cgroup_id(skb, root_level + depth);
}
#endif

#ifdef EGRESS_XDP

/* A frame comes from a device that was bound to a cgroup: the origin is the key of that binding. */
static __always_inline __u64 origin_ancestor(__u64 origin, __u32 depth)
{
	struct egress_device *device = bpf_map_lookup_elem(&devices, &origin);

	if (!device || depth >= device->levels)
		return 0;
	return device->ids[bounded(depth, EGRESS_LEVELS_MAX - 1)];
}

#else

/*
 * Functions of their own: where a field does not exist, the verifier must not come to code that
 * asks for its offset, and the compiler moves such code about.
 */
static __noinline __u64 ancestor_before_6_1(void *cgroup, __u32 level)
{
	__u64 id = 0;

	cgroup += bpf_core_field_offset(struct cgroup___before_6_1, ancestor_ids);
	bpf_probe_read_kernel(&id, sizeof(id), cgroup + level * sizeof(id));
	return id;
}

static __noinline __u64 ancestor_since_6_1(void *cgroup, __u32 level)
{
	struct cgroup *ancestor = NULL;

	cgroup += bpf_core_field_offset(struct cgroup, ancestors);
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), cgroup + level * sizeof(ancestor));
	return BPF_CORE_READ(ancestor, kn, id);
}

/* The origin of what is not (only) a packet: the address of the cgroup. */
static __always_inline __u64 origin_ancestor(__u64 origin, __u32 depth)
{
	struct cgroup *cgroup = (struct cgroup *)origin;
	__u32 level = root_level + depth;

	if (level > (__u32)BPF_CORE_READ(cgroup, level))
		return 0;
	if (bpf_core_field_exists(cgroup->ancestors))
		return ancestor_since_6_1(cgroup, level);
	return ancestor_before_6_1(cgroup, level);
}

#endif

/* For loops: verified once. */
__noinline __u64 ancestor_of(__u64 origin, __u32 depth)
{
	return origin_ancestor(origin, depth);
}

static __always_inline struct cache_entry *cache_slot(__u64 id)
{
	__u32 slot = ((__u32)id ^ (__u32)(id >> 32)) & (CACHE_ENTRIES - 1);

	return bpf_map_lookup_elem(&cache, &slot);
}

/* Takes an entry that holds now; false: walk, and try again. */
static __always_inline bool recall(struct subject *subject, __u64 when)
{
	volatile struct cache_entry *entry = subject->entry;
	__u32 door = entry->door, count = entry->count;
	__u64 refs = 0;

	if (entry->id != subject->id || entry->epoch != (__u32)(when >> 32) || entry->tick != (__u32)when)
		return false;
	for (__u32 i = 0; i < EGRESS_SETS_OF_PACKET && i < count; i++)
		refs += sum_of_ref(entry->refs[i], i);
	subject->door = door;
	subject->count = entry->count; /* read again: after the loop `count` is one state for each value */
	subject->sum = sum_of(subject->id, when, (__u64)door << 32 | count, refs);
	return entry->sum == subject->sum;
}

/* recall() for the one answer that needs no more: the entry holds now, and names nothing. */
static __always_inline bool has_no_rules(volatile struct cache_entry *entry, __u64 id, __u64 when)
{
	return entry->sum == sum_of(id, when, 0, 0) && entry->id == id;
}

/* Whether the entry was left alone since recall(). */
static __always_inline bool undisturbed(const struct subject *subject)
{
	return subject->entry->sum == subject->sum && subject->entry->id == subject->id;
}

/*
 * What a level of the walk adds. No branches and the count in memory: in a loop, the
 * verifier follows every combination of branches over some hundred instructions.
 */
static __always_inline __u64 add_ref(volatile struct cache_entry *entry, __u32 anchor, __u32 own)
{
	__u32 at = entry->count, ref = anchor | own;
	__u64 wanted = is_set(anchor);

	entry->refs[at & (REFS_SIZE - 1)] = ref;
	entry->count = at + wanted;
	return sum_of_ref(ref, at) * wanted;
}

/* One ancestor of the cgroup `leaf`. */
__noinline __u64 add_level(__u64 leaf, __u64 id, __u32 depth)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	struct egress_binding *found = bpf_map_lookup_elem(&bindings, &id);
	__u32 own = (1 - is_set(id ^ leaf)) * REF_OWN;
	__u64 sum = 0;

	if (!entry)
		return 0;
	if (found) {
		/* Judged from the end: the path's rules first, the id's last. */
		sum += add_ref(entry, found->id_anchor, own);
		sum += add_ref(entry, found->unit_anchor, own);
		sum += add_ref(entry, found->path_anchor, own);
	}
	if (bpf_map_lookup_elem(&cgroup_rules, &id))
		entry->door |= 1u << (depth & 31);
	return sum;
}

static __always_inline volatile struct cache_entry *start_walk(__u64 id, __u32 epoch, __u32 tick)
{
	volatile struct cache_entry *entry = cache_slot(id);

	if (!entry)
		return NULL;
	entry->sum = 0;
	entry->id = id;
	entry->epoch = epoch;
	entry->tick = tick;
	entry->door = 0;
	entry->count = 0;
	return entry;
}

static __always_inline void end_walk(volatile struct cache_entry *entry, __u64 id, __u64 when, __u64 refs)
{
	entry->sum = sum_of(id, when, (__u64)entry->door << 32 | entry->count, refs);
}

/*
 * The walk from the root of the enforced subtree down to the packet's cgroup. The sum
 * grows from what is written, not from what stands in the entry afterwards. Functions
 * of their own for the verifier: what it has seen here it need not see again.
 */
#ifndef EGRESS_STRICT
__noinline int walk_packet(struct __sk_buff *skb, __u64 id, __u64 when)
{
	volatile struct cache_entry *entry = start_walk(id, when >> 32, when);
	__u64 refs = 0;

	if (!entry)
		return 0;
	for (__u32 depth = 0; depth < EGRESS_LEVELS_MAX; depth++) {
		__u64 ancestor = packet_ancestor(skb, depth);

		if (!ancestor)
			break;
		refs += add_level(id, ancestor, depth);
	}
	end_walk(entry, id, when, refs);
	return 0;
}

#endif

__noinline int walk_origin(__u64 origin, __u64 id, __u64 when)
{
	volatile struct cache_entry *entry = start_walk(id, when >> 32, when);
	__u64 refs = 0;

	if (!entry)
		return 0;
	for (__u32 depth = 0; depth < EGRESS_LEVELS_MAX; depth++) {
		__u64 ancestor = ancestor_of(origin, depth);

		if (!ancestor)
			break;
		refs += add_level(id, ancestor, depth);
	}
	end_walk(entry, id, when, refs);
	return 0;
}

/*
 * How often it is tried: once to walk, if the entry does not hold, and three times more
 * because a run that interrupted this one took its cache entry.
 */
#define ATTEMPTS 5

/*
 * Epoch and tick. subject->id is set by the caller; false: the entry must be walked.
 */
static __always_inline __u64 when_of(__u32 epoch)
{
	return (__u64)epoch << 32 | (__u32)bpf_jiffies64();
}

#endif
