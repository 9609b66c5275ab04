// SPDX-License-Identifier: GPL-2.0
/*
 * What is asked when a task makes a socket, as a program that a test can run: not every
 * kernel lets programs be attached to functions.
 */
#include "datapath/creation.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("raw_tracepoint")
int creation(__u64 *socket)
{
	int family = socket[0], type = socket[1];

	if (!is_packet_socket(family, type))
		return 0;
	return judge_creation();
}
