// SPDX-License-Identifier: GPL-2.0
/* The way systemd filters addresses (IPAddressDeny=): one program a cgroup, one LPM trie a family. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct lpm_key4 {
	__u32 plen;
	__u8 addr[4];
};

struct lpm_key6 {
	__u32 plen;
	__u8 addr[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_key4);
	__type(value, __u64);
} denied4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_key6);
	__type(value, __u64);
} denied6 SEC(".maps");

#ifndef LOAD_DESTINATION /* lpm_to_strangers.bpf.c has others */
#define LOAD_DESTINATION bpf_skb_load_bytes
#endif

static __always_inline int judge(struct __sk_buff *skb)
{
	struct lpm_key4 key4 = {.plen = 32};
	struct lpm_key6 key6 = {.plen = 128};

	if (skb->protocol == bpf_htons(0x0800)) {
		if (LOAD_DESTINATION(skb, 16, key4.addr, 4) < 0)
			return 1;
		return bpf_map_lookup_elem(&denied4, &key4) ? 0 : 1;
	}
	if (skb->protocol != bpf_htons(0x86DD) || LOAD_DESTINATION(skb, 24, key6.addr, 16) < 0)
		return 1;
	return bpf_map_lookup_elem(&denied6, &key6) ? 0 : 1;
}

SEC("cgroup_skb/egress")
int lpm(struct __sk_buff *skb)
{
	return judge(skb);
}
