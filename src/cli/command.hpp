// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/grammar.hpp"
#include "cli/json.hpp"
#include "cli/options.hpp"
#include "egress/filter.hpp"

namespace egress::cli {

/// Exit statuses beside those of ErrorKind (contract section 4).
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_would_drop = 4;
inline constexpr int exit_not_in_force = 5;

/// One call of the command: what was asked, which instance, and where answers go. Data goes to standard
/// output, everything else to standard error.
class Context {
 public:
  Context(const Verb& verb, Options options);

  [[nodiscard]] const Verb& verb() const { return verb_; }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const Instance& instance() const { return instance_; }
  [[nodiscard]] bool json() const { return options_.output == "json"; }
  [[nodiscard]] bool colour() const;

  void print(std::string_view data) const;
  void print_json(const Json& data) const;
  /// One line on standard error: "egress: TEXT".
  void note(std::string_view text) const;

  [[nodiscard]] Result<Filter> open() const { return Filter::open(instance_); }
  /// Loads the program when it is not loaded yet.
  [[nodiscard]] Result<Filter> open_or_load() const;

  /// Looks up what was typed.
  [[nodiscard]] Result<Subject> resolve(const Filter& filter, const SubjectWords& words) const;

  /// A usage error if the verb got words it does not take.
  [[nodiscard]] Result<void> no_words() const;

  /// Tells on standard error which of the rules wait for a cgroup; the exit status, which is 5 with --strict
  /// when any does.
  [[nodiscard]] Result<int> report_pending(const Filter& filter, const std::set<Subject>& subjects) const;

 private:
  const Verb& verb_;
  Options options_;
  Instance instance_;
};

/// The whole command; `arguments` are those behind its own name. Returns the exit status.
[[nodiscard]] int run_command(const std::vector<std::string>& arguments);

/// Help of one verb, and of the command.
[[nodiscard]] std::string help_text(const Verb& verb);
[[nodiscard]] std::string general_help();

/// "egress 0.1.0 (abi 1)"
[[nodiscard]] std::string version_text();

/// Reads a file, or standard input for "-".
[[nodiscard]] Result<std::string> read_input(const std::string& path);

/// The verbs, one file each.
Result<int> verb_add(Context& context);  ///< drop, reject, audit, allow
Result<int> verb_isolate(Context& context);
Result<int> verb_ls(Context& context);
Result<int> verb_show(Context& context);
Result<int> verb_rm(Context& context);
Result<int> verb_extend(Context& context);
Result<int> verb_stats(Context& context);
Result<int> verb_explain(Context& context);
Result<int> verb_status(Context& context);
Result<int> verb_doctor(Context& context);
Result<int> verb_apply(Context& context);
Result<int> verb_check(Context& context);
Result<int> verb_diff(Context& context);
Result<int> verb_export(Context& context);
Result<int> verb_confirm(Context& context);
Result<int> verb_run(Context& context);
Result<int> verb_strict(Context& context);
Result<int> verb_load(Context& context);
Result<int> verb_unload(Context& context);
Result<int> verb_completion(Context& context);
Result<int> verb_version(Context& context);
Result<int> verb_help(Context& context);

}  // namespace egress::cli
