/* SPDX-License-Identifier: GPL-2.0 */
/* Which rule of the template's maps, written by any tool, decides this flow? They come after the library's. */
#ifndef EGRESS_DATAPATH_DOOR_H
#define EGRESS_DATAPATH_DOOR_H

#include "datapath/match.bpf.h"

/* The deadline of a rule of drop_configs. */
static __always_inline bool door_in_force(const struct drop_config *config, __u64 now)
{
	__u64 lifetime = (__u64)config->ttl * NSEC_PER_SEC;

	if (config->ttl == DROP_CONFIG_NO_END)
		return true;
	if (config->created_at > U64_MAX - lifetime)
		return true; /* beyond the end of the clock */
	return now < config->created_at + lifetime;
}

static __always_inline bool door_fits(const struct drop_config *config, const struct flow *flow)
{
	if ((flow->flags & FLOW_V6) || config->dst_ip != flow->addr[0])
		return false;
	if (!config->dst_port)
		return true;
	if (flow->flags & FLOW_PORTS)
		return config->dst_port == flow->port;
	return flow->flags & FLOW_PORTS_UNKNOWN;
}

/*
 * The template's maps, written by any tool: the rule of one cgroup, if it is in force
 * and fits (or merely is in force, for packets that cannot be read). 0 = none.
 */
__noinline __u64 door_rule(__u64 cgroup, __u64 addr_packed, __u64 any_destination)
{
	struct flow flow = {.addr = {addr_packed >> 32},
			    .flags = addr_packed & 0xFF,
			    .proto = addr_packed >> 8,
			    .port = addr_packed >> 16};
	struct drop_config config, *found;
	__u32 id, *rule = bpf_map_lookup_elem(&cgroup_rules, &cgroup);

	if (!rule)
		return 0;
	id = *rule;
	found = bpf_map_lookup_elem(&drop_configs, &id);
	if (!found)
		return 0;
	__builtin_memcpy(&config, found, sizeof(config));
	if (config.cgroup_id != cgroup || !config.dst_ip)
		return 0;
	if (!any_destination && !door_fits(&config, &flow))
		return 0;
	if (!door_in_force(&config, bpf_ktime_get_boot_ns()))
		return 0;
	return ANSWER(EGRESS_ACTION_DROP | ANSWER_DOOR | (config.flags & DROP_CONFIG_CANARY ? ANSWER_SILENT : 0), id);
}

/* addr_packed: IPv4 address, and what read_headers returns; from the packet's cgroup up to the root. */
#ifndef EGRESS_STRICT
__noinline __u64 judge_by_door(struct __sk_buff *skb, __u64 levels, __u64 addr_packed, __u64 any_destination)
{
	for (int depth = EGRESS_LEVELS_MAX - 1; depth >= 0; depth--) {
		__u64 answer;

		if (!(levels >> depth & 1))
			continue;
		answer = door_rule(packet_ancestor(skb, depth), addr_packed, any_destination);
		if (answer)
			return answer;
	}
	return 0;
}

#endif

/* The same for what is no packet of this hook, or has no socket of its own. */
__noinline __u64 judge_origin_by_door(__u64 origin, __u64 levels, __u64 addr_packed, __u64 any_destination)
{
	for (int depth = EGRESS_LEVELS_MAX - 1; depth >= 0; depth--) {
		__u64 answer;

		if (!(levels >> depth & 1))
			continue;
		answer = door_rule(ancestor_of(origin, depth), addr_packed, any_destination);
		if (answer)
			return answer;
	}
	return 0;
}

#endif
