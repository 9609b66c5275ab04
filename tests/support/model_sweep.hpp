// SPDX-License-Identifier: GPL-2.0
#pragma once

#include "support/fake_tables.hpp"
#include "support/fake_world.hpp"

namespace egress::test {

/// What the timer of src/datapath/sweep.bpf.h does when it fires, with the same steps: takes the word if it is
/// free or its lease is over, unlinks and clears over rules, and forgets the links of those cleared before.
void sweep_as_the_kernel(FakeTables& tables, const FakeWorld& world);

}  // namespace egress::test
