// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "egress/destination.hpp"
#include "egress/error.hpp"

namespace egress {

/// A rule's id. Never 0 and never given out twice while the instance lives.
enum class RuleId : std::uint32_t {};

/// A cgroup v2 id: the inode number of its directory.
enum class CgroupId : std::uint64_t {};

/// A moment on the kernel's boot clock (CLOCK_BOOTTIME of the initial time namespace; counts suspend).
struct BootTime {
  std::chrono::nanoseconds since_boot{};
  auto operator<=>(const BootTime&) const = default;
};

enum class Action : std::uint8_t { Drop = 1, Reject = 2, Audit = 3, Allow = 4 };

[[nodiscard]] std::string_view format(Action action);
[[nodiscard]] Result<Action> parse_action(std::string_view text);

/// Whose packets. `name` is, by kind: a canonical path below the enforced root ("/" is the root itself;
/// no trailing slash), a unit's name, or a cgroup id in decimal.
struct Subject {
  enum class Kind : std::uint8_t { Path, Unit, Id };
  enum class Scope : std::uint8_t { Subtree, Only };

  Kind kind = Kind::Path;
  std::string name;
  Scope scope = Scope::Subtree;

  auto operator<=>(const Subject&) const = default;
};

/// "cgroup", "unit" or "id", as the command, policies and JSON write it.
[[nodiscard]] std::string_view format(Subject::Kind kind);
/// "cgroup /app", "unit x.service only", "id 25"; control characters and bytes that are not UTF-8 escaped.
[[nodiscard]] std::string format(const Subject& subject);

/// Makes a path below the enforced root canonical: one leading slash, no trailing slash, no empty
/// component. "." and ".." and names longer than 255 bytes are errors, as is a path over 1023 bytes.
[[nodiscard]] Result<std::string> canonical_cgroup_path(std::string_view text);

/// How long a rule lives. nullopt = forever.
using Lifetime = std::optional<std::chrono::nanoseconds>;

inline constexpr std::chrono::hours default_lifetime{1};
inline constexpr std::chrono::hours longest_lifetime{24 * 3650};

/// Reads "90s", "15m", "1h30m", "7d", "250ms" or a plain number of seconds. 0, a sign, a blank, an
/// exponent and more than ten years are errors (Usage).
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// "59m12s", "3d4h", "1.2s": two units at most, rounded down; never empty.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

/// Reads RFC 3339 ("2026-11-23T21:53:29Z", "…+01:00", fractions allowed).
[[nodiscard]] Result<std::chrono::system_clock::time_point> parse_time(std::string_view text);

/// RFC 3339 in UTC with whole seconds.
[[nodiscard]] std::string format_time(std::chrono::system_clock::time_point time);

/// What a rule does, before it has an id.
struct RuleSpec {
  Action action = Action::Drop;
  Destination destination;
  Lifetime lifetime = default_lifetime;
  std::string reason;        ///< UTF-8, at most 255 bytes; empty = none
  bool include_nd = false;   ///< may also decide neighbour discovery and MLD
  bool is_default = false;   ///< the closing `drop any` of isolate
  bool is_loopback = false;  ///< an exception for loopback that isolate adds
  /// As long as the rule is in force its subject's processes get no new AF_PACKET, AF_XDP and raw IP sockets.
  bool no_packet_sockets = false;

  bool operator==(const RuleSpec&) const = default;
};

/// What one rule did so far.
struct Counts {
  std::uint64_t packets = 0;  ///< GSO packets count as their segments
  std::uint64_t bytes = 0;    ///< IP bytes of all segments
  std::uint64_t denied = 0;   ///< connect(2), sendto(2), sendmsg(2) and socket(2) calls refused

  bool operator==(const Counts&) const = default;
};

/// A rule as it stands in the kernel.
struct Rule {
  enum class Origin : std::uint8_t { Command, Map };

  RuleId id{};
  Subject subject;
  Action action = Action::Drop;
  Destination destination;
  BootTime created_at;
  std::optional<BootTime> expires_at;  ///< nullopt = forever
  std::optional<std::string> policy;
  std::string reason;
  Origin origin = Origin::Command;
  bool include_nd = false;
  bool is_default = false;
  bool is_loopback = false;
  bool no_packet_sockets = false;
  Counts counts;
  std::vector<CgroupId> cgroups;  ///< what the subject's name stands for now; empty = pending
};

}  // namespace egress
