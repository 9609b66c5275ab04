// SPDX-License-Identifier: GPL-2.0
/*
 * The hooks. Each builds a flow and a subject and asks match.bpf.h which rule decides.
 *
 * cgroup_skb: 0 drops, 1 passes. sock_addr: 0 is EPERM for the caller, 1 goes on. fmod_ret: 0 goes on, else an errno.
 */
#include "datapath/creation.bpf.h"
#include "datapath/names.bpf.h"
#include "datapath/socket.bpf.h"
#include "datapath/sweep.bpf.h"
#include "datapath/verdict.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * The order of programs here is that of loading: what not every kernel takes comes first,
 * so that a kernel says so before it has verified the others.
 */

#define SKB_DROP 0
#define SKB_PASS 1
#define CALL_EPERM 0
#define CALL_GO_ON 1

#define IPPROTO_MPTCP 262 /* sk_protocol of a multipath TCP socket: TCP on the wire */

/* Runs for every socket of the host. */
SEC("fmod_ret/security_socket_create")
int BPF_PROG(egress_socket, int family, int type, int protocol, int kern, int ret)
{
	if (ret || kern || !is_packet_socket(family, type))
		return ret;
	return judge_creation();
}

/* Run by the loader: starts the sweep timer, or hands it to this program after an upgrade. */
SEC("syscall")
int egress_arm(void *ctx)
{
	__u32 zero = 0;
	struct sweeper *value = bpf_map_lookup_elem(&sweeper, &zero);

	if (!value)
		return 1;
	bpf_timer_init(&value->timer, &sweeper, CLOCK_BOOTTIME); /* -EBUSY: there is one already */
	if (bpf_timer_set_callback(&value->timer, on_timer))
		return 2;
	return bpf_timer_start(&value->timer, 0, 0) ? 3 : 0;
}

/* Run by the library: the kernel's boot clock, whatever time namespace the caller is in. */
SEC("syscall")
int egress_clock(void *ctx)
{
	struct egress_control *control = the_control();

	if (!control)
		return 1;
	control->clock = bpf_ktime_get_boot_ns();
	return 0;
}


/* Dropped for what the packet is, unless no rule decides here anyway. */
static __always_inline __u64 judge_unreadable(struct __sk_buff *skb, const struct subject *subject, __u32 flags)
{
	if (!any_set_decides(subject->id) && !(subject->door && judge_by_door(skb, subject->door, 0, 1)))
		return 0;
	count_reason(flags & FLOW_MALFORMED ? EGRESS_REASON_MALFORMED : EGRESS_REASON_SOURCE_ROUTE);
	return ANSWER(EGRESS_ACTION_DROP, 0);
}

static __always_inline __u64 judge_packet(struct __sk_buff *skb, const struct subject *subject, __u32 epoch,
					  const struct flow *flow, __u64 audited)
{
	__u64 packed = PACKED(flow->flags, flow->proto, flow->port), answer = 0;

	if (flow->flags & (FLOW_MALFORMED | FLOW_SOURCE_ROUTED))
		answer = judge_unreadable(skb, subject, flow->flags);
	if (answer || (flow->flags & FLOW_MALFORMED))
		return answer;
	if (subject->count)
		answer = judge_by_names((__u64)flow->addr[1] << 32 | flow->addr[0],
					(__u64)flow->addr[3] << 32 | flow->addr[2], (__u64)epoch << 32 | packed,
					subject->id, audited);
	if (!answer && subject->door)
		answer = judge_by_door(skb, subject->door, (__u64)flow->addr[0] << 32 | packed, 0);
	return answer;
}

/* One attempt; a function of its own so that the verifier sees it once. */
__noinline int judge_skb(struct __sk_buff *skb, __u64 id)
{
	struct egress_control *control = the_control();
	struct subject subject = {.id = id};
	struct flow flow = {};
	__u64 when, answer, audited;

	if (!control)
		return SKB_PASS; /* an array of one entry: cannot be */
	when = when_of(*(volatile __u32 *)&control->epoch);
	if (!subject.id)
		subject.id = root_id; /* somewhere in the subtree, or this hook would not run */
	subject.entry = cache_slot(subject.id);
	if (!subject.entry)
		return SKB_PASS; /* an array index within bounds: cannot be */
	if (!recall(&subject, when)) {
		walk_packet(skb, subject.id, when);
		return TRY_AGAIN;
	}
	if (subject.count && !subject.door && !is_noted(subject.entry, subject.id, when))
		note_the_rest(subject.id, when);
	if (!subject.count && !subject.door)
		return SKB_PASS;

	read_flow(skb, &flow);
	audited = (__u64)segments_of(skb) << 32 | (__u32)wire_bytes(skb, 0, flow.flags & FLOW_V6, flow.proto);
	answer = subject.count > EGRESS_SETS_OF_PACKET ? limit_exceeded()
						       : judge_packet(skb, &subject, when >> 32, &flow, audited);
	if (!undisturbed(&subject))
		return TRY_AGAIN;
	print_verdict(subject.id, answer);
	count_oddities(flow.flags, answer);
	if (!answer)
		return SKB_PASS;
	count_drop(answer, &(struct amount){.packets = audited >> 32, .bytes = (__u32)audited});
	return SKB_DROP;
}

__noinline int drop_torn(struct __sk_buff *skb)
{
	struct amount amount = {.packets = segments_of(skb)};
	struct flow flow = {};

	read_flow(skb, &flow);
	amount.bytes = wire_bytes(skb, 0, flow.flags & FLOW_V6, flow.proto);
	count_reason(EGRESS_REASON_TORN);
	count_drop(ANSWER(EGRESS_ACTION_DROP, 0), &amount);
	return SKB_DROP;
}

/*
 * A packet of the common kind that meets a rule, of a cgroup that only one set can judge. Without the functions of the
 * long way below it, for the stack. TRY_AGAIN: the long way.
 */
__noinline int judge_common(struct __sk_buff *skb, __u64 id, __u64 when)
{
	volatile struct cache_entry *entry = cache_slot(id);
	struct amount amount = {};
	struct flow flow = {};
	__u32 set, since;
	__u64 packed, answer;

	if (!entry)
		return TRY_AGAIN;
	set = entry->sole.set;
	since = entry->sole.since;
	if (!set || entry->sole.sum != sum_of_words(id, when, SUM_SOLE, set, since))
		return TRY_AGAIN;
	packed = read_plain(skb, &flow);
	if (!packed)
		return TRY_AGAIN;
	packed = forgotten(packed, id);
	answer = judge_at_once(forgotten((__u64)flow.addr[1] << 32 | flow.addr[0], id),
			       forgotten((__u64)flow.addr[3] << 32 | flow.addr[2], id),
			       (when & ~(__u64)U32_MAX) | packed, set, since);
	if (!answer)
		return SKB_PASS;
	if (answer == LONG_WAY)
		return TRY_AGAIN;
	amount.packets = segments_of(skb);
	amount.bytes = wire_bytes(skb, 0, packed & FLOW_V6, packed >> 8);
	if (ANSWER_ACTION(answer) == EGRESS_ACTION_ALLOW) {
		count_rule(EGRESS_COUNTER_RULE | ANSWER_RULE(answer), &amount);
		return SKB_PASS;
	}
	print_verdict(id, answer);
	count_drop(answer, &amount);
	return SKB_DROP;
}

static __always_inline int filter_packet(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct drop_stats *totals = bpf_map_lookup_elem(&stats, &zero);
	struct egress_control *control = the_control();
	__u64 id = cgroup_of_packet(skb);
	struct cache_entry *entry = cache_slot(id);
	int verdict;
	__u64 when;

	if (!LIKELY(totals && control && entry))
		return SKB_PASS; /* arrays, and indices within them: cannot be */
	totals->packets_processed += segments_of(skb);
	when = when_of(*(volatile __u32 *)&control->epoch);
	asm volatile("" : "+r"(id)); /* its product is made after that call: one value less to keep across it */
	/* Nearly every packet: of a cgroup that no rule names, or to where no rule points. */
	if (has_no_rules(entry, id, when) || passes_sieve(skb, entry, id, when))
		return SKB_PASS;
	verdict = judge_common(skb, id, when);
	for (int attempt = 0; attempt < ATTEMPTS && verdict == TRY_AGAIN; attempt++)
		verdict = judge_skb(skb, id);
	if (verdict == TRY_AGAIN)
		return drop_torn(skb);
	return verdict == SKB_PASS ? SKB_PASS : SKB_DROP;
}

SEC("cgroup_skb/egress")
int egress_skb(struct __sk_buff *skb)
{
	return filter_packet(skb);
}

/*
 * Receivers on this host get their copy of a multicast or broadcast datagram from a
 * clone that meets no packet hook: such sends must end at the system call.
 */
static __always_inline bool is_for_many(__be32 first, bool v6)
{
	if (v6)
		return (first & bpf_htonl(0xFF000000)) == bpf_htonl(0xFF000000);
	return (first & bpf_htonl(0xF0000000)) == bpf_htonl(0xE0000000) || first == U32_MAX;
}

/* Which unicast-looking IPv4 addresses are broadcast, routing knows; only such sockets may send there. */
static __always_inline bool may_broadcast(__u64 socket_flags)
{
	return socket_flags & (1ul << bpf_core_enum_value(enum sock_flags, SOCK_BROADCAST));
}

static __always_inline bool has_local_copies(struct sock *sk, const struct flow *flow)
{
	if (is_for_many(flow->addr[0], flow->flags & FLOW_V6))
		return true;
	return !(flow->flags & FLOW_V6) && may_broadcast(BPF_CORE_READ(sk, __sk_common.skc_flags));
}

static __always_inline __u64 judge_flow(struct cgroup *cgroup, const struct subject *subject, __u32 epoch,
					const struct flow *flow)
{
	__u64 packed = PACKED(flow->flags, flow->proto, flow->port), answer = 0;

	if (subject->count)
		answer = judge_by_names((__u64)flow->addr[1] << 32 | flow->addr[0],
					(__u64)flow->addr[3] << 32 | flow->addr[2], (__u64)epoch << 32 | packed,
					subject->id, 0);
	if (!answer && subject->door)
		answer = judge_origin_by_door((__u64)cgroup, subject->door,
					      (__u64)flow->addr[0] << 32 | packed, 0);
	return answer;
}

/* Whether the call itself must fail; else the packet hook says what becomes of the packets. */
static __always_inline bool refuses(__u64 answer, struct sock *sk, const struct flow *flow)
{
	return ANSWER_ACTION(answer) == EGRESS_ACTION_REJECT ||
	       (ANSWER_ACTION(answer) == EGRESS_ACTION_DROP && has_local_copies(sk, flow));
}

/*
 * One attempt; a function of its own so that the verifier sees it once, whatever the family. addr01, addr23: where
 * to, in network byte order; flags: FLOW_V6 or 0.
 */
__noinline int judge_call(struct bpf_sock_addr *ctx, __u64 addr01, __u64 addr23, __u32 flags)
{
	struct flow flow = {.addr = {addr01, addr01 >> 32, addr23, addr23 >> 32}, .flags = flags & FLOW_V6};
	struct egress_control *control = the_control();
	struct sock *sk = plain_socket(ctx->sk);
	struct cgroup *cgroup = sk ? cgroup_of(sk) : NULL;
	struct subject subject = {};
	struct amount refused = {.denied = 1};
	__u64 when, answer;

	if (!control || !cgroup)
		return CALL_GO_ON; /* the packet hook decides */
	flow.proto = ctx->protocol == IPPROTO_MPTCP ? PROTO_TCP : ctx->protocol;
	if (has_ports(flow.proto)) {
		flow.port = bpf_ntohs(ctx->user_port);
		flow.flags |= FLOW_PORTS;
	}
	when = when_of(*(volatile __u32 *)&control->epoch);
	subject.id = BPF_CORE_READ(cgroup, kn, id);
	subject.entry = cache_slot(subject.id);
	if (!subject.entry)
		return CALL_GO_ON;
	if (!recall(&subject, when)) {
		walk_origin((__u64)cgroup, subject.id, when);
		return TRY_AGAIN;
	}
	if ((!subject.count && !subject.door) || subject.count > EGRESS_SETS_OF_PACKET)
		return CALL_GO_ON;
	answer = judge_flow(cgroup, &subject, when >> 32, &flow);
	if (!undisturbed(&subject))
		return TRY_AGAIN;
	if (!refuses(answer, sk, &flow))
		return CALL_GO_ON;
	print_verdict(subject.id, answer);
	if (ANSWER_RULE(answer) && !(answer >> 32 & ANSWER_SILENT))
		count_rule(counter_of(answer), &refused);
	return CALL_EPERM;
}

/*
 * Whether the packet hook alone decides, whatever the rules say: none rejects, and no datagram has local copies.
 * False where the socket cannot be looked at without a call of a helper.
 */
static __always_inline bool is_left_to_packets(struct bpf_sock_addr *call, const struct egress_control *control,
					       __be32 first, bool v6)
{
	struct sock *sk = socket_of_call(call);

	return sk && !is_for_many(first, v6) && !may_broadcast(sk->__sk_common.skc_flags) &&
	       !*(volatile __u32 *)&control->rejects;
}

/* Nearly every call: of a cgroup that no rule names, or to where no rule points. */
static __always_inline bool is_common_call(struct bpf_sock_addr *ctx, __u64 addr01, __u64 addr23, __u32 flags)
{
	struct egress_control *control = the_control();
	struct cache_entry *entry;
	__u64 id, when;

	if (!control)
		return false;
	if (is_left_to_packets(ctx, control, addr01, flags & FLOW_V6))
		return true;
	id = cgroup_of_call(ctx);
	entry = cache_slot(id);
	if (!id || !entry)
		return false;
	when = when_of(*(volatile __u32 *)&control->epoch);
	return has_no_rules(entry, id, when) || meets_none(entry, id, when, addr01, addr23, flags & FLOW_V6);
}

static __always_inline int judge_address(struct bpf_sock_addr *ctx, __u64 addr01, __u64 addr23, __u32 flags)
{
	if (is_common_call(ctx, addr01, addr23, flags))
		return CALL_GO_ON;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int verdict = judge_call(ctx, addr01, addr23, flags);

		if (verdict != TRY_AGAIN)
			return verdict == CALL_EPERM ? CALL_EPERM : CALL_GO_ON;
	}
	return CALL_GO_ON; /* the packet hook decides */
}

static __always_inline int judge_call4(struct bpf_sock_addr *ctx)
{
	return judge_address(ctx, ctx->user_ip4, 0, 0);
}

static __always_inline int judge_call6(struct bpf_sock_addr *ctx)
{
	__be32 a0 = ctx->user_ip6[0], a1 = ctx->user_ip6[1], a2 = ctx->user_ip6[2], a3 = ctx->user_ip6[3];
	bool mapped = !a0 && !a1 && a2 == bpf_htonl(0xFFFF); /* ::ffff:a.b.c.d leaves as IPv4 */

	return judge_address(ctx, mapped ? a3 : (__u64)a1 << 32 | a0, mapped ? 0 : (__u64)a3 << 32 | a2,
			     mapped ? 0 : FLOW_V6);
}

SEC("cgroup/connect4")
int egress_connect4(struct bpf_sock_addr *ctx)
{
	return judge_call4(ctx);
}

SEC("cgroup/connect6")
int egress_connect6(struct bpf_sock_addr *ctx)
{
	return judge_call6(ctx);
}

SEC("cgroup/sendmsg4")
int egress_sendmsg4(struct bpf_sock_addr *ctx)
{
	return judge_call4(ctx);
}

SEC("cgroup/sendmsg6")
int egress_sendmsg6(struct bpf_sock_addr *ctx)
{
	return judge_call6(ctx);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(egress_mkdir, struct cgroup *cgroup)
{
	if (is_v2(cgroup))
		bind_name(cgroup);
	return 0;
}

SEC("tp_btf/cgroup_release")
int BPF_PROG(egress_release, struct cgroup *cgroup)
{
	if (is_v2(cgroup))
		forget_cgroup(cgroup);
	return 0;
}
