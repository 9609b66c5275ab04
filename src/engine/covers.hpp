// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/tables.hpp"

/// The bitmaps of single sets: what they mean is said at `covers` in drop_egress_by_cgroup.h, how they are asked in
/// datapath/sieve.bpf.h. A set without one is asked for in the sieve alone, which costs more and decides the same.
namespace egress {

/// 0: none, or none that can be.
[[nodiscard]] std::uint32_t cover_of(const egress_set& set);

/// Gives a set to which this many rules come the cover it needs, if there is room: one of its own when these
/// are its first rules, a larger one when it has outgrown its own. Every rule with a record is in it. Returns the
/// former one, or 0: packets may go by it until the next flip, so it is to be cleared after that.
[[nodiscard]] std::uint32_t fit_cover(Tables& tables, std::uint32_t set, std::size_t added);

/// Precondition: the rule is not visible yet.
void enter_into_cover(Tables& tables, const egress_rule& rule);

/// Makes the covers of all sets say what the records say, no more. Precondition: that of rebuild_sieve().
void rebuild_covers(Tables& tables);

/// Precondition: no packet goes by it, or none of the rules is in force whose packets do.
void clear_cover(Tables& tables, std::uint32_t cover);

/// Clears what belongs to no set: a writer that failed after it had given a set a larger cover leaves the former one.
/// Precondition: none of the packets under way has read an epoch that is not later than that writer.
void clear_lost_covers(Tables& tables);

}  // namespace egress
