// SPDX-License-Identifier: GPL-2.0
// What whoever changes rules waits for: whole commands, from fork to exit.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "contests.hpp"
#include "destinations.hpp"
#include "sizes.hpp"

namespace egress::bench {
namespace {

const std::string newcomer = "198.51.100.7";
const std::string newcomer6 = "2001:db8::7";

void note(Table& wall, Table& cpu, const std::string& name, const Cost& cost) {
  wall.row(name).values.push_back(cost.wall);
  cpu.row(name).values.push_back(cost.cpu);
}

/// The rows in the order of the lists, each peer against ours.
void prepare(const Ground& ground, CommandTables& tables) {
  for (const List& list : loaded_lists()) {
    const std::string base = name_of(ours, list);
    for (const Ground::Judge& each : ground.judges(list.family)) {
      if (each.list != list || each.who == alone) continue;
      for (Table* table :
           {&tables.load, &tables.load_cpu, &tables.flush, &tables.flush_cpu, &tables.add, &tables.add_cpu,
            &tables.remove, &tables.remove_cpu, &tables.bytes, &tables.own_bytes, &tables.whole, &tables.empty}) {
        table->row(each.name()).base = base;
      }
    }
  }
}

/// A store that lets everything pass would look fast: it must drop what it names, in its cgroup alone.
void check(const Ground& ground, const Place& place, const List& list) {
  const Address denied = List{list.family, list.networks, 1}.destinations().front().address;
  test::require(is_dropped(place, denied), "see a drop by what judges", place.cgroup.c_str());
  test::require(!is_dropped(place, strangers(list.family).front()), "see a stranger pass");
  test::require(!is_dropped({ground.field.none.directory(), place.network}, denied), "see others pass");
  enter(ground.field.none.directory());
}

void flush(Store& store, CommandTables& tables) {
  (void)kernel_bytes(store.list());  // waits until the kernel is done with what was removed before, by whomever
  note(tables.flush, tables.flush_cpu, store.name(), store.flush());
}

void load(Store& store, CommandTables& tables) {
  const double before = kernel_bytes(store.list());
  note(tables.load, tables.load_cpu, store.name(), store.load());
  if (!is_weighed(store.list())) return;
  const double taken = kernel_bytes(store.list()) - before + store.taken_before;
  tables.bytes.row(store.name()).values.push_back(store.a_destination(taken));
}

/// By its own account.
void weigh(Store& store, CommandTables& tables) {
  const auto bytes = static_cast<double>(store.memory());
  if (bytes == 0) return;
  tables.own_bytes.row(store.name()).values.push_back(store.a_destination(bytes));
  tables.whole.row(store.name()).values.push_back(bytes / 1e6);
  if (store.empty().room > 0) tables.empty.row(store.name()).values.push_back(store.empty().bytes / 1e6);
}

using Several = std::vector<Store*>;

/// Lists of one length, loaded in turns; all are full in the end.
void load_in_turns(Several stores, int rounds, CommandTables& tables) {
  std::mt19937 random(1);
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(stores.begin(), stores.end(), random);
    for (Store* each : stores) {
      if (round > 0) flush(*each, tables);
      load(*each, tables);
    }
  }
}

bool is_timed(const List& list) { return std::ranges::count(loaded_lists(), list) > 0; }

void note_lpm(const Ground& ground, CommandTables& tables) {
  for (const Ground::Lpm& each : ground.lpms) {
    if (!is_timed(each.list)) continue;
    const std::string name = name_of(lpm, each.list);
    note(tables.load, tables.load_cpu, name, {each.milliseconds, each.milliseconds});
    if (is_weighed(each.list)) tables.bytes.row(name).values.push_back(each.bytes / each.list.count);
  }
}

Several with_list(const Ground& ground, const List& list) {
  Several found;
  for (const auto& each : ground.stores) {
    if (each->list() == list) found.push_back(each.get());
  }
  return found;
}

}  // namespace

void contest_loads(Ground& ground, CommandTables& tables) {
  enter(ground.field.none.directory());
  prepare(ground, tables);
  for (const auto& each : ground.stores) {
    if (!is_timed(each->list())) (void)each->load();
  }
  for (const List& list : loaded_lists()) {
    const Several stores = with_list(ground, list);
    load_in_turns(stores, sizes().load_rounds(list.count), tables);
    for (Store* each : stores) weigh(*each, tables);
  }
  note_lpm(ground, tables);
  for (const auto& each : ground.stores) check(ground, each->place(), each->list());
  for (const Family family : {Family::V4, Family::V6}) {
    for (const Ground::Judge& each : ground.judges(family)) check(ground, each.place, each.list);
  }
}

void contest_single_rules(const Ground& ground, CommandTables& tables) {
  std::vector<Store*> order;
  for (const auto& each : ground.stores) {
    if (is_timed(each->list()) && !each->list().networks) order.push_back(each.get());
  }
  std::mt19937 random(1);
  for (int round = -1; round < sizes().command_rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (Store* each : order) {
      const std::string to = each->list().family == Family::V4 ? newcomer : newcomer6;
      const Cost adding = each->add(to);
      const Cost removing = each->remove(to);
      if (round < 0) continue;  // warm
      note(tables.add, tables.add_cpu, each->name(), adding);
      note(tables.remove, tables.remove_cpu, each->name(), removing);
    }
  }
}

void contest_last_flush(const Ground& ground, CommandTables& tables) {
  for (const auto& each : ground.stores) {
    if (is_timed(each->list())) flush(*each, tables);
  }
}

}  // namespace egress::bench
