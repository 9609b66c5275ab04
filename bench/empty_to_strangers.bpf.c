// SPDX-License-Identifier: GPL-2.0
#include "to_strangers.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("cgroup_skb/egress")
int to_strangers(struct __sk_buff *skb)
{
	take_next_destination();
	return 1;
}
