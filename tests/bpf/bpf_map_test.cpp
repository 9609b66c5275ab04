// SPDX-License-Identifier: GPL-2.0
#include "sys/bpf_map.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

namespace egress {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

struct Pair {
  u64 first;
  u64 second;
};

struct Wanted {
  bpf_map_type type = BPF_MAP_TYPE_HASH;
  u32 key_size = sizeof(u32);
  u32 value_size = sizeof(u64);
  u32 entries = 8;
  u32 flags = 0;
};

Fd create(const Wanted& wanted) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = wanted.flags);
  Fd fd(bpf_map_create(wanted.type, "egress_test", wanted.key_size, wanted.value_size, wanted.entries, &options));
  EXPECT_TRUE(fd.valid()) << "bpf_map_create: errno " << errno;
  return fd;
}

HashMap<u32, u64> hash_of(u32 entries, u32 flags = 0) {
  auto map = HashMap<u32, u64>::adopt(create({.entries = entries, .flags = flags}));
  EXPECT_TRUE(map.ok()) << map.error().message();
  return *std::move(map);
}

TEST(HashMap, GivesBackWhatWasPut) {
  auto map = hash_of(8);
  ASSERT_TRUE(map.put(0x1234, 0x56789abcdef).ok());
  const auto found = map.get(0x1234);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, 0x56789abcdefu);
}

TEST(HashMap, ReplacesTheValueOfAKey) {
  auto map = hash_of(1);
  ASSERT_TRUE(map.put(7, 1).ok());
  ASSERT_TRUE(map.put(7, 2).ok());
  EXPECT_EQ(*map.get(7), 2u);
}

TEST(HashMap, FindsNothingUnderAKeyThatWasNeverPut) {
  const auto found = hash_of(8).get(7);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
}

TEST(HashMap, ErasesAKeyAndIsContentWhenThereIsNone) {
  auto map = hash_of(8);
  ASSERT_TRUE(map.put(7, 1).ok());
  ASSERT_TRUE(map.erase(7).ok());
  EXPECT_FALSE(map.get(7)->has_value());
  EXPECT_TRUE(map.erase(7).ok());
}

TEST(HashMap, SaysHowManyEntriesAFullTableHasAndWhatToDo) {
  auto map = hash_of(3);
  Result<void> put;
  for (u32 key = 1; key <= 4 && put.ok(); ++key) put = map.put(key, key);
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().code, E2BIG);
  EXPECT_EQ(put.error().cause, "rule table full (3 entries)");
  EXPECT_NE(put.error().remedy.find("egress load --max-rules"), std::string::npos) << put.error().message();
  EXPECT_TRUE(map.put(1, 9).ok()) << "a key that is there can still be replaced";
}

TEST(HashMap, RefusesAMapOfOtherSizes) {
  const auto keys = HashMap<u64, u64>::adopt(create({}));
  ASSERT_FALSE(keys.ok());
  EXPECT_NE(keys.error().message().find("keys have 4 bytes instead of 8"), std::string::npos) << keys.error().message();
  const auto values = HashMap<u32, Pair>::adopt(create({}));
  ASSERT_FALSE(values.ok());
  EXPECT_NE(values.error().message().find("values have 8 bytes instead of 16"), std::string::npos);
}

TEST(HashMap, RefusesWhatIsNoMap) {
  const auto map = HashMap<u32, u64>::adopt(Fd());
  ASSERT_FALSE(map.ok());
  EXPECT_NE(map.error().code, 0);
}

TEST(HashMap, ListsAnEmptyMap) {
  const auto all = hash_of(8).entries();
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all->empty());
}

TEST(HashMap, ListsEveryEntryOnce) {
  for (const u32 flags : {0u, u32{BPF_F_NO_PREALLOC}}) {
    auto map = hash_of(20000, flags);  // more than fit in one batch
    std::set<std::pair<u32, u64>> expected;
    for (u32 key = 1; key <= 15000; ++key) {
      ASSERT_TRUE(map.put(key, key * 3ull).ok());
      expected.emplace(key, key * 3ull);
    }
    const auto all = map.entries();
    ASSERT_TRUE(all.ok()) << all.error().message();
    EXPECT_EQ(all->size(), expected.size());
    EXPECT_EQ((std::set<std::pair<u32, u64>>(all->begin(), all->end())), expected);
  }
}

TEST(RawMap, ListsTheSameByBatchAndByKey) {
  auto map = RawMap::adopt(create({.entries = 3000}));
  ASSERT_TRUE(map.ok());
  for (u32 key = 0; key < 2500; ++key) {
    const u64 value = key ^ 0x5555u;
    ASSERT_TRUE(map->put(&key, &value, RawMap::Put::Any).ok());
  }
  const auto list = [](auto& into) {
    return [&into](const std::byte* key, const std::byte* value) {
      u32 k;
      u64 v;
      std::memcpy(&k, key, sizeof k);
      std::memcpy(&v, value, sizeof v);
      into.emplace_back(k, v);
    };
  };
  std::vector<std::pair<u32, u64>> batch, keys;
  ASSERT_TRUE(map->visit_by_batch(list(batch)).ok());
  ASSERT_TRUE(map->visit_by_key(list(keys)).ok());
  std::sort(batch.begin(), batch.end());
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(batch.size(), 2500u);
  EXPECT_EQ(batch, keys);
}

/// What stays must be listed, exactly once, while others come and go all the time (failure K5).
TEST(RawMap, ListsWhatStaysWhileOthersAreDeleted) {
  const Fd shared = create({.entries = 4000});
  auto map = RawMap::adopt(*shared.duplicate());
  ASSERT_TRUE(map.ok());
  const u64 value = 1;
  for (u32 key = 0; key < 500; ++key) ASSERT_TRUE(map->put(&key, &value, RawMap::Put::Any).ok());
  std::atomic<bool> stop = false;
  std::thread churn([&] {
    for (u32 i = 0; !stop; ++i) {
      const u32 key = 1000 + i % 1000;
      bpf_map_update_elem(shared.get(), &key, &value, BPF_ANY);
      bpf_map_delete_elem(shared.get(), &key);
    }
  });
  for (int round = 0; round < 20; ++round) {
    for (const bool batch : {true, false}) {
      std::multiset<u32> stayed;
      const auto note = [&stayed](const std::byte* key, const std::byte*) {
        u32 k;
        std::memcpy(&k, key, sizeof k);
        if (k < 500) stayed.insert(k);
      };
      const auto done = batch ? map->visit_by_batch(note) : map->visit_by_key(note);
      EXPECT_TRUE(done.ok()) << done.error().message();
      EXPECT_EQ(stayed.size(), 500u) << (batch ? "by batch" : "by key");
      EXPECT_EQ((std::set<u32>(stayed.begin(), stayed.end()).size()), 500u);
    }
  }
  stop = true;
  churn.join();
}

// Maps of devices have no batch in any kernel so far.
TEST(RawMap, FallsBackToKeysForAMapWithoutBatch) {
  auto map = RawMap::adopt(create({.type = BPF_MAP_TYPE_DEVMAP_HASH, .value_size = sizeof(u32), .entries = 4}));
  const u32 key = 3, device = ::if_nametoindex("lo");
  ASSERT_TRUE(map.ok());
  ASSERT_TRUE(map->put(&key, &device, RawMap::Put::Any).ok());
  ASSERT_FALSE(map->visit_by_batch([](const std::byte*, const std::byte*) {}).ok());
  std::vector<u32> visited;
  const auto done =
      map->visit([&](const std::byte* at, const std::byte*) { std::memcpy(&visited.emplace_back(), at, sizeof key); });
  EXPECT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(visited, std::vector<u32>{key});
}

PerCpuMap<u64, Pair> per_cpu(u32 entries) {
  auto map = PerCpuMap<u64, Pair>::adopt(create({.type = BPF_MAP_TYPE_PERCPU_HASH,
                                                 .key_size = sizeof(u64),
                                                 .value_size = sizeof(Pair),
                                                 .entries = entries,
                                                 .flags = BPF_F_NO_PREALLOC}));
  EXPECT_TRUE(map.ok());
  return *std::move(map);
}

// The kernel writes a value for every possible CPU, online or not.
TEST(PerCpuMap, K2SumsOverAllPossibleCpus) {
  const Fd shared = create({.type = BPF_MAP_TYPE_PERCPU_ARRAY, .value_size = sizeof(Pair), .entries = 1});
  const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
  ASSERT_EQ(*possible_cpus(), cpus);
  std::vector<Pair> values(cpus);
  Pair expected{};
  for (std::size_t cpu = 0; cpu < cpus; ++cpu) {
    values[cpu] = {cpu + 1, (cpu + 1) * 100};
    expected.first += cpu + 1;
    expected.second += (cpu + 1) * 100;
  }
  const u32 key = 0;
  ASSERT_EQ(bpf_map_update_elem(shared.get(), &key, values.data(), BPF_ANY), 0);
  auto map = PerCpuMap<u32, Pair>::adopt(*shared.duplicate());
  ASSERT_TRUE(map.ok());
  const auto sum = map->sum(0);
  ASSERT_TRUE(sum.ok() && sum->has_value());
  EXPECT_EQ((*sum)->first, expected.first);
  EXPECT_EQ((*sum)->second, expected.second);
}

TEST(PerCpuMap, StartsAtZeroAndEndsWithItsKey) {
  auto map = per_cpu(4);
  EXPECT_FALSE(map.sum(9)->has_value());
  ASSERT_TRUE(map.create(9).ok());
  EXPECT_EQ((*map.sum(9))->second, 0u);
  ASSERT_TRUE(map.erase(9).ok());
  EXPECT_FALSE(map.sum(9)->has_value());
  EXPECT_TRUE(map.erase(9).ok());
}

TEST(PerCpuMap, KeepsTheCountsOfAKeyThatIsCreatedTwice) {
  const Fd shared = create({.type = BPF_MAP_TYPE_PERCPU_HASH, .key_size = sizeof(u64), .value_size = sizeof(Pair)});
  auto map = PerCpuMap<u64, Pair>::adopt(*shared.duplicate());
  const std::vector<Pair> values(*possible_cpus(), Pair{5, 6});
  const u64 key = 9;
  ASSERT_EQ(bpf_map_update_elem(shared.get(), &key, values.data(), BPF_ANY), 0);
  ASSERT_TRUE(map->create(9).ok());
  EXPECT_EQ((*map->sum(9))->first, 5 * values.size());
}

TEST(PerCpuMap, SaysWhenItIsFull) {
  auto map = per_cpu(1);
  ASSERT_TRUE(map.create(1).ok());
  const auto second = map.create(2);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, E2BIG);
}

struct Record {
  u32 id;
  u32 words[5];
};

TEST(MappedArray, ShowsWhatASystemCallWroteAndTheOtherWayRound) {
  const Fd fd =
      create({.type = BPF_MAP_TYPE_ARRAY, .value_size = sizeof(Record), .entries = 1000, .flags = BPF_F_MMAPABLE});
  auto array = MappedArray<Record>::map(fd, MappedMemory::Access::ReadWrite);
  ASSERT_TRUE(array.ok()) << array.error().message();
  ASSERT_EQ(array->span().size(), 1000u);
  const u32 last = 999, middle = 500;
  const Record record{.id = 77, .words = {1, 2, 3, 4, 5}};
  ASSERT_EQ(bpf_map_update_elem(fd.get(), &last, &record, BPF_ANY), 0);
  EXPECT_EQ(array->span()[last].words[4], 5u);
  array->span()[middle].id = 88;
  Record read{};
  ASSERT_EQ(bpf_map_lookup_elem(fd.get(), &middle, &read), 0);
  EXPECT_EQ(read.id, 88u);
}

TEST(MappedArray, OutlivesTheDescriptorAndMoves) {
  auto array = [] {
    return MappedArray<u64>::map(create({.type = BPF_MAP_TYPE_ARRAY, .entries = 3, .flags = BPF_F_MMAPABLE}),
                                 MappedMemory::Access::ReadWrite);
  }();
  ASSERT_TRUE(array.ok());
  array->span()[2] = 0x1234;
  const auto moved = *std::move(array);
  EXPECT_EQ(moved.span()[2], 0x1234u);
}

TEST(LazyArray, IsTheSameMemoryInEveryPartAndAsAWhole) {
  constexpr u32 entries = 200001;  // 1.6 MB: the last part is not a whole one
  const Fd fd = create({.type = BPF_MAP_TYPE_ARRAY, .entries = entries, .flags = BPF_F_MMAPABLE});
  const auto value_of = [&fd](u32 key) {
    u64 value = 0;
    EXPECT_EQ(bpf_map_lookup_elem(fd.get(), &key, &value), 0) << "errno " << errno;
    return value;
  };
  auto array = LazyArray<u64>::map(fd, MappedMemory::Access::ReadWrite);
  ASSERT_TRUE(array.ok()) << array.error().message();
  const auto parts = array->places();
  ASSERT_EQ(parts.size(), entries);
  u64& early = parts[40000];
  for (const u32 at : {0u, 32767u, 32768u, 40000u, 131072u, 200000u}) {
    parts[at] = 0x1234 + at;
    EXPECT_EQ(value_of(at), 0x1234u + at) << at;
  }
  auto moved = *std::move(array);
  const auto whole = moved.places().whole();
  ASSERT_EQ(whole.size(), entries);
  EXPECT_EQ(&whole[40000], &early);  // a reference into a part stays one
  early = 0x77;
  EXPECT_EQ(value_of(40000), 0x77u);
  for (const u32 at : {0u, 32767u, 32768u, 131072u, 200000u}) EXPECT_EQ(whole[at], 0x1234u + at) << at;
  EXPECT_EQ(whole[199999], 0u);
}

TEST(LazyArray, RefusesAnArrayThatCannotBeMapped) {
  const auto array = LazyArray<u64>::map(create({.type = BPF_MAP_TYPE_ARRAY}), MappedMemory::Access::ReadWrite);
  ASSERT_FALSE(array.ok());
}

TEST(MappedArray, RefusesAnArrayThatCannotBeMapped) {
  const auto array = MappedArray<u64>::map(create({.type = BPF_MAP_TYPE_ARRAY}), MappedMemory::Access::ReadWrite);
  ASSERT_FALSE(array.ok());
  EXPECT_NE(array.error().message().find("egress_test"), std::string::npos) << array.error().message();
}

TEST(MappedArray, CannotBeStoredIntoWhenMappedForReading) {
  const Fd fd = create({.type = BPF_MAP_TYPE_ARRAY, .entries = 3, .flags = BPF_F_MMAPABLE});
  const auto array = MappedArray<u64>::map(fd, MappedMemory::Access::Read);
  ASSERT_TRUE(array.ok()) << array.error().message();
  EXPECT_EQ(array->span()[2], 0u);
  EXPECT_DEATH(array->span()[2] = 1, "");
}

}  // namespace
}  // namespace egress
