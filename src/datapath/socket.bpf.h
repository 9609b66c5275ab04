/* SPDX-License-Identifier: GPL-2.0 */
/* Which cgroup was a socket made in? For hooks that have a socket but no helper to tell. */
#ifndef EGRESS_DATAPATH_SOCKET_H
#define EGRESS_DATAPATH_SOCKET_H

#include "datapath/kernel.bpf.h"

/*
 * A socket as a plain number: read from where its pointer lies on the stack, it has
 * lost its type, and BPF_CORE_READ may follow it.
 */
static __always_inline struct sock *plain_socket(struct bpf_sock *typed)
{
	struct sock *plain = NULL;

	if (typed)
		bpf_probe_read_kernel(&plain, sizeof(plain), &typed);
	return plain;
}

/* Two functions: see ancestor_before_6_1. */
static __noinline __u64 cgroup_before_5_15(struct sock *sk)
{
	struct sock_cgroup_data *data = &sk->sk_cgrp_data;
	__u64 value = BPF_CORE_READ((struct sock_cgroup_data___before_5_15 *)data, val);

	return value & 1 ? 0 : value; /* odd: the host uses net_cls or net_prio */
}

static __noinline __u64 cgroup_since_5_15(struct sock *sk)
{
	return (__u64)BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
}

/* The cgroup the socket was made in; never that of the current task. */
static __always_inline struct cgroup *cgroup_of(struct sock *sk)
{
	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return (struct cgroup *)cgroup_since_5_15(sk);
	return (struct cgroup *)cgroup_before_5_15(sk);
}

#endif
