// SPDX-License-Identifier: GPL-2.0
#include "sys/instance_maps.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>

#include "sys/bpf_map.hpp"
#include "sys/mountinfo.hpp"

namespace egress {
namespace {

constexpr std::uint32_t most_subjects = 65536;
constexpr std::uint32_t most_counters = 262144;

/// Of rules, and of those of other tools. A hash takes 16 bytes for each place up to the next power of two: that
/// is filled, but not doubled for what rarely counts at once. Of a larger list few rules are ever met; what finds no
/// place is EGRESS_REASON_UNCOUNTED.
std::uint32_t counters_for(const Room& room) {
  const std::uint32_t few = std::min(room.rules + room.map_rules, 2 * most_subjects);
  return std::min(std::max({few, std::bit_ceil(room.rules), std::bit_ceil(room.map_rules)}), most_counters);
}

template <typename V>
Result<V> read_single(int map_fd, const char* name) {
  Result<MapInfo> info = map_info(map_fd);
  if (!info) return std::move(info).error();
  if (Result<void> same = check_sizes(*info, sizeof(std::uint32_t), sizeof(V)); !same) return std::move(same).error();
  const std::uint32_t key = 0;
  V value{};
  const int failed = bpf_map_lookup_elem(map_fd, &key, &value);
  const int err = errno;
  if (failed) return system_error("read map", name, err);
  return value;
}

template <typename V>
Result<void> write_single(int map_fd, const char* name, const V& value) {
  const std::uint32_t key = 0;
  const int failed = bpf_map_update_elem(map_fd, &key, &value, BPF_ANY);
  const int err = errno;
  if (failed) return system_error("write map", name, err);
  return {};
}

}  // namespace

std::uint32_t heads_mask(std::uint32_t max_rules) {
  return std::bit_ceil(std::max<std::uint32_t>(max_rules, EGRESS_HEADS_LEAST)) - 1;
}

std::uint32_t sieve_mask(std::uint32_t max_rules) {
  return std::bit_ceil(std::max<std::uint32_t>(max_rules / EGRESS_SIEVE_RULES_PER_WORD, 64)) - 1;
}

std::uint32_t cover_unit_log(std::uint32_t max_rules) {
  const std::uint32_t words = std::max<std::uint32_t>(max_rules / EGRESS_COVER_RULES_PER_WORD, EGRESS_COVER_UNITS);
  return static_cast<std::uint32_t>(std::countr_zero(std::bit_ceil(words))) - EGRESS_COVER_UNITS_LOG;
}

std::optional<std::uint32_t> entries_for(std::string_view map, const Room& room) {
  const std::uint32_t n = room.rules;
  // Subjects and policies are fewer than rules, and each place costs memory whether it is used or not.
  const std::uint32_t subjects = std::min(n, most_subjects);
  if (map == "rules") return n;
  if (map == "reasons") return std::min<std::uint32_t>(n, EGRESS_REASON_TEXTS_MAX);
  if (map == "drop_configs" || map == "cgroup_rules") return room.map_rules;
  if (map == "policy_names") return subjects;
  if (map == "anchor_names") return subjects;
  // The first place is never used.
  if (map == "sets") return std::min<std::uint32_t>(n, EGRESS_SETS_MAX) + 1;
  if (map == "anchors") return subjects + 1;
  if (map == "shapes") return std::max(4 * subjects + 1024, 4096u);
  if (map == "heads") return (heads_mask(n) + 1 + (heads_mask(n) + 1) / 4) / 2;
  if (map == "sieve") return sieve_mask(n) + 1;
  if (map == "covers") return std::uint32_t{EGRESS_COVER_UNITS} << cover_unit_log(n);
  if (map == "counters") return counters_for(room);
  // An edge for each component of a path that is not shared with another subject.
  if (map == "names") return std::max(2 * subjects, std::min(4 * subjects, 4096u));
  if (map == "bindings") return most_subjects;
  return std::nullopt;
}

Result<Fd> open_map_id(std::uint32_t id) {
  const int fd = bpf_map_get_fd_by_id(id);
  const int err = errno;
  if (fd >= 0) return Fd(fd);
  Error error = system_error("open map", "id " + std::to_string(id), err);
  if (err == ENOENT) error.kind = ErrorKind::NotFound;
  return error;
}

std::uint64_t map_memory(int map_fd) {
  Result<std::string> text = read_proc_file("/proc/self/fdinfo/" + std::to_string(map_fd));
  if (!text) return 0;
  const std::size_t at = text->find("memlock:");
  const std::size_t digits = at == std::string::npos ? at : text->find_first_of("0123456789", at);
  if (digits == std::string::npos) return 0;
  std::uint64_t bytes = 0;
  std::from_chars(text->data() + digits, text->data() + text->size(), bytes);
  return bytes;
}

Result<egress_meta> read_meta(int map_fd) {
  Result<egress_meta> meta = read_single<egress_meta>(map_fd, "meta");
  if (meta && meta->magic != EGRESS_MAGIC) {
    return Error{ErrorKind::Failed, "read map", "meta", "not made by egress", {}, 0};
  }
  return meta;
}

Result<egress_control> read_control(int map_fd) { return read_single<egress_control>(map_fd, "control"); }

Result<void> write_control(int map_fd, const egress_control& control) {
  return write_single(map_fd, "control", control);
}

Result<void> write_meta_and_freeze(int map_fd, const egress_meta& meta) {
  if (Result<void> done = write_single(map_fd, "meta", meta); !done) return done;
  const int failed = bpf_map_freeze(map_fd);
  const int err = errno;
  if (failed) return system_error("freeze map", "meta", err);
  return {};
}

}  // namespace egress
