// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "egress/error.hpp"

namespace egress::cli {

/// Everything the command line can say. Which verb takes which field is told by its table (verbs.cpp).
struct Options {
  std::optional<std::string> output;
  std::optional<std::string> pin_dir;
  std::optional<std::string> cgroup_root;
  bool strict = false;
  bool yes_really = false;
  bool help = false;
  bool version = false;

  std::optional<std::string> cgroup;
  std::optional<std::string> unit;
  std::optional<std::string> cgroup_id;
  std::optional<std::string> pid;
  std::optional<std::string> dst_ip;
  std::optional<std::string> dst_port;
  std::optional<std::string> ttl;
  std::optional<std::string> reason;
  std::optional<std::string> name;
  std::optional<std::string> file;
  std::optional<std::string> confirm;
  std::optional<std::string> max_rules;
  std::optional<std::string> max_map_rules;
  std::optional<std::string> established;
  bool replace = false;
  bool include_nd = false;
  bool no_packet_sockets = false;
  bool no_loopback = false;
  bool all = false;
  bool watch = false;
  bool debug = false;
  bool force = false;
  bool default_deny = false;
  bool strict_l2 = false;
  bool as_filter = false;
  bool follow = false;
  std::optional<std::string> as;
  std::optional<std::string> container_of;
  std::vector<std::string> devices;
  bool kill_sockets = false;
  std::vector<std::string> drop;
  std::vector<std::string> reject;
  std::vector<std::string> audit;
  std::vector<std::string> allow;

  std::vector<std::string> words;    ///< everything that is not an option
  std::vector<std::string> command;  ///< after `--`, of verbs that run a command
};

/// What a shell offers for the value of an option or for the words of a verb.
enum class Offer { Nothing, File, Directory, Format, Cgroup, Unit, Pid, Policy, Device, Established };

/// Where the value of an option goes.
using Target =
    std::variant<bool Options::*, std::optional<std::string> Options::*, std::vector<std::string> Options::*>;

/// One row of an option table: parsing, help and completion are all made from it.
struct OptionRow {
  std::string_view names;  ///< "-f,--file"
  std::string_view value;  ///< how help calls the value; empty for a flag
  std::string_view help;
  Target target;
  Offer offer = Offer::Nothing;
};

/// What the words of a verb are.
enum class Words {
  None,
  RuleSentence,
  IsolateSentence,
  SubjectOnly,
  RuleIds,
  IdsOrSubject,
  IdAndLifetime,
  Explain,
  Run,
  Shells,
  OnStatusOff,
  Verbs
};

class Context;

/// One verb: its table, its help and what it does. The function returns the exit status.
struct Verb {
  std::string_view name;
  std::string_view summary;   ///< one line for the list of verbs
  std::string_view synopsis;  ///< one form a line
  std::string_view text;      ///< some sentences
  std::string_view examples;  ///< one a line
  Words words = Words::None;
  std::vector<OptionRow> options;
  Result<int> (*run)(Context& context) = nullptr;
  bool takes_command = false;  ///< words after `--` are a command to run
};

/// The options that every verb takes.
[[nodiscard]] std::span<const OptionRow> global_options();

/// Every verb, in the order of the help.
[[nodiscard]] std::span<const Verb> verbs();

/// nullptr if there is none of this name.
[[nodiscard]] const Verb* find_verb(std::string_view name);

/// A verb with the options it was called with. `verb` is nullptr for `egress`, `egress --help` and `--version`.
struct Invocation {
  const Verb* verb = nullptr;
  Options options;
};

/// Reads the arguments behind the command's own name. Errors (Usage) name the word, what was expected and
/// the nearest thing that exists.
[[nodiscard]] Result<Invocation> parse_arguments(const std::vector<std::string>& arguments);

/// The long and short names of a row, one by one.
[[nodiscard]] std::vector<std::string_view> names_of(const OptionRow& row);

/// Whether the option is followed by a value.
[[nodiscard]] inline bool takes_value(const OptionRow& row) { return !row.value.empty(); }

/// The candidate that `word` most likely meant; empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace egress::cli
