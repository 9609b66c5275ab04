// SPDX-License-Identifier: GPL-2.0
#include "to_strangers.bpf.h"

#define PLAIN_DESTINATION(data_, offset_) ((void)(data_), destination)
#include "drop_egress_by_cgroup.bpf.c"

SEC("cgroup_skb/egress")
int to_strangers(struct __sk_buff *skb)
{
	take_next_destination();
	return filter_packet(skb);
}
