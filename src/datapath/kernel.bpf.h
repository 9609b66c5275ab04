/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The little of the kernel's own types that the datapath reads, relocated at load
 * time against the BTF of the running kernel (CO-RE). Only fields named here are read.
 */
#ifndef EGRESS_DATAPATH_KERNEL_H
#define EGRESS_DATAPATH_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD

#define U32_MAX 0xFFFFFFFFu
#define U64_MAX 0xFFFFFFFFFFFFFFFFull
#define NSEC_PER_SEC 1000000000ull

/*
 * What nearly every packet does, straight ahead: the less code it runs through, the less of it has to be
 * fetched again after all that the kernel ran since the last packet.
 */
#define LIKELY(condition_) __builtin_expect(!!(condition_), 1)

#define KERNEL_TYPE __attribute__((preserve_access_index))

/*
 * An index that is within its bounds already, in a way that every verifier can see: the one
 * of 6.1 and before forgets what it knew of a 32-bit number when another is or-ed to it.
 */
static __always_inline __u32 bounded(__u32 index, __u32 mask)
{
	asm volatile("" : "+r"(index)); /* or the compiler leaves the mask out */
	return index & mask;
}

/*
 * The same number, of which the verifier has forgotten what it knew: one state where it would
 * follow several. noise: any number that it does not know.
 */
static __always_inline __u64 forgotten(__u64 number, __u64 noise)
{
	asm volatile("%0 += %1\n%0 -= %1" : "+r"(number) : "r"(noise));
	return number;
}

struct kernfs_node {
	const char *name;
	__u64 id;
} KERNEL_TYPE;

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
} KERNEL_TYPE;

struct cgroup_root {
	int hierarchy_id; /* 0 = the cgroup v2 hierarchy */
} KERNEL_TYPE;

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup *ancestors[]; /* 6.1 and later; by level, itself included */
} KERNEL_TYPE;

struct cgroup___before_6_1 {
	int level;
	__u64 ancestor_ids[];
} KERNEL_TYPE;

/* 5.15 and later; before, `val` is the cgroup's address unless its lowest bit is set. */
struct sock_cgroup_data {
	struct cgroup *cgroup;
} KERNEL_TYPE;

struct sock_cgroup_data___before_5_15 {
	__u64 val;
} KERNEL_TYPE;

struct sock_common {
	volatile unsigned char skc_state;
	unsigned long skc_flags;
} KERNEL_TYPE;

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
} KERNEL_TYPE;

struct sk_buff {
	struct sock *sk;
} KERNEL_TYPE;

struct bpf_sock_addr_kern {
	struct sock *sk;
} KERNEL_TYPE;

struct ns_common {
	unsigned int inum;
} KERNEL_TYPE;

struct net {
	struct ns_common ns;
} KERNEL_TYPE;

typedef struct {
	struct net *net;
} KERNEL_TYPE possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} KERNEL_TYPE;

struct xdp_rxq_info {
	struct net_device *dev;
} KERNEL_TYPE;

struct xdp_buff {
	struct xdp_rxq_info *rxq;
} KERNEL_TYPE;

struct css_set {
	struct cgroup *dfl_cgrp; /* in the cgroup v2 hierarchy */
} KERNEL_TYPE;

struct task_struct {
	struct css_set *cgroups;
} KERNEL_TYPE;

enum sock_flags { SOCK_BROADCAST = 6 }; /* the kernel's value is looked up at load */

static __always_inline struct cgroup *parent_of(struct cgroup *cgroup)
{
	struct cgroup_subsys_state *parent = BPF_CORE_READ(cgroup, self.parent);

	if (!parent)
		return NULL;
	return (void *)parent - bpf_core_field_offset(struct cgroup, self);
}

#endif
