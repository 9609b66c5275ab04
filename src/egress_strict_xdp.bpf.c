// SPDX-License-Identifier: GPL-2.0
/*
 * The strict layer where a container's frames come in: the host side of its veth. XDP runs
 * on receive only, and there every frame is received that anything in the container sent.
 */
#define EGRESS_XDP
#include "datapath/strict.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Key of `devices`. A number of a device is one in its network namespace only, so that is asked too. */
static __always_inline __u64 device_of(struct xdp_md *xdp)
{
	struct xdp_buff *buffer = NULL;
	struct net_device *device;

	/* The context as a plain number, as in plain_socket(). */
	bpf_probe_read_kernel(&buffer, sizeof(buffer), &xdp);
	device = BPF_CORE_READ(buffer, rxq, dev);
	return egress_device_key(BPF_CORE_READ(device, nd_net.net, ns.inum), BPF_CORE_READ(device, ifindex));
}

SEC("xdp")
int egress_xdp(struct xdp_md *xdp)
{
	__u64 origin = device_of(xdp);
	struct egress_device *device = bpf_map_lookup_elem(&devices, &origin);
	__u32 frame;

	if (!device || !device->levels)
		return XDP_PASS; /* bound to nothing: `strict off` is under way */
	frame = read_frame(xdp, ETH_HEADER);
	if (device->flags & EGRESS_DEVICE_STRICT_L2)
		frame |= FRAME_REFUSED;
	if (judge_strictly(xdp, origin, device->cgroup_id, frame, EGRESS_REASON_FROM_DEVICE) == FRAME_PASSED)
		return XDP_PASS;
	return XDP_DROP;
}
