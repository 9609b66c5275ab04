// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <span>

#include "engine/tables.hpp"

/// The filter over all prefixes that lets packets by which meet no rule, and with it those of single sets (covers.hpp)
/// and whether any rule refuses calls (`control.rejects`): what it means is said in drop_egress_by_cgroup.h, how it is
/// asked in datapath/sieve.bpf.h and by the hooks of calls.
namespace egress {

/// Makes packets and calls look for this rule. To be called before it is visible.
void enter_into_sieve(Tables& tables, const egress_rule& rule);

/// Brings what enter_into_sieve() will touch into the caches.
void ask_sieve_for(Tables& tables, const egress_rule& rule);

/// Makes the filter say what the records say, no more. Precondition: no packet that reads an epoch in which
/// a rule without a record was visible is on its way.
void rebuild_sieve(Tables& tables);

/// So many rules went. What is left of them costs packets a little time and decides nothing: rebuild_sieve() is called
/// when it is of a thousandth of all places. Precondition: as there.
void leave_sieve(Tables& tables, std::size_t rules);

/// What rebuild_sieve() does when no rule is left.
void clear_sieve(Tables& tables);

}  // namespace egress
