// SPDX-License-Identifier: GPL-2.0
/* The way systemd filters addresses (IPAddressDeny=): one program a cgroup, one LPM trie. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct lpm_key {
	__u32 plen;
	__be32 addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_key);
	__type(value, __u64);
} denied SEC(".maps");

SEC("cgroup_skb/egress")
int lpm(struct __sk_buff *skb)
{
	struct lpm_key key = {.plen = 32};

	if (skb->protocol != bpf_htons(0x0800) || bpf_skb_load_bytes(skb, 16, &key.addr, 4) < 0)
		return 1;
	return bpf_map_lookup_elem(&denied, &key) ? 0 : 1;
}
