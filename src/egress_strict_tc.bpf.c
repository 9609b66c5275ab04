// SPDX-License-Identifier: GPL-2.0
/*
 * The strict layer at a device that packets leave by: also sees frames of packet
 * sockets, answers with SYN cookies, and the outer packets of tunnels.
 */
#include "datapath/strict.bpf.h"
#include "datapath/socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* The same numbers mean the same to tcx. */
#define TC_DROP 2  /* TC_ACT_SHOT */
#define TC_NEXT -1 /* TC_ACT_UNSPEC: filters of others decide too */

/* Addresses and ports of a TCP packet, as the socket that waits for an answer would look for it. */
static __always_inline __u32 reverse_tuple(struct __sk_buff *skb, __u32 frame, struct bpf_sock_tuple *tuple)
{
	__u32 base = FRAME_AT(frame), at;
	__be16 ports[2];
	__u8 byte;

	if (frame & FRAME_V6) {
		at = base + IPV6_HEADER;
		if (load_bytes(skb, base + 6, &byte, 1) < 0 || byte != PROTO_TCP ||
		    load_bytes(skb, base + 8, tuple->ipv6.daddr, 16) < 0 ||
		    load_bytes(skb, base + 24, tuple->ipv6.saddr, 16) < 0 || load_bytes(skb, at, ports, 4) < 0)
			return 0;
		tuple->ipv6.dport = ports[0];
		tuple->ipv6.sport = ports[1];
		return sizeof(tuple->ipv6);
	}
	if (load_bytes(skb, base + 9, &byte, 1) < 0 || byte != PROTO_TCP || load_bytes(skb, base, &byte, 1) < 0)
		return 0;
	at = base + (byte & 0xF) * 4;
	if (load_bytes(skb, base + 12, &tuple->ipv4.daddr, 4) < 0 ||
	    load_bytes(skb, base + 16, &tuple->ipv4.saddr, 4) < 0 || load_bytes(skb, at, ports, 4) < 0)
		return 0;
	tuple->ipv4.dport = ports[0];
	tuple->ipv4.sport = ports[1];
	return sizeof(tuple->ipv4);
}

/*
 * The cgroup of a TCP packet that carries no socket, as its address: that of the socket it
 * answers for. A connection in TIME_WAIT has no cgroup; the listener it came from has.
 */
__noinline __u64 cgroup_of_answer(struct __sk_buff *skb, __u32 frame)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = reverse_tuple(skb, frame, &tuple);
	struct bpf_sock *sk;
	__u64 cgroup;

	if (size == sizeof(tuple.ipv4)) {
		sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		if (!sk) {
			tuple.ipv4.sport = 0;
			sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		}
	} else if (size == sizeof(tuple.ipv6)) {
		sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
		if (!sk) {
			tuple.ipv6.sport = 0;
			sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
		}
	} else {
		return 0;
	}
	if (!sk)
		return 0;
	cgroup = (__u64)cgroup_of(plain_socket(sk));
	bpf_sk_release(sk);
	return cgroup;
}

static __always_inline __u64 cgroup_of_frame(struct __sk_buff *skb, __u32 frame)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk)
		return (__u64)cgroup_of(plain_socket(sk));
	/* Forwarded: whoever listens to that port here has not sent it. */
	if (skb->ingress_ifindex || !(frame & (FRAME_V4 | FRAME_V6)))
		return 0;
	return cgroup_of_answer(skb, frame);
}

static __always_inline bool is_in_subtree(__u64 cgroup)
{
	return origin_ancestor(cgroup, 0) == root_id;
}

static __always_inline int judge_at_device(struct __sk_buff *skb, __u32 header)
{
	__u32 frame = read_frame(skb, header);
	__u64 cgroup = cgroup_of_frame(skb, frame);

	if (!cgroup || !is_in_subtree(cgroup))
		return TC_NEXT;
	if (judge_strictly(skb, cgroup, BPF_CORE_READ((struct cgroup *)cgroup, kn, id), frame,
			   EGRESS_REASON_AT_DEVICE) == FRAME_PASSED)
		return TC_NEXT;
	return TC_DROP;
}

/* Devices with an Ethernet header. */
SEC("tc")
int egress_tc_eth(struct __sk_buff *skb)
{
	return judge_at_device(skb, ETH_HEADER);
}

/* Devices without a link-layer header: tunnels, TUN. */
SEC("tc")
int egress_tc_ip(struct __sk_buff *skb)
{
	return judge_at_device(skb, 0);
}
