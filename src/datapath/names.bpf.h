/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What do the rules call this new cgroup? cgroup_mkdir runs in the mkdir(2) itself,
 * before the directory can be seen: no process can be in a cgroup that is not bound.
 */
#ifndef EGRESS_DATAPATH_NAMES_H
#define EGRESS_DATAPATH_NAMES_H

#include "datapath/maps.bpf.h"

/* One mkdir at a time (cgroup_mutex), so one scratch key is enough. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct egress_name_key);
} name_scratch SEC(".maps");

#define V2_HIERARCHY 0

static __always_inline bool is_v2(struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, root, hierarchy_id) == V2_HIERARCHY;
}

static __always_inline __u64 id_of(struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, kn, id);
}

static __always_inline bool below_root(struct cgroup *cgroup)
{
	for (int up = 0; up < 2 * EGRESS_LEVELS_MAX; up++) {
		cgroup = parent_of(cgroup);
		if (!cgroup)
			return false;
		if (id_of(cgroup) == root_id)
			return true;
	}
	return false;
}

static __always_inline struct egress_name_key *key_of_name(struct cgroup *cgroup)
{
	__u32 zero = 0;
	struct egress_name_key *key = bpf_map_lookup_elem(&name_scratch, &zero);

	if (!key)
		return NULL;
	__builtin_memset(key, 0, sizeof(*key));
	if (bpf_probe_read_kernel_str(key->name, sizeof(key->name), BPF_CORE_READ(cgroup, kn, name)) < 0)
		return NULL;
	return key;
}

static __always_inline void bind_name(struct cgroup *cgroup)
{
	struct egress_name_key *key = key_of_name(cgroup);
	struct egress_binding binding = {}, *parent_binding;
	struct egress_name *found;
	__u64 id = id_of(cgroup), parent_id;
	struct egress_control *control = the_control();

	if (!key)
		return;
	parent_id = BPF_CORE_READ(parent_of(cgroup), kn, id);
	parent_binding = bpf_map_lookup_elem(&bindings, &parent_id);
	if (parent_binding && parent_binding->node) {
		key->node = parent_binding->node;
		found = bpf_map_lookup_elem(&names, key);
		if (found) {
			binding.node = found->node;
			binding.path_anchor = found->anchor;
		}
	}
	key->node = EGRESS_NODE_ANYWHERE;
	found = bpf_map_lookup_elem(&names, key);
	if (found && below_root(cgroup))
		binding.unit_anchor = found->anchor;
	if (!binding.node && !binding.unit_anchor)
		return;
	if (bpf_map_update_elem(&bindings, &id, &binding, BPF_ANY) < 0 && control)
		__sync_fetch_and_add(&control->bind_failed, 1);
}

/* The last reference is gone, sockets included: the id will never be seen again. */
static __always_inline void forget_cgroup(struct cgroup *cgroup)
{
	__u64 id = id_of(cgroup);
	__u32 *rule, key;

	bpf_map_delete_elem(&bindings, &id);
	rule = bpf_map_lookup_elem(&cgroup_rules, &id);
	if (!rule)
		return;
	key = *rule;
	bpf_map_delete_elem(&cgroup_rules, &id);
	bpf_map_delete_elem(&drop_configs, &key);
}

#endif
