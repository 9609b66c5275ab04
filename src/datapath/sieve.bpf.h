/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Nearly every packet of a cgroup with rules meets none of them, and is told so here:
 * for each prefix length that the rules of its names have, one look at a Bloom filter
 * over the prefixes of all rules. A hit decides nothing, it only leads to the long way.
 *
 * Which lengths, is remembered beside the names of the cgroup, in two words for each
 * family with a sum of their own. Like the entry they hold for one epoch and tick: rules
 * of another epoch may have other lengths. A run copies the words, sums the copy and
 * compares; what another run writes meanwhile makes the sums differ.
 */
#ifndef EGRESS_DATAPATH_SIEVE_H
#define EGRESS_DATAPATH_SIEVE_H

#include "datapath/flow.bpf.h"
#include "datapath/subject.bpf.h"

/*
 * Netmasks in network byte order: the entry 96 + N is a word with its first N bits set.
 * Word W of the mask of prefix length P is the entry P + 96 - 32 * W; the table is long
 * enough for any P of eight bits.
 */
#define MASK_ZERO 96
#define LEADING(bits_) __builtin_bswap32(U32_MAX << (32 - (bits_)))
/* clang-format off */
const __be32 masks[MASK_ZERO + 256] = {
	[MASK_ZERO + 1] =
	LEADING(1), LEADING(2), LEADING(3), LEADING(4), LEADING(5), LEADING(6), LEADING(7), LEADING(8),
	LEADING(9), LEADING(10), LEADING(11), LEADING(12), LEADING(13), LEADING(14), LEADING(15), LEADING(16),
	LEADING(17), LEADING(18), LEADING(19), LEADING(20), LEADING(21), LEADING(22), LEADING(23), LEADING(24),
	LEADING(25), LEADING(26), LEADING(27), LEADING(28), LEADING(29), LEADING(30), LEADING(31),
	[MASK_ZERO + 32 ... MASK_ZERO + 255] = U32_MAX,
};
/* clang-format on */

/* The two halves of the mask of a prefix length. */
static __always_inline __u64 mask01(__u32 plen)
{
	const __be32 *mask = masks + (plen & 0xFF);

	return (__u64)mask[MASK_ZERO - 32] << 32 | mask[MASK_ZERO];
}

static __always_inline __u64 mask23(__u32 plen)
{
	const __be32 *mask = masks + (plen & 0xFF);

	return (__u64)mask[MASK_ZERO - 96] << 32 | mask[MASK_ZERO - 64];
}

/* Whether a rule may have this prefix, the address already masked. */
static __always_inline bool sieve_holds(__u64 addr01, __u64 addr23, __u32 plen, __u32 v6)
{
	__u64 hash = egress_sieve_hash(addr01, addr23, plen, v6), bits = egress_sieve_bits(hash);
	__u32 word = egress_sieve_word(hash) & sieve_mask;
	__u64 *found = bpf_map_lookup_elem(&sieve, &word);

	return !found || (*(volatile __u64 *)found & bits) == bits;
}

/*
 * Which prefix lengths there are, one bit each. `part` names some of them: IPv4 from 32
 * down to 0, IPv6 0 to 63, 64 to 127 and 128. U64_MAX if it cannot be said.
 */
#define LENGTHS_V4 0
#define LENGTHS_V6 1

#define LENGTH_ANY_V4 (1ull << 32) /* prefix length 0 */
#define LENGTH_ANY_V6 1ull

__noinline __u64 lengths_of_run(__u64 run, __u64 part)
{
	__u32 at = run, left = run >> 32, v4 = 1 - is_set(part);
	__u64 lengths = 0;

	for (__u32 step = 0; step < EGRESS_SHAPES_MAX; step++) {
		struct egress_shape *shape;
		__u32 plen, other;

		if (!left)
			return lengths;
		shape = bpf_map_lookup_elem(&shapes, &at);
		if (!shape)
			return U64_MAX;
		plen = shape->plen;
		other = ((plen >> 6) ^ (__u32)(part - LENGTHS_V6)) * (1 - v4);
		plen = v4 * (32 - plen) + (1 - v4) * plen;
		lengths |= (1 - is_set(other)) << (plen & 63);
		at++;
		left--;
	}
	return left ? U64_MAX : lengths;
}

__noinline __u64 lengths_of_name(__u32 ref, __u64 part)
{
	__u32 index = ref & ~REF_OWN;
	struct egress_anchor *anchor = bpf_map_lookup_elem(&anchors, &index);
	__u64 lengths = 0;

	if (!anchor)
		return U64_MAX;
	index = anchor->first_set;
	for (__u32 step = 0; step < EGRESS_SETS_OF_PACKET; step++) {
		struct egress_set *set;

		if (!index)
			return lengths;
		set = bpf_map_lookup_elem(&sets, &index);
		if (!set)
			return U64_MAX;
		lengths |= lengths_of_run(*(volatile __u64 *)&set->lists[part ? EGRESS_LIST_V6 : EGRESS_LIST_V4], part);
		index = set->next;
	}
	return U64_MAX;
}

__noinline __u64 lengths_of_entry(__u64 leaf, __u64 when, __u64 part)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	__u64 refs = 0, lengths = 0;
	__u32 count;

	if (!entry)
		return U64_MAX;
	count = entry->count;
	if (count > EGRESS_SETS_OF_PACKET)
		return U64_MAX;
	for (__u32 i = 0; i < EGRESS_SETS_OF_PACKET && i < count; i++) {
		__u32 ref = entry->refs[i];

		refs += sum_of_ref(ref, i);
		lengths |= lengths_of_name(ref, part);
	}
	/* Read from what the sum vouches for, and without rules of other tools. */
	return entry->sum == sum_of(leaf, when, count, refs) ? lengths : U64_MAX;
}

static __always_inline __u64 sum_of_lengths(__u64 id, __u64 when, __u64 v6, __u64 first, __u64 second)
{
	return sum_of(id, when, v6 + 1, first * 0x9E3779B185EBCA87ull + second * 0xA0761D6478BD642Full);
}

/* `usable`: otherwise a sum that never fits. */
static __always_inline void store_lengths(__u64 leaf, __u64 when, __u64 v6, __u64 first, __u64 second, bool usable)
{
	volatile struct cache_entry *entry = cache_slot(leaf);

	if (!entry)
		return;
	entry->lengths[v6 & 1].words[0] = first;
	entry->lengths[v6 & 1].words[1] = second;
	entry->lengths[v6 & 1].sum = sum_of_lengths(leaf, when, v6, first, second) + !usable;
}

/* Called after a walk. IPv4: the bits as they are. */
__noinline int note_lengths_v4(__u64 leaf, __u64 when)
{
	__u64 lengths = lengths_of_entry(leaf, when, LENGTHS_V4);

	store_lengths(leaf, when, 0, lengths, 0, lengths < LENGTH_ANY_V4);
	return 0;
}

/* IPv6: a list of bytes, for 128 bits would take long to look through. */
union length_list {
	__u64 words[LENGTHS_V6_MAX / 8];
	__u8 bytes[LENGTHS_V6_MAX];
};

/* Adds the lengths `first` and up to 63 more; no branches, see subject.bpf.h. */
static __always_inline __u32 list_part(union length_list *list, __u32 count, __u64 lengths, __u32 first)
{
	for (__u32 i = 0; i < 64; i++) {
		__u64 wanted = lengths >> i & 1;

		list->bytes[count & (LENGTHS_V6_MAX - 1)] |= (first + i) & -wanted;
		count += wanted;
	}
	return count;
}

__noinline int note_lengths_v6(__u64 leaf, __u64 when)
{
	__u64 low = lengths_of_entry(leaf, when, LENGTHS_V6), high = lengths_of_entry(leaf, when, LENGTHS_V6 + 1),
	      full = lengths_of_entry(leaf, when, LENGTHS_V6 + 2);
	union length_list list = {};
	__u32 count = list_part(&list, 0, low, 0);

	count = list_part(&list, count, high, 64);
	list.bytes[count & (LENGTHS_V6_MAX - 1)] |= 128 & -(full & 1);
	count += full & 1;
	store_lengths(leaf, when, 1, list.words[0], list.words[1],
		      !(low & LENGTH_ANY_V6) && high != U64_MAX && full <= 1 && count <= LENGTHS_V6_MAX);
	return 0;
}

/* Whether no prefix of these lengths is that of a rule. */
static __always_inline bool none_holds_v4(__u64 lengths, __be32 addr)
{
#pragma clang loop unroll(disable)
	for (__u32 plen = 32; plen; plen--) {
		if (!lengths)
			return true;
		if ((lengths & 1) && sieve_holds(addr & masks[MASK_ZERO + plen], 0, plen, 0))
			return false;
		lengths >>= 1;
	}
	return true;
}

static __always_inline bool none_holds_v6(__u64 first, __u64 second, __u64 addr01, __u64 addr23)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < LENGTHS_V6_MAX; i++) {
		__u32 plen = first & 0xFF;

		if (!plen)
			return true;
		if (sieve_holds(addr01 & mask01(plen), addr23 & mask23(plen), plen, 1))
			return false;
		first = first >> 8 | second << 56;
		second >>= 8;
	}
	return true;
}

#ifndef EGRESS_STRICT
/* Whether the packet is one of the common kind and meets no rule. False says nothing. */
static __always_inline bool passes_sieve(struct __sk_buff *skb, volatile struct cache_entry *entry, __u64 id, __u64 when)
{
	struct flow flow = {};
	__u32 packed = read_plain(skb, &flow), v6 = packed & FLOW_V6;
	__u64 first = entry->lengths[v6].words[0], second = entry->lengths[v6].words[1];

	if (!packed || entry->lengths[v6].sum != sum_of_lengths(id, when, v6, first, second))
		return false;
	if (v6)
		return none_holds_v6(first, second, (__u64)flow.addr[1] << 32 | flow.addr[0],
				     (__u64)flow.addr[3] << 32 | flow.addr[2]);
	return none_holds_v4(first, flow.addr[0]);
}
#endif

#endif
