// SPDX-License-Identifier: GPL-2.0
#include "sys/bpf_map.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string_view>
#include <thread>
#include <unordered_set>

namespace egress {
namespace {

/// Runs one call of libbpf and returns the errno behind its failure, 0 for success. Versions differ in
/// whether they return -1 or -errno; all of them set errno.
template <typename Call>
int code_of(Call&& call) {
  errno = 0;
  const int result = call();
  const int err = errno;
  if (result >= 0) return 0;
  return err != 0 ? err : -result;
}

}  // namespace

Result<MapInfo> map_info(int map_fd) {
  bpf_map_info raw{};
  __u32 length = sizeof raw;
  const int err = code_of([&] { return bpf_obj_get_info_by_fd(map_fd, &raw, &length); });
  if (err != 0) return system_error("ask about a map", {}, err);
  return MapInfo{.name = std::string(raw.name, ::strnlen(raw.name, sizeof raw.name)),
                 .id = raw.id,
                 .type = raw.type,
                 .key_size = raw.key_size,
                 .value_size = raw.value_size,
                 .max_entries = raw.max_entries,
                 .flags = raw.map_flags};
}

Result<std::size_t> possible_cpus() {
  const int count = libbpf_num_possible_cpus();
  if (count <= 0) return system_error("count possible CPUs", "/sys/devices/system/cpu/possible", -count);
  return static_cast<std::size_t>(count);
}

Result<void> check_sizes(const MapInfo& info, std::size_t key_size, std::size_t value_size) {
  const auto wrong = [&info](std::string_view what, std::size_t is, std::size_t wanted) {
    return Error{.operation = "open map",
                 .object = "'" + info.name + "'",
                 .cause = "its " + std::string(what) + " have " + std::to_string(is) + " bytes instead of " +
                          std::to_string(wanted),
                 .remedy = {}};
  };
  if (info.key_size != key_size) return wrong("keys", info.key_size, key_size);
  if (info.value_size != value_size) return wrong("values", info.value_size, value_size);
  return {};
}

Result<RawMap> RawMap::adopt(Fd fd) {
  auto info = map_info(fd.get());
  if (!info) return std::move(info).error();
  std::size_t value_bytes = info->value_size;
  if (info->type == BPF_MAP_TYPE_PERCPU_HASH || info->type == BPF_MAP_TYPE_PERCPU_ARRAY) {
    auto cpus = possible_cpus();
    if (!cpus) return std::move(cpus).error();
    value_bytes = (value_bytes + 7) / 8 * 8 * *cpus;
  }
  return RawMap(std::move(fd), *std::move(info), value_bytes);
}

Error RawMap::failure(const char* operation, int code) const {
  if (code != E2BIG) return system_error(operation, "map '" + info_.name + "'", code);
  const bool of_template = info_.name == "drop_configs" || info_.name == "cgroup_rules";
  return Error{.operation = operation,
               .object = "map '" + info_.name + "'",
               .cause = "rule table full (" + std::to_string(info_.max_entries) + " entries)",
               .remedy = std::string("remove rules, or make room for more: egress load ") +
                         (of_template ? "--max-map-rules N" : "--max-rules N"),
               .code = code};
}

Result<bool> RawMap::get(const void* key, void* value) const {
  const int err = code_of([&] { return bpf_map_lookup_elem(fd_.get(), key, value); });
  if (err == ENOENT) return false;
  if (err != 0) return failure("read", err);
  return true;
}

Result<bool> RawMap::put(const void* key, const void* value, Put how) const {
  // Maps that allocate on demand may run out of their per-CPU reserve although memory is free (ENOMEM); it
  // is filled up again by a worker within milliseconds.
  constexpr int attempts = 6;
  const std::uint64_t flags = how == Put::IfAbsent ? BPF_NOEXIST : BPF_ANY;
  int err = 0;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    err = code_of([&] { return bpf_map_update_elem(fd_.get(), key, value, flags); });
    if (err == 0) return true;
    if (err == EEXIST && how == Put::IfAbsent) return false;
    if (err != ENOMEM && err != EBUSY && err != EAGAIN) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1 << attempt));
  }
  return failure("write", err);
}

Result<void> RawMap::erase(const void* key) const {
  const int err = code_of([&] { return bpf_map_delete_elem(fd_.get(), key); });
  if (err != 0 && err != ENOENT) return failure("delete from", err);
  return {};
}

Result<void> RawMap::visit(const Visitor& visitor) const {
  // A map without batch says so before it has shown any entry, so nothing is visited twice.
  auto done = visit_by_batch(visitor);
  constexpr int not_supported = 524;  // ENOTSUPP, which the kernel leaks
  if (done || (done.error().code != EINVAL && done.error().code != not_supported && done.error().code != EOPNOTSUPP)) {
    return done;
  }
  return visit_by_key(visitor);
}

Result<void> RawMap::visit_by_batch(const Visitor& visitor) const {
  const std::size_t key_size = info_.key_size;
  const std::size_t value_size = value_bytes_;
  std::size_t room = std::min<std::size_t>(info_.max_entries, 4096);
  std::vector<std::byte> keys, values;
  // The cursor is a bucket number for hashes and a key for the other types.
  std::vector<std::byte> cursor(std::max<std::size_t>(key_size, 8)), next(cursor.size());
  bool first = true;
  for (;;) {
    keys.resize(room * key_size);
    values.resize(room * value_size);
    auto count = static_cast<__u32>(room);
    const int err = code_of([&] {
      return bpf_map_lookup_batch(fd_.get(), first ? nullptr : cursor.data(), next.data(), keys.data(), values.data(),
                                  &count, nullptr);
    });
    if (err == ENOSPC && room < info_.max_entries) {  // a bucket with more entries than there is room for
      room = std::min<std::size_t>(info_.max_entries, room * 2);
      continue;
    }
    if (err != 0 && err != ENOENT) return failure("list", err);
    for (std::size_t i = 0; i < count; ++i) visitor(&keys[i * key_size], &values[i * value_size]);
    if (err == ENOENT) return {};
    first = false;
    cursor.swap(next);
  }
}

Result<void> RawMap::visit_by_key(const Visitor& visitor) const {
  // When the key we stand at is deleted meanwhile, the kernel starts over: skip what was seen, and give up
  // only if that happens more often than any sane rate of change can bring about.
  const std::uint64_t limit = 16ull * info_.max_entries + 1024;
  std::unordered_set<std::string> seen;
  std::string key(info_.key_size, '\0'), next(info_.key_size, '\0');
  std::vector<std::byte> value(value_bytes_);
  const auto bytes = [](const std::string& text) { return reinterpret_cast<const std::byte*>(text.data()); };
  for (std::uint64_t step = 0; step < limit; ++step) {
    const void* from = step == 0 ? nullptr : key.data();
    const int err = code_of([&] { return bpf_map_get_next_key(fd_.get(), from, next.data()); });
    if (err == ENOENT) return {};
    if (err != 0) return failure("list", err);
    key = next;
    if (!seen.insert(key).second) continue;
    auto found = get(key.data(), value.data());
    if (!found) return std::move(found).error();
    if (*found) visitor(bytes(key), value.data());
  }
  return failure("list", EAGAIN);
}

Result<MappedMemory> MappedMemory::map(int map_fd, std::size_t length, Access access) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t whole = (length + page - 1) / page * page;
  const int protection = access == Access::Read ? PROT_READ : PROT_READ | PROT_WRITE;
  void* data = ::mmap(nullptr, whole, protection, MAP_SHARED, map_fd, 0);
  const int err = errno;
  if (data == MAP_FAILED) return system_error({}, {}, err);
  return MappedMemory(data, whole);
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), length_(std::exchange(other.length_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(length_, other.length_);
  return *this;
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, length_);
}

Result<LazyMemory> LazyMemory::map(Fd fd, std::size_t length, MappedMemory::Access access) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t whole = (length + page - 1) / page * page;
  LazyMemory memory(std::move(fd), whole, access == MappedMemory::Access::Read ? PROT_READ : PROT_READ | PROT_WRITE);
  void* data = ::mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int err = errno;
  if (data == MAP_FAILED) return system_error({}, {}, err);
  memory.data_ = static_cast<std::byte*>(data);
  err = memory.try_map(0, std::min(part, whole));
  if (err != 0) return system_error({}, {}, err);
  memory.present_[0] = true;
  return memory;
}

LazyMemory::LazyMemory(Fd fd, std::size_t length, int protection)
    : fd_(std::move(fd)), length_(length), protection_(protection) {
  present_.resize((length + part - 1) / part);
}

LazyMemory::LazyMemory(LazyMemory&& other) noexcept
    : Presence(std::move(other)),
      fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      length_(other.length_),
      protection_(other.protection_),
      whole_(other.whole_) {}

LazyMemory& LazyMemory::operator=(LazyMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(length_, other.length_);
  std::swap(protection_, other.protection_);
  std::swap(present_, other.present_);
  std::swap(whole_, other.whole_);
  return *this;
}

LazyMemory::~LazyMemory() {
  if (data_ != nullptr) ::munmap(data_, length_);
}

int LazyMemory::try_map(std::size_t offset, std::size_t length) const {
  void* at = ::mmap(data_ + offset, length, protection_, MAP_SHARED | MAP_FIXED, fd_.get(), static_cast<off_t>(offset));
  return at == MAP_FAILED ? errno : 0;
}

/// Takes the way of an allocation that failed.
[[noreturn]] static void end_without_memory() {
  if (const std::new_handler handler = std::get_new_handler()) handler();
  std::abort();
}

void LazyMemory::bring(std::size_t number) {
  const std::size_t offset = number * part;
  if (try_map(offset, std::min(part, length_ - offset)) != 0) end_without_memory();
  present_[number] = true;
}

void LazyMemory::need_all() {
  if (whole_) return;
  if (try_map(0, length_) != 0) end_without_memory();
  present_.assign(present_.size(), true);
  whole_ = true;
}

}  // namespace egress
