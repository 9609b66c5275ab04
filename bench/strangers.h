/* SPDX-License-Identifier: GPL-2.0 */
/* Shared with the programs: how many destinations one after the other, a power of two. */
#ifndef EGRESS_BENCH_STRANGERS_H
#define EGRESS_BENCH_STRANGERS_H

#define STRANGERS (1 << 20)

#endif
