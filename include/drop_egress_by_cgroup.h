/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel/user contract of egress: every map key and value, every limit.
 *
 * Included by the BPF program, by the C++ library and by anyone who writes the
 * maps from elsewhere. Plain C; nothing here needs libbpf. Sizes and offsets
 * are asserted below and compared with the BTF of the object in tests/abi.
 *
 * Byte order: a field named `addr` or `dst_ip` is in network byte order;
 * every other field, ports included, is in host byte order.
 * Clock: every `*_at` and `*_until` is nanoseconds of CLOCK_BOOTTIME as the
 * kernel sees it (no time namespace applied).
 */
#ifndef DROP_EGRESS_BY_CGROUP_H
#define DROP_EGRESS_BY_CGROUP_H

#ifdef __bpf__
#include <linux/types.h>
#else
#include <linux/types.h>
#include <stddef.h>
#endif

/* Raised whenever a key, value or meaning below changes. */
#define EGRESS_ABI 8

/* ---- 1. The template's maps: the door for any tool that writes BPF maps ---- */

#define DROP_CONFIG_NO_END 0xFFFFFFFFu /* ttl of a rule without an end */

/* drop_config.flags */
#define DROP_CONFIG_CANARY 0x1 /* a self-test of `status`: judged, never counted nor listed */

/*
 * Value of `drop_configs` (hash, key: rule id, u32). Another tool writes zero into
 * `flags` and `reserved`. Matches nothing unless cgroup_id equals the key under
 * which `cgroup_rules` names this rule: a zeroed entry drops nothing.
 */
struct drop_config {
	__u32 dst_ip;     /* IPv4, network byte order */
	__u16 dst_port;   /* host byte order; 0 = every port and every protocol */
	__u16 flags;      /* DROP_CONFIG_* */
	__u64 cgroup_id;  /* as in cgroup_rules; the cgroup and its descendants */
	__u32 ttl;        /* seconds from created_at; 0 = over at once */
	__u32 reserved;
	__u64 created_at; /* boot clock, nanoseconds */
};

/* Value of `stats` (per-CPU array, one entry). GSO packets count as their segments. */
struct drop_stats {
	__u64 packets_dropped;
	__u64 packets_processed;
	__u64 bytes_dropped; /* layer 3 */
};

/* ---- 2. Rules ---- */

enum egress_action {
	EGRESS_ACTION_NONE = 0,
	EGRESS_ACTION_DROP = 1,
	EGRESS_ACTION_REJECT = 2,
	EGRESS_ACTION_AUDIT = 3,
	EGRESS_ACTION_ALLOW = 4,
};

/* egress_rule.flags */
#define EGRESS_RULE_V4         0x01 /* applies to IPv4 */
#define EGRESS_RULE_V6         0x02 /* applies to IPv6; `any` has both bits and plen 0 */
#define EGRESS_RULE_PROTO      0x04 /* `proto` is meant; without it every protocol */
#define EGRESS_RULE_INCLUDE_ND 0x08 /* may also decide neighbour discovery and MLD */
#define EGRESS_RULE_TRIAL_NEW  0x10 /* in force only before control.trial_deadline */
#define EGRESS_RULE_TRIAL_OLD  0x20 /* removed, in force again from control.trial_deadline on */
#define EGRESS_RULE_ISOLATE    0x40 /* made by isolate / default: deny: closing `drop any`, or `allow` of loopback */
#define EGRESS_RULE_NO_PACKET_SOCKETS 0x80 /* as long as it is in force, its subject gets none: see egress_set.refusing */

#define EGRESS_FOREVER 0xFFFFFFFFFFFFFFFFull /* expires_at of a rule without an end */

/* The two chains a rule can stand in: egress_rule.next[]. */
enum egress_chain {
	EGRESS_CHAIN_PLAIN = 0, /* every rule */
	EGRESS_CHAIN_MARK = 1,  /* a rule that names a port or a protocol */
	EGRESS_CHAINS = 2,
};

/*
 * `rules` (array, mmapable): the rule with id I stands at I % max_entries. A record
 * with id 0 is free. Written by the library only, except that a sweep unlinks and
 * clears what is over and settles an elapsed trial. `id` is stored last when a rule is written and cleared first when it
 * goes, so a reader who finds the id it followed has found the rule.
 *
 * A rule is visible to a packet that read control.epoch as E iff
 *   turn == 0 || egress_turn_reached(E, turn) == !(turn & EGRESS_TURN_GOES).
 */
struct egress_rule {
	__u32 id;
	__u32 next[EGRESS_CHAINS]; /* ids; 0 ends a chain */
	__u16 set;                 /* index into `sets` */
	__u16 reason;              /* key of `reasons`; 0 = none */
	__u8 action;               /* enum egress_action */
	__u8 flags;                /* EGRESS_RULE_* */
	__u8 proto;                /* IP protocol number, with EGRESS_RULE_PROTO */
	__u8 plen;                 /* prefix length, bits */
	__u16 port_first;          /* 0 = every port, then port_last is 0 too */
	__u16 port_last;
	__u32 turn;                /* the epoch in which it comes, or EGRESS_TURN_GOES; 0 = it has come and stays */
	__u32 created;             /* in units of EGRESS_CREATED_UNIT */
	__u64 expires_at;          /* ns of the boot clock, or EGRESS_FOREVER */
	__u32 addr[4];             /* network byte order; IPv4 in addr[0], rest zero; host bits zero */
};

#define EGRESS_CREATED_UNIT (1u << 27) /* ns of the boot clock, 134 ms: 32 bits last for 18 years */

#define EGRESS_TURN_GOES 0x80000000u /* the other 31 bits are the lower ones of an epoch, which are never all zero */

/* 1 if a packet that read this epoch is after the turn, 0 if before. */
static inline __u32 egress_turn_reached(__u32 epoch, __u32 turn)
{
	return 1 - ((epoch - turn) << 1 >> 31);
}

/* egress_shape.kind: which rules of a prefix are looked for. */
#define EGRESS_KIND_V6    0x01
#define EGRESS_KIND_PROTO 0x02 /* those that name this protocol */
#define EGRESS_KIND_RANGE 0x04 /* those with a range of ports */
#define EGRESS_KIND_EXACT 0x08 /* those with this port */
#define EGRESS_KIND_MARK  0x10 /* all that name a port or a protocol */

/*
 * `heads` (array, mmapable): the index of the rules, a hash table whose chains run through
 * the rules themselves. A place has the id of the first rule of its chain, 0 = none. The
 * values of arrays are multiples of eight bytes: two places each. Two parts:
 *  - plain, a power of two of places: by set, prefix, protocol if one is named, and port
 *    if it is one.
 *  - mark, a quarter of that: by set and prefix. Only asked for packets whose ports or
 *    protocol cannot be read (fragments, truncated, too long header chains).
 * Rules of other keys can stand in the same chain: whether a rule is of the key that was
 * looked for, it says itself. All of a chain stand in one order: the more specific first.
 */
#define EGRESS_HEADS_LEAST 64 /* of the plain part */
#define EGRESS_CHAIN_MAX 512  /* rules of one chain */

struct egress_heads {
	__u32 first[2]; /* of the places 2 * key and 2 * key + 1 */
};

struct egress_index_key {
	__u32 set;
	__u16 port;    /* 0: none, or a range of them */
	__u8 plen;
	__u8 proto;    /* 0: none; 58 (ICMPv6) stands under 1 */
	__u32 addr[4]; /* masked; network byte order */
};

/* Multiplies and folds; the odd constants are 2^64 divided by the golden ratio, and two primes of xxHash64. */
static inline __u64 egress_index_hash(const struct egress_index_key *key)
{
	__u64 rest = (__u64)key->set << 32 | (__u32)key->port << 16 | (__u32)key->plen << 8 | key->proto;
	__u64 hash = (((__u64)key->addr[1] << 32 | key->addr[0]) ^ rest * 0x9E3779B97F4A7C15ull) * 0xC2B2AE3D27D4EB4Full;

	hash ^= hash >> 32;
	hash = (hash + ((__u64)key->addr[3] << 32 | key->addr[2])) * 0x165667B19E3779F9ull;
	return hash ^ hash >> 32;
}

/* A place in `heads`; mask: places of the plain part minus one. */
static inline __u32 egress_index_place(__u64 hash, __u32 chain, __u32 mask)
{
	return ((__u32)hash & (mask >> 2 * chain)) + chain * (mask + 1);
}

/*
 * `sieve` (array of u64, mmapable, a power of two of words): a Bloom filter over the
 * prefixes of all rules, each in one word (a blocked Bloom filter: Putze, Sanders and
 * Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007). A packet whose
 * address has no hit with any prefix length in use meets no rule. Bits of a rule are
 * set before the rule is visible, and cleared some time after no record needs them. Prefix length
 * 0 is not in it: it matches anything.
 *
 * Lengths are asked in groups: a rule is also there with its address cut to the first
 * length of its group, its lead. One look is enough for a group whose lead has no hit.
 */
#define EGRESS_SIEVE_RULES_PER_WORD 4 /* 16 bits a rule */

/* IPv4: 1, 8, 12, 16, 20, 24. IPv6: 1, 16, 24, 32, 40, 48, 64, 128. plen > 0 */
static inline __u32 egress_sieve_lead(__u32 plen, __u32 v6)
{
	if (v6)
		return plen >= 128 ? 128 : plen >= 64 ? 64 : plen >= 48 ? 48 : plen >= 16 ? plen & ~7u : 1;
	return plen >= 24 ? 24 : plen >= 8 ? plen & ~3u : 1;
}

/*
 * Of a prefix: plen 1 to 128 bits, address as in egress_rule, addr[1] << 32 | addr[0]; v6 is 0 or 1. For IPv4
 * one multiplication: the upper 38 bits of the product are used, and in those all of the address shows.
 * Without branches, for the verifier.
 */
static inline __u64 egress_sieve_hash(__u64 addr01, __u64 addr23, __u32 plen, __u32 v6)
{
	__u64 v4_hash = (addr01 ^ (__u64)plen << (32 + 8 * v6)) * 0x9E3779B97F4A7C15ull;
	__u64 v6_hash = ((v4_hash ^ v4_hash >> 32) + addr23) * 0xC2B2AE3D27D4EB4Full;

	return v4_hash ^ ((v4_hash ^ v6_hash) & -(__u64)v6);
}

/* The word, not yet cut to the number of words; the bits in it. */
static inline __u32 egress_sieve_word(__u64 hash)
{
	return (__u32)(hash >> 26);
}

static inline __u64 egress_sieve_bits(__u64 hash)
{
	return 1ull << (hash >> 58) | 1ull << (hash >> 52 & 63) | 1ull << (hash >> 46 & 63);
}

/*
 * `covers` (array of u64, mmapable, a power of two of words, EGRESS_COVER_UNITS equal units): bitmaps
 * of single sets. A set may have one of 2^log units. IPv4: a bit for each network of as many addresses as
 * divide all among the bits, set where a rule of the set holds an address of that network. IPv6: a bit for a hash of the
 * first 32 bits, in the same bitmap; rules with shorter prefixes are not in it, and where there are such ones it says nothing
 * of IPv6. A packet that finds no bit meets no rule of the set. Bits are set before a rule is visible, and
 * cleared some time after no record needs them. A unit that belongs to no set is zero, or was left by a writer that
 * failed; those are not given away before the next change that removes rules has cleared them.
 */
#define EGRESS_COVER_UNITS_LOG 12
#define EGRESS_COVER_UNITS (1 << EGRESS_COVER_UNITS_LOG)
#define EGRESS_COVER_RULES_PER_WORD 4 /* 16 bits a rule */

/* What names a cover, in 16 bits: its first unit, a multiple of their number, and the log of that. 0 = none. */
#define EGRESS_COVER(first_, log_) ((__u32)(first_) << 4 | (log_))
#define EGRESS_COVER_FIRST(cover_) ((cover_) >> 4 & (EGRESS_COVER_UNITS - 1))
#define EGRESS_COVER_LOG(cover_) ((cover_) & 15)

/* The bit of an address (host byte order) in its cover; unit_log: of the words of a unit. The cover has 2^32 bits at most. */
static inline __u32 egress_cover_bit(__u32 cover, __u32 unit_log, __u32 addr)
{
	return (__u32)((__u64)addr >> ((32 - 6 - unit_log - EGRESS_COVER_LOG(cover)) & 63));
}

#define EGRESS_COVER_PLEN_V6 32

/* first: the first 32 bits of an address of IPv6, network byte order. */
static inline __u32 egress_cover_bit_v6(__u32 cover, __u32 unit_log, __u32 first)
{
	return egress_cover_bit(cover, unit_log, first * 0x9E3779B1u);
}

/* The first word of a cover. */
static inline __u32 egress_cover_word(__u32 cover, __u32 unit_log)
{
	return EGRESS_COVER_FIRST(cover) << (unit_log & 31);
}

/* `counters` (per-CPU hash): key EGRESS_COUNTER_RULE | id or EGRESS_COUNTER_DOOR | id. */
#define EGRESS_COUNTER_RULE 0ull
#define EGRESS_COUNTER_DOOR (1ull << 32) /* a rule of drop_configs */

struct egress_counter {
	__u64 packets;
	__u64 bytes;  /* layer 3, all segments */
	__u64 denied; /* system calls refused: connect, sendto, sendmsg, and socket */
};

/* ---- 3. Sets: the rules of one subject in one policy ---- */

#define EGRESS_SHAPES_MAX 96   /* shapes of one list */
#define EGRESS_STEPS_MAX 256   /* rules and shapes of one set that a packet meets */
#define EGRESS_REFUSING_MAX 64 /* rules of one set that refuse packet sockets */
#define EGRESS_SETS_OF_PACKET 24 /* names with rules on the way from a cgroup to the root; also the sets of one name */
#define EGRESS_LEVELS_MAX 32   /* levels below the root of the enforced subtree, the root included */

/* A run of `shapes` entries; one aligned 8-byte store replaces it. */
struct egress_run {
	__u32 first;
	__u32 count;
};

/*
 * Entry of `shapes` (array, mmapable): one combination of prefix length, port and
 * protocol kind; or, in the run `refusing` of a set, a rule.
 */
struct egress_shape {
	__u8 kind; /* EGRESS_KIND_* */
	__u8 plen;
	__u16 zero;
	__u32 rule; /* id; 0 in lists of shapes */
};

/* Which list a packet walks: egress_set.lists[]. */
enum egress_list {
	EGRESS_LIST_V4 = 0,      /* plain shapes, most specific first */
	EGRESS_LIST_V4_MARK = 1, /* for packets with unknown ports or protocol: marks and portless shapes */
	EGRESS_LIST_V6 = 2,
	EGRESS_LIST_V6_MARK = 3,
	EGRESS_LISTS = 4,
};

/* egress_set.flags */
#define EGRESS_SET_USED  0x1
#define EGRESS_SET_ONLY  0x2 /* the cgroup alone, not its descendants */
#define EGRESS_SET_AUDIT 0x4 /* holds audit rules: every match is looked for */
#define EGRESS_SET_COVER_SHIFT 16 /* the upper half names the cover of the set */

/* `sets` (array, mmapable); index 0 is never used. Library writes. An index has 16 bits. */
#define EGRESS_SETS_MAX 65535
struct egress_set {
	__u32 flags;
	__u32 next;   /* next set of the same anchor; 0 ends */
	__u32 anchor;
	__u32 policy; /* key of `policy_names`; 0 = the policy of no name */
	struct egress_run lists[EGRESS_LISTS];
	__u64 decides_until; /* no drop, reject or allow rule of this set lives longer */
	/*
	 * Every rule of this set that may be in force and has EGRESS_RULE_NO_PACKET_SOCKETS.
	 * As long as one of them is, no process of the subject gets a socket of AF_PACKET or
	 * AF_XDP, nor a raw one of AF_INET or AF_INET6: socket(2) says EPERM. Whether a rule
	 * named here is in force, its own record says; it may be gone.
	 */
	struct egress_run refusing;
};

/* ---- 4. Subjects: names and the cgroups that bear them ---- */

enum egress_anchor_kind {
	EGRESS_ANCHOR_NONE = 0,
	EGRESS_ANCHOR_PATH = 1, /* a path below the root of the enforced subtree */
	EGRESS_ANCHOR_UNIT = 2, /* a last path component, anywhere below it */
	EGRESS_ANCHOR_ID = 3,   /* one cgroup id */
};

/* `anchors` (array, mmapable); index 0 is never used. Library writes. */
struct egress_anchor {
	__u32 kind;      /* enum egress_anchor_kind */
	__u32 first_set; /* 0 = none */
	__u64 cgroup_id; /* EGRESS_ANCHOR_ID */
};

#define EGRESS_PATH_MAX 1024
#define EGRESS_NAME_MAX 256 /* a cgroup name is at most 255 bytes */

/* `anchor_names` (hash, key: anchor): the path ("/" + components, no trailing slash) or unit name. */
struct egress_anchor_name {
	char name[EGRESS_PATH_MAX]; /* zero-terminated */
};

/*
 * `names` (hash): the tree of names that rules wait for. Edges lead from a node and
 * a component to a node; node 1 is the root of the enforced subtree. Node 0 is
 * "anywhere below it" and leads from a unit's name to its anchor.
 */
#define EGRESS_NODE_ANYWHERE 0
#define EGRESS_NODE_ROOT 1

struct egress_name_key {
	__u32 node;
	char name[EGRESS_NAME_MAX]; /* zero-padded */
};

struct egress_name {
	__u32 node;   /* the node reached; 0 for a unit */
	__u32 anchor; /* 0 = none here */
};

/*
 * `bindings` (hash, key: cgroup id, u64): what the rules call this cgroup. Written by
 * cgroup_mkdir before any process can enter the cgroup, by the library for cgroups
 * that exist already, and removed by cgroup_release when the last socket is gone.
 */
struct egress_binding {
	__u32 node;        /* where this cgroup stands in `names`; 0 = nowhere */
	__u32 path_anchor;
	__u32 unit_anchor;
	__u32 id_anchor;
};

/*
 * `devices` (hash, key: egress_device_key): the devices that are guarded strictly. With
 * EGRESS_DEVICE_XDP all frames that it receives are judged as packets of one cgroup, whoever made
 * them: most often it is the host side of a container's veth. A cgroup never changes its
 * ancestors, so their ids are kept here. Library writes; what is attached, the kernel says.
 */
#define EGRESS_DEVICES_MAX 4096
#define EGRESS_DEVICE_NAME_MAX 16 /* IFNAMSIZ */

#define EGRESS_DEVICE_TC 0x1        /* what leaves by it is judged by the cgroup of its socket */
#define EGRESS_DEVICE_XDP 0x2       /* what it receives is judged as that of cgroup_id */
#define EGRESS_DEVICE_STRICT_L2 0x4 /* XDP: neither IP nor ARP is dropped where a rule decides */
#define EGRESS_DEVICE_OUR_QDISC 0x8 /* its clsact was made for the filter there */

struct egress_device {
	__u64 cgroup_id;
	__u32 levels; /* of ids[]; 0 = XDP judges nothing */
	__u32 flags;  /* EGRESS_DEVICE_* */
	char name[EGRESS_DEVICE_NAME_MAX]; /* when it was put on */
	__u64 ids[EGRESS_LEVELS_MAX]; /* root of the enforced subtree first, the cgroup itself last */
};

/* netns: inode of the network namespace the device is in; ifindex: its number there. */
static inline __u64 egress_device_key(__u32 netns, __u32 ifindex)
{
	return (__u64)netns << 32 | ifindex;
}

/*
 * `policy_names` (hash, key: policy, u32 > 0) and `reasons` (hash, key: egress_rule.reason, u32). A text
 * stands there once, however many rules name it; those that no record names are removed by the library.
 */
#define EGRESS_REASON_TEXTS_MAX 65535
#define EGRESS_TEXT_MAX 256
struct egress_text {
	char text[EGRESS_TEXT_MAX]; /* UTF-8, zero-terminated */
};

/* ---- 5. One instance ---- */

enum egress_maintenance {
	EGRESS_MAINTENANCE_FREE = 0,
	EGRESS_MAINTENANCE_SWEEP = 1,
	EGRESS_MAINTENANCE_LIBRARY = 2,
};

/*
 * `control` (array of one, mmapable). Rules come and go by one store to
 * `epoch`; a packet reads it once. The deadline of a rule that stays is a store of its own.
 */
struct egress_control {
	__u32 epoch;          /* library */
	__u32 next_id;        /* library: ids below were given out; starts at 1 */
	__u32 next_node;      /* library; starts at 2 */
	__u32 pending;        /* library: epoch of the change under way, 0 = none */
	__u64 trial_deadline; /* library, and a sweep that settles an elapsed trial; EGRESS_FOREVER = confirmed or none */
	__u64 next_deadline;  /* nothing ends before; library lowers, sweep raises; both hold `maintenance` */
	__u64 lease_until;    /* library: a holder of `maintenance` that is silent for longer has lost it */
	__u32 maintenance;    /* enum egress_maintenance; compare-and-swap */
	__u32 rejects;        /* library: 0 = no rule has EGRESS_ACTION_REJECT; may stay 1 when the last one went */
	__u64 swept_at;       /* sweep: when the timer last fired; 0 = never */
	__u64 clock;          /* the clock program: now */
	__u32 bind_failed;    /* cgroup_mkdir: names it could not bind (map full) */
	__u32 sweeps_seen;    /* library: `sweeps` when it last cleaned up behind them */
	__u32 on_trial;       /* library: 0 = no rule has EGRESS_RULE_TRIAL_NEW or _OLD */
	__u32 subjects;       /* library: places of `sets` and `anchors` from this one on were never used; only grows */
	__u32 stale;          /* library: rules that went and whose bits in `sieve` and `covers` stay for now */
	__u32 sweeps;         /* sweep: how often it went through the rules */
};

/* `reason_counts` (per-CPU array of u64): packets treated specially, by reason. */
enum egress_reason {
	EGRESS_REASON_MALFORMED = 0,   /* dropped: headers cannot be read */
	EGRESS_REASON_SOURCE_ROUTE,    /* dropped: LSRR, SSRR or a routing header */
	EGRESS_REASON_EXTHDR_LIMIT,    /* judged without ports: chain longer than the bound */
	EGRESS_REASON_FRAGMENT,        /* judged without ports: not the first fragment */
	EGRESS_REASON_EXEMPT,          /* passed: neighbour discovery or MLD */
	EGRESS_REASON_LIMIT,           /* dropped: more sets or steps than the bounds above */
	EGRESS_REASON_TORN,            /* dropped: judged again and again, each time disturbed by a run that interrupted it */
	EGRESS_REASON_NOT_IP,          /* not judged at a device: neither IP nor ARP */
	EGRESS_REASON_AT_DEVICE,       /* dropped at a device that it leaves by (tc) */
	EGRESS_REASON_FROM_DEVICE,     /* dropped where it came in from a container (XDP) */
	EGRESS_REASON_UNCOUNTED,       /* in the totals only: `counters` had no room for the rule */
	EGRESS_REASONS, /* how many */
};

/* `meta` (array of one): who made these maps. Written once by the loader, then frozen. */
#define EGRESS_MAGIC 0x0073736572676521ull
struct egress_meta {
	__u64 magic;
	__u32 abi;
	__u32 max_rules;
	__u64 layout;       /* hash of the key and value sizes of every map */
	__u64 root_id;      /* cgroup id of the root of the enforced subtree */
	__u32 root_level;
	__u32 zero;
	__u8 instance[16];  /* random */
	char pin_dir[256];
	char root_path[1024];
	char version[32];
};

#define EGRESS_DEFAULT_MAX_RULES 65536
#define EGRESS_DEFAULT_MAX_MAP_RULES 65536 /* of drop_configs and cgroup_rules */

#ifdef __cplusplus
#define EGRESS_ASSERT(what) static_assert(what, #what)
#else
#define EGRESS_ASSERT(what) _Static_assert(what, #what)
#endif
EGRESS_ASSERT(sizeof(struct drop_config) == 32);
EGRESS_ASSERT(sizeof(struct drop_stats) == 24);
EGRESS_ASSERT(sizeof(struct egress_rule) == 56);
EGRESS_ASSERT(sizeof(struct egress_heads) == 8);
EGRESS_ASSERT(sizeof(struct egress_index_key) == 24);
EGRESS_ASSERT(sizeof(struct egress_counter) == 24);
EGRESS_ASSERT(sizeof(struct egress_shape) == 8);
EGRESS_ASSERT(sizeof(struct egress_set) == 64);
EGRESS_ASSERT(sizeof(struct egress_anchor) == 16);
EGRESS_ASSERT(sizeof(struct egress_name_key) == 260);
EGRESS_ASSERT(sizeof(struct egress_binding) == 16);
EGRESS_ASSERT(sizeof(struct egress_device) == 288);
EGRESS_ASSERT(sizeof(struct egress_control) == 88);

#endif
