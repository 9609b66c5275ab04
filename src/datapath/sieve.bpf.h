/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Nearly every packet of a cgroup with rules meets none of them, and is told so here by
 * a Bloom filter over the prefixes of all rules: one look for each group of prefix lengths
 * (egress_sieve_lead) that the rules of its names have, and after a hit one for each
 * length of the group. A hit with a length that a rule has decides nothing, it only leads on.
 *
 * Which lengths, is remembered beside the names of the cgroup, in words with a sum of
 * their own. Like the entry they hold for one epoch and tick: rules of another epoch may
 * have other lengths. A run copies the words, sums the copy and compares; what another
 * run writes meanwhile makes the sums differ.
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
 * Which prefix lengths there are, one bit each. `part` names some of them: IPv4, IPv6 from
 * 0 to 63, 64 to 127 and 128. U64_MAX if it cannot be said.
 */
#define LENGTHS_V4 0
#define LENGTHS_V6 1

#define LENGTH_ANY 1ull /* prefix length 0 */

__noinline __u64 lengths_of_run(__u64 run, __u64 part)
{
	__u32 at = run, left = run >> 32, upper = part - is_set(part); /* of the length */
	__u64 lengths = 0;

	for (__u32 step = 0; step < EGRESS_SHAPES_MAX; step++) {
		struct egress_shape *shape;
		__u32 plen;

		if (!left)
			return lengths;
		shape = bpf_map_lookup_elem(&shapes, &at);
		if (!shape)
			return U64_MAX;
		plen = shape->plen;
		lengths |= (__u64)(1 - is_set(plen >> 6 ^ upper)) << (plen & 63);
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

/* kind: what is summed, and of which family. */
static __always_inline __u64 sum_of_words(__u64 id, __u64 when, __u64 kind, __u64 first, __u64 second)
{
	return sum_of(id, when, first, second * 0xA0761D6478BD642Full + kind);
}

#define SUM_PROBES 1
#define SUM_BITS 3
#define SUM_SOLE 5

#define PROBE_ALL 0xFF /* a rule has prefix length 0: every packet has a hit */

/*
 * Above the probes, of which there are six at most for IPv4, is the cover of the only set that can judge the
 * cgroup, or 0. For IPv6 it is there if the sixth is 0: the set has no rules then with prefixes that are in no cover.
 */
#define COVER_SHIFT 48
#define COVERED_V6(probes_) (!((probes_) >> 40 & 0xFF))
#define LENGTHS_UNCOVERED ((1ull << EGRESS_COVER_PLEN_V6) - 1)

/* What is asked first for the lengths first to first + size - 1 of a part: none (0), the only one, or the lead. */
__noinline int probe_of_group(__u64 bits, __u32 first, __u32 size)
{
	__u32 only = 0, count = 0;

	bits = bits >> (first & 63) & U64_MAX >> (64 - size & 63);
	for (__u32 i = 0; i < 64; i++) {
		__u32 one = bits & 1;

		only += one * i;
		count += one;
		bits >>= 1;
	}
	return (first + only * (1 - is_set(count - 1))) * is_set(count);
}

/* Adds a probe of this many bits more than counted in its part. */
static __always_inline __u64 add_probe(__u64 probes, __u32 *count, __u32 probe, __u32 offset)
{
	__u32 at = *count;

	*count = at + is_set(probe);
	return probes | ((__u64)(probe + offset) * is_set(probe)) << (8 * at & 63);
}

/* `usable`: otherwise a sum that never fits. */
static __always_inline void store_lengths(__u64 leaf, __u64 when, __u64 v6, __u64 probes, __u64 low, __u64 high,
					  bool usable)
{
	volatile struct cache_entry *entry = cache_slot(leaf);
	volatile struct cached_lengths *lengths;
	volatile struct cached_probes *first;

	if (!entry)
		return;
	first = &entry->probes[v6 & 1];
	lengths = &entry->lengths[v6 & 1];
	first->probes = probes;
	first->sum = sum_of_words(leaf, when, SUM_PROBES + v6, probes, 0) + !usable;
	lengths->bits[0] = low;
	lengths->bits[1] = high;
	lengths->sum = sum_of_words(leaf, when, SUM_BITS + v6, low, high);
}

/* Called after a walk. The longer ones first. `cover`: of the only set that can judge the cgroup. */
__noinline int note_lengths_v4(__u64 leaf, __u64 when, __u32 cover)
{
	__u64 bits = lengths_of_entry(leaf, when, LENGTHS_V4), probes = 0;
	__u32 count = 0;

	probes = add_probe(probes, &count, probe_of_group(bits, 24, 9), 0);
	probes = add_probe(probes, &count, probe_of_group(bits, 20, 4), 0);
	probes = add_probe(probes, &count, probe_of_group(bits, 16, 4), 0);
	probes = add_probe(probes, &count, probe_of_group(bits, 12, 4), 0);
	probes = add_probe(probes, &count, probe_of_group(bits, 8, 4), 0);
	probes = add_probe(probes, &count, probe_of_group(bits, 1, 7), 0);
	probes |= (__u64)cover << COVER_SHIFT;
	store_lengths(leaf, when, 0, bits & LENGTH_ANY ? PROBE_ALL : probes, bits, 0, bits != U64_MAX);
	return 0;
}

__noinline int note_lengths_v6(__u64 leaf, __u64 when, __u32 cover)
{
	__u64 low = lengths_of_entry(leaf, when, LENGTHS_V6), high = lengths_of_entry(leaf, when, LENGTHS_V6 + 1),
	      full = lengths_of_entry(leaf, when, LENGTHS_V6 + 2), probes = 0;
	__u32 count = 0;

	probes = add_probe(probes, &count, full & 1, 127);
	probes = add_probe(probes, &count, 64 * is_set(high) , 0);
	probes = add_probe(probes, &count, probe_of_group(low, 48, 16), 0);
	probes = add_probe(probes, &count, probe_of_group(low, 40, 8), 0);
	probes = add_probe(probes, &count, probe_of_group(low, 32, 8), 0);
	probes = add_probe(probes, &count, probe_of_group(low, 24, 8), 0);
	probes = add_probe(probes, &count, probe_of_group(low, 16, 8), 0);
	probes = add_probe(probes, &count, probe_of_group(low, 1, 15), 0);
	/* Without those five probes are the most that there are. */
	if (!(low & LENGTHS_UNCOVERED))
		probes |= (__u64)cover << COVER_SHIFT;
	store_lengths(leaf, when, 1, low & LENGTH_ANY ? PROBE_ALL : probes, low, high,
		      low != U64_MAX && high != U64_MAX && full != U64_MAX);
	return 0;
}

#ifndef EGRESS_STRICT

/*
 * The lead of a group has a hit: does one of the lengths that rules have? Where the group is
 * shorter than the loop, some of the next group are asked too, which does no harm.
 */
__noinline int group_holds_v4(__u64 id, __u64 when, __be32 addr, __u32 lead)
{
	volatile struct cache_entry *entry = cache_slot(id);
	__u64 bits;

	if (!entry)
		return 1;
	bits = entry->lengths[0].bits[0];
	if (entry->lengths[0].sum != sum_of_words(id, when, SUM_BITS, bits, 0))
		return 1;
	bits >>= lead & 0x3F;
	for (__u32 i = 0; i < 9; i++) {
		__u32 plen = (lead + i) & 0x3F;

		if (!bits)
			return 0;
		if (bits & 1 && sieve_holds(addr & masks[MASK_ZERO + plen], 0, plen, 0))
			return 1;
		bits >>= 1;
	}
	return 0;
}

/* Eight lengths at once: what a loop does is verified once for each time around. */
__noinline int octet_holds_v6(__u32 bits, __u64 addr01, __u64 addr23, __u32 first)
{
	for (__u32 i = 0; i < 8; i++) {
		__u32 plen = (first + i) & 0x7F;

		if (bits >> i & 1 && sieve_holds(addr01 & mask01(plen), addr23 & mask23(plen), plen, 1))
			return 1;
	}
	return 0;
}

__noinline int group_holds_v6(__u64 id, __u64 when, __u64 addr01, __u64 addr23, __u32 lead)
{
	volatile struct cache_entry *entry = cache_slot(id);
	__u64 low, high, bits;

	if (!entry)
		return 1;
	low = entry->lengths[1].bits[0];
	high = entry->lengths[1].bits[1];
	if (entry->lengths[1].sum != sum_of_words(id, when, SUM_BITS + 1, low, high))
		return 1;
	bits = (lead & 64 ? high : low) >> (lead & 0x3F);
	for (__u32 i = 0; i < 64; i += 8) {
		if (!bits)
			return 0;
		if (octet_holds_v6(bits & 0xFF, addr01, addr23, lead + i))
			return 1;
		bits >>= 8;
	}
	return 0;
}

/* Lengths that begin a group with more. */
#define LEADS_V4 (1ull << 24 | 1ull << 20 | 1ull << 16 | 1ull << 12 | 1ull << 8 | 1ull << 1)
#define LEADS_V6 (1ull << 48 | 1ull << 40 | 1ull << 32 | 1ull << 24 | 1ull << 16 | 1ull << 1 | 1ull /* 64 */)

/* Whether no prefix of a rule holds the address. */
static __always_inline bool none_holds_v4(__u64 probes, __u64 id, __u64 when, __be32 addr)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < PROBES_MAX; i++) {
		__u32 plen = probes & 0x3F;

		if (!plen)
			return true;
		if (sieve_holds(addr & masks[MASK_ZERO + plen], 0, plen, 0) &&
		    (!(LEADS_V4 >> plen & 1) || group_holds_v4(id, when, addr, plen)))
			return false;
		probes >>= 8;
	}
	return true;
}

static __always_inline bool none_holds_v6(__u64 probes, __u64 id, __u64 when, __u64 addr01, __u64 addr23)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < PROBES_MAX; i++) {
		__u32 plen = probes & 0xFF;

		if (!plen)
			return true;
		if (sieve_holds(addr01 & mask01(plen), addr23 & mask23(plen), plen, 1) &&
		    (plen > 64 || !(LEADS_V6 >> (plen & 0x3F) & 1) || group_holds_v6(id, when, addr01, addr23, plen)))
			return false;
		probes >>= 8;
	}
	return true;
}

/* The probes of a family; PROBE_ALL if nothing is known. */
static __always_inline __u64 probes_of(volatile struct cache_entry *entry, __u64 id, __u64 when, __u32 v6)
{
	__u64 probes = entry->probes[v6].probes;

	return entry->probes[v6].sum == sum_of_words(id, when, SUM_PROBES + v6, probes, 0) ? probes : PROBE_ALL;
}

/* Whether this bit of a cover says that no rule of its set holds the address. False says nothing. */
static __always_inline bool is_uncovered(__u32 cover, __u32 bit)
{
	__u32 word = egress_cover_word(cover, cover_unit_log) + (bit >> 6);
	__u64 *found = bpf_map_lookup_elem(&covers, &word);

	return LIKELY(found && !(*(volatile __u64 *)found >> (bit & 63) & 1));
}

/* Whether an address meets no rule. False says nothing. */
static __always_inline bool meets_none(volatile struct cache_entry *entry, __u64 id, __u64 when, __u64 addr01,
				       __u64 addr23, bool v6)
{
	__u64 probes = probes_of(entry, id, when, v6);
	__u32 cover = probes >> COVER_SHIFT;

	if (v6) {
		if (cover && COVERED_V6(probes) && is_uncovered(cover, egress_cover_bit_v6(cover, cover_unit_log, addr01)))
			return true;
		return probes != PROBE_ALL && none_holds_v6(probes, id, when, addr01, addr23);
	}
	if (LIKELY(cover) && is_uncovered(cover, egress_cover_bit(cover, cover_unit_log, __builtin_bswap32(addr01))))
		return true;
	probes &= (1ull << COVER_SHIFT) - 1;
	return probes != PROBE_ALL && none_holds_v4(probes, id, when, addr01);
}

/* Whether the packet is one of the common kind and meets no rule. False says nothing. */
static __always_inline bool passes_sieve(struct __sk_buff *skb, volatile struct cache_entry *entry, __u64 id, __u64 when)
{
	__u8 *data = (void *)(long)skb->data;

	if (LIKELY(is_plain_v4(skb)))
		return meets_none(entry, id, when, DESTINATION_V4(data)[0], 0, false);
	if (!is_plain_v6(skb))
		return false;
	return meets_none(entry, id, when, (__u64)DESTINATION_V6(data)[1] << 32 | DESTINATION_V6(data)[0],
			  (__u64)DESTINATION_V6(data)[3] << 32 | DESTINATION_V6(data)[2], true);
}
#endif

#endif
