// SPDX-License-Identifier: GPL-2.0
// Who is measured, and where.
#include <fmt/format.h>

#include "contests.hpp"
#include "destinations.hpp"
#include "sizes.hpp"

namespace egress::bench {
namespace {

void make_cgroup(const std::string& path) {
  test::require(mkdir(path.c_str(), 0755) == 0, "make cgroup", path.c_str());
}

/// Cgroups with the lists, in one instance.
int lay_rules(const Field& field) {
  auto filter = Filter::load(field.instance.get(), {.max_rules = sizes().max_rules});
  if (!filter) fmt::print(stderr, "bench: {}\n", filter.error().message());
  test::require(filter.ok(), "load");
  const auto in = [&](const std::string& path, std::vector<RuleSpec> rules) {
    make_cgroup(field.instance.root().directory() + path);
    if (rules.empty()) return;
    const auto ids = filter->add({Subject{Subject::Kind::Path, path}, std::move(rules), std::nullopt});
    if (!ids) fmt::print(stderr, "bench: {}\n", ids.error().message());
    test::require(ids.ok(), "add rules");
  };
  in("/free", {});
  in("/deadline", drops(exact(Family::V4, 1), std::chrono::hours(10)));
  for (const Family family : {Family::V4, Family::V6}) {
    for (const List& each : judged_lists(family)) in(path_of(each), drops(each.destinations()));
  }
  for (const std::string& upper : {std::string("/free"), path_of({.count = 1})}) {
    for (const char* deeper : {"/1", "/1/2", "/1/2/3", "/1/2/3/4"}) in(upper + deeper, {});
  }
  return program_of(field.instance);
}

Ground::Lpm make_lpm(const Ground& ground, const List& list, std::vector<Attached>& kept) {
  const std::string cgroup = fmt::format("{}/lpm{}", ground.field.peers.directory(), path_of(list).substr(1));
  make_cgroup(cgroup);
  const std::vector<Prefix> denied = list.destinations();
  const double bytes = kernel_bytes(list);
  const double start = cpu_time();
  kept.push_back(attach_lpm(cgroup, denied));
  const double took = (cpu_time() - start) / 1e6;
  return {list, ground.here(cgroup), kept.back().program, took, kernel_bytes(list) - bytes};
}

/// Lists that are only for packets of IPv6: fewer.
bool is_asked(const std::string& who, const List& list) {
  if (who == nft_map) return !list.networks && list.family == Family::V4;
  return true;
}

Stores make_stores(const Ground& ground) {
  Stores stores;
  auto instance = ground.field.present.begin();
  for (const List& list : loaded_lists()) stores.push_back(make_egress(list, *instance++, ground.network));
  for (const std::string who : {nft_set, nft_map, ipset}) {
    for (const Family family : {Family::V4, Family::V6}) {
      for (const List& list : judged_lists(family)) {
        if (!is_asked(who, list)) continue;
        stores.push_back(make_peer(who, list, fmt::format("{}/{}", ground.field.peers.directory(), stores.size())));
      }
    }
  }
  std::erase_if(stores, [](const std::unique_ptr<Store>& each) {
    const double before = kernel_bytes(each->list());
    if (!each->set_up()) return true;
    each->taken_before = kernel_bytes(each->list()) - before;
    return false;
  });
  return stores;
}

}  // namespace

std::string path_of(const List& list) {
  return fmt::format("/{}{}{}", list.networks ? "mixed" : "exact", list.count, list.family == Family::V6 ? "v6" : "");
}

std::vector<List> judged_lists(Family family) {
  std::vector<List> lists;
  if (family == Family::V6) {
    return {{family, false, 1}, {family, false, sizes().most()}, {family, true, sizes().most_mixed()}};
  }
  for (const int count : sizes().exact) lists.push_back({family, false, count});
  for (const int count : sizes().mixed) lists.push_back({family, true, count});
  return lists;
}

std::vector<List> loaded_lists() {
  std::vector<List> lists;
  for (const int count : sizes().exact) lists.push_back({Family::V4, false, count});
  lists.push_back({Family::V4, true, sizes().most_mixed()});
  lists.push_back({Family::V6, false, sizes().most()});
  return lists;
}

Field::Field() {
  test::require(mkdir(lists_directory, 0755) == 0 || errno == EEXIST, "make directory", lists_directory);
  for (std::size_t i = 0; i < loaded_lists().size(); ++i) present.emplace_back(fmt::format("bench-{}", i));
}

Ground::Ground(const Field& made_by_parent)
    : field(made_by_parent), network(make_network()), other_network(make_network()), program(lay_rules(field)) {
  kept.push_back(attach_empty(field.empty.directory()));
  empty_program = kept.back().program;
  for (const Family family : {Family::V4, Family::V6}) {
    for (const List& each : judged_lists(family)) lpms.push_back(make_lpm(*this, each, kept));
  }
  stores = make_stores(*this);
}

std::string Ground::cgroup_of(const List& list) const { return field.instance.root().directory() + path_of(list); }

std::vector<Ground::Judge> Ground::judges(Family family) const {
  std::vector<Judge> all;
  for (const List& each : judged_lists(family)) all.push_back({ours, each, here(cgroup_of(each)), program});
  for (const auto& each : stores) {
    if (each->who() != ours || each->list().family != family) continue;
    all.push_back({alone, each->list(), each->place(), each->program()});
  }
  for (const Lpm& each : lpms) {
    if (each.list.family == family) all.push_back({lpm, each.list, each.place, each.program});
  }
  for (const auto& each : stores) {
    if (each->who() != ours && each->list().family == family) all.push_back({each->who(), each->list(), each->place()});
  }
  return all;
}

std::vector<Ground::Judge> Ground::few_judges() const {
  std::vector<Judge> few = judges(Family::V4);
  std::erase_if(few, [](const Judge& each) {
    const bool extreme = each.list.count == 1 || each.list.count == sizes().most();
    return each.who == alone || !(extreme || each.list.networks);
  });
  return few;
}

}  // namespace egress::bench
