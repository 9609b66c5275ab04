/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Settings of a load (rodata) and the maps. Sizes marked "loader" are set before the
 * load from the wished numbers of rules; what is written here is the default.
 */
#ifndef EGRESS_DATAPATH_MAPS_H
#define EGRESS_DATAPATH_MAPS_H

#include "drop_egress_by_cgroup.h"
#include "datapath/kernel.bpf.h"

#define DEFAULT_RULES EGRESS_DEFAULT_MAX_RULES
#define DEFAULT_MAP_RULES EGRESS_DEFAULT_MAX_MAP_RULES
#define DEFAULT_HEADS EGRESS_DEFAULT_MAX_RULES /* a power of two */
#define DEFAULT_SIEVE (EGRESS_DEFAULT_MAX_RULES / EGRESS_SIEVE_RULES_PER_WORD)
#define DEFAULT_COVER_UNIT_LOG 2 /* EGRESS_DEFAULT_MAX_RULES / EGRESS_COVER_RULES_PER_WORD / EGRESS_COVER_UNITS is 4 */

/* Root of the enforced subtree: cgroup id, and its level in the whole hierarchy. */
const volatile __u64 root_id = 0;
const volatile __u32 root_level = 0;
/* max_entries of `rules`: the rule with id I stands at I % rules_size. */
const volatile __u32 rules_size = EGRESS_DEFAULT_MAX_RULES;
/* Places of the plain part of `heads` minus one. */
const volatile __u32 heads_mask = DEFAULT_HEADS - 1;
/* max_entries of `sieve` minus one. */
const volatile __u32 sieve_mask = DEFAULT_SIEVE - 1;
/* Words of a unit of `covers`, their log. */
const volatile __u32 cover_unit_log = DEFAULT_COVER_UNIT_LOG;
/* bpf_cast_to_kern_ctx is there, and the verifier lets us follow what it returns. */
const volatile bool has_kernel_context = false;
/* Print each verdict to the kernel's trace pipe. */
const volatile bool debug = false;

#define HASH(name_, key_, value_, entries_, flags_)        \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_HASH);           \
		__uint(max_entries, entries_);             \
		__uint(map_flags, flags_);                 \
		__type(key, key_);                         \
		__type(value, value_);                     \
	} name_ SEC(".maps")

#define SHARED_ARRAY(name_, value_, entries_)              \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);          \
		__uint(max_entries, entries_);             \
		__uint(map_flags, BPF_F_MMAPABLE);         \
		__type(key, __u32);                        \
		__type(value, value_);                     \
	} name_ SEC(".maps")

/* The template's maps. */
HASH(drop_configs, __u32, struct drop_config, DEFAULT_MAP_RULES, BPF_F_NO_PREALLOC);      /* loader */
HASH(cgroup_rules, __u64, __u32, DEFAULT_MAP_RULES, BPF_F_NO_PREALLOC);                   /* loader */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drop_stats);
} stats SEC(".maps");

/* Rules and their index. */
SHARED_ARRAY(rules, struct egress_rule, DEFAULT_RULES);                                   /* loader */
SHARED_ARRAY(sets, struct egress_set, EGRESS_SETS_MAX + 1);                               /* loader */
SHARED_ARRAY(shapes, struct egress_shape, 4 * DEFAULT_RULES);                             /* loader */
SHARED_ARRAY(heads, struct egress_heads, (DEFAULT_HEADS + DEFAULT_HEADS / 4) / 2);         /* loader */
SHARED_ARRAY(sieve, __u64, DEFAULT_SIEVE);                                                /* loader */
SHARED_ARRAY(covers, __u64, EGRESS_COVER_UNITS << DEFAULT_COVER_UNIT_LOG);                /* loader */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, DEFAULT_RULES + DEFAULT_MAP_RULES);                           /* loader */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct egress_counter);
} counters SEC(".maps");

/*
 * Subjects. `bindings` is allocated in full at load: cgroup_mkdir writes it, and a
 * cgroup that could not be bound for want of memory would go unfiltered.
 */
SHARED_ARRAY(anchors, struct egress_anchor, DEFAULT_RULES + 1);                           /* loader */
HASH(names, struct egress_name_key, struct egress_name, 2 * DEFAULT_RULES, BPF_F_NO_PREALLOC); /* loader */
HASH(bindings, __u64, struct egress_binding, DEFAULT_RULES, 0);                           /* loader */

/* Texts: the datapath does not read them. */
HASH(anchor_names, __u32, struct egress_anchor_name, DEFAULT_RULES + 1, BPF_F_NO_PREALLOC); /* loader */
HASH(policy_names, __u32, struct egress_text, DEFAULT_RULES, BPF_F_NO_PREALLOC);          /* loader */
HASH(reasons, __u32, struct egress_text, EGRESS_REASON_TEXTS_MAX, BPF_F_NO_PREALLOC);     /* loader */

/* Devices whose frames are judged as those of one cgroup. */
HASH(devices, __u64, struct egress_device, EGRESS_DEVICES_MAX, BPF_F_NO_PREALLOC);

SHARED_ARRAY(control, struct egress_control, 1);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EGRESS_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} reason_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct egress_meta);
} meta SEC(".maps");

static __always_inline struct egress_control *the_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Where a chain begins. */
static __always_inline volatile __u32 *head_at(__u32 place)
{
	__u32 key = place / 2;
	struct egress_heads *pair = bpf_map_lookup_elem(&heads, &key);

	return pair ? &pair->first[place & 1] : 0;
}

static __always_inline struct egress_rule *rule_at(__u32 id)
{
	__u32 slot = id % (rules_size ?: 1);

	return bpf_map_lookup_elem(&rules, &slot);
}

/* The same, without a division (7 ns) until the ids have gone round. Not for loops: a branch. */
static __always_inline struct egress_rule *rule_soon_at(__u32 id)
{
	__u32 slot = id;

	if (slot >= rules_size)
		slot %= rules_size ?: 1;
	return bpf_map_lookup_elem(&rules, &slot);
}

#endif
