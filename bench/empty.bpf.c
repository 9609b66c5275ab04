// SPDX-License-Identifier: GPL-2.0
/* The floor: what the kernel's hook costs with a program that does nothing. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("cgroup_skb/egress")
int empty(struct __sk_buff *skb)
{
	return 1;
}
