// SPDX-License-Identifier: GPL-2.0
#include "cli/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <numeric>

namespace egress::cli {
namespace {

const std::array<OptionRow, 7> global_rows = {{
    {"-o,--output", "FORMAT", "table (default) or json", &Options::output, Offer::Format},
    {"--pin-dir", "DIR", "pins of the instance (EGRESS_PIN_DIR)", &Options::pin_dir, Offer::Directory},
    {"--cgroup-root", "DIR", "root of the enforced subtree (EGRESS_CGROUP_ROOT)", &Options::cgroup_root,
     Offer::Directory},
    {"--strict", "", "exit 5 when rules are accepted but not in force everywhere", &Options::strict},
    {"--yes-really", "", "go on where a safety rail would stop", &Options::yes_really},
    {"-h,--help", "", "this help", &Options::help},
    {"--version", "", "print the version", &Options::version},
}};

void add_row(CLI::App& app, const OptionRow& row, Options& options) {
  const std::string names(row.names);
  if (const auto* flag = std::get_if<bool Options::*>(&row.target)) {
    app.add_flag(names, options.*(*flag));
  } else if (const auto* value = std::get_if<std::optional<std::string> Options::*>(&row.target)) {
    auto& target = options.*(*value);
    app.add_option_function<std::string>(names, [&target](const std::string& text) { target = text; });
  } else {
    auto& target = options.*std::get<std::vector<std::string> Options::*>(row.target);
    app.add_option(names, target)->allow_extra_args(false);
  }
}

bool is_option(std::string_view argument) { return argument.size() > 1 && argument.front() == '-'; }

/// "--file=x" and "--file" are both --file.
std::string_view option_name(std::string_view argument) { return argument.substr(0, argument.find('=')); }

const OptionRow* find_row(std::span<const OptionRow> rows, std::string_view name) {
  const auto row = std::ranges::find_if(
      rows, [name](const OptionRow& candidate) { return std::ranges::count(names_of(candidate), name) > 0; });
  return row == rows.end() ? nullptr : &*row;
}

Error unknown_option(const Verb* verb, std::string_view option) {
  std::vector<std::string_view> known;
  const auto collect = [&known](std::span<const OptionRow> rows) {
    for (const OptionRow& row : rows) std::ranges::copy(names_of(row), std::back_inserter(known));
  };
  if (verb != nullptr) collect(verb->options);
  collect(global_options());
  const std::string_view meant = nearest(option_name(option), known);
  const std::string help = verb == nullptr ? "egress --help" : fmt::format("egress {} --help", verb->name);
  std::string remedy =
      meant.empty() ? fmt::format("see {}", help) : fmt::format("did you mean {}? see {}", meant, help);
  return usage_error(std::string(option_name(option)), "unknown option", std::move(remedy))
      .in(verb == nullptr ? "" : std::string(verb->name));
}

Error unknown_verb(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Verb& verb : verbs()) names.push_back(verb.name);
  const std::string_view meant = nearest(word, names);
  std::string remedy =
      meant.empty() ? std::string("see egress --help") : fmt::format("did you mean {}? see egress --help", meant);
  return usage_error(fmt::format("\"{}\"", word), "no such verb", std::move(remedy));
}

/// Position of the verb: the first argument that is neither an option nor the value of one.
std::size_t verb_position(const std::vector<std::string>& arguments) {
  std::size_t at = 0;
  while (at < arguments.size() && is_option(arguments[at])) {
    const std::string_view argument = arguments[at];
    const OptionRow* row = find_row(global_options(), option_name(argument));
    const bool value_follows = row != nullptr && takes_value(*row) && argument.find('=') == std::string_view::npos;
    at += value_follows ? 2 : 1;
  }
  return std::min(at, arguments.size());
}

/// "--watch=1" is none of the answers that "--watch" has: CLI11 would take it.
Result<void> refuse_values_of_flags(const Verb* verb, const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return {};
    const std::string_view name = option_name(argument);
    if (!is_option(argument) || name.size() == argument.size()) continue;
    const OptionRow* row = find_row(global_options(), name);
    if (row == nullptr && verb != nullptr) row = find_row(verb->options, name);
    if (row == nullptr || takes_value(*row)) continue;
    return usage_error(argument, "takes no value", std::string(name))
        .in(verb == nullptr ? "" : std::string(verb->name));
  }
  return {};
}

/// CLI11 tells failures by exceptions, and its texts name neither the verb nor a remedy.
Result<void> parse_with_cli11(const Verb* verb, std::vector<std::string> arguments, Options& options) {
  CLI::App app;
  app.set_help_flag();
  for (const OptionRow& row : global_options()) add_row(app, row, options);
  if (verb != nullptr) {
    for (const OptionRow& row : verb->options) add_row(app, row, options);
    app.add_option("words", options.words);
  }
  std::ranges::reverse(arguments);
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ExtrasError&) {
    const auto extras = app.remaining();
    return unknown_option(verb, extras.empty() ? "?" : std::string_view(extras.front()));
  } catch (const CLI::ParseError& error) {
    const std::string help = verb == nullptr ? "egress --help" : fmt::format("egress {} --help", verb->name);
    return usage_error({}, error.what(), fmt::format("see {}", help))
        .in(verb == nullptr ? "" : std::string(verb->name));
  }
  return {};
}

Result<void> check_output(const Options& options) {
  if (!options.output || *options.output == "table" || *options.output == "json") return {};
  return usage_error(fmt::format("--output {}", *options.output), "no such format", "table or json");
}

}  // namespace

std::span<const OptionRow> global_options() { return global_rows; }

const Verb* find_verb(std::string_view name) {
  const auto verb = std::ranges::find(verbs(), name, &Verb::name);
  return verb == verbs().end() ? nullptr : &*verb;
}

std::vector<std::string_view> names_of(const OptionRow& row) {
  std::vector<std::string_view> names;
  for (std::string_view rest = row.names; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    names.push_back(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return names;
}

Result<Invocation> parse_arguments(const std::vector<std::string>& arguments) {
  Invocation invocation;
  std::vector<std::string> rest = arguments;
  const std::size_t at = verb_position(rest);
  if (at < rest.size()) {
    invocation.verb = find_verb(rest[at]);
    if (invocation.verb == nullptr) return unknown_verb(rest[at]);
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (invocation.verb != nullptr && invocation.verb->takes_command) {
    const auto separator = std::ranges::find(rest, "--");
    if (separator != rest.end()) invocation.options.command.assign(separator + 1, rest.end());
    rest.erase(separator, rest.end());
  }
  if (auto plain = refuse_values_of_flags(invocation.verb, rest); !plain) return plain.error();
  if (auto parsed = parse_with_cli11(invocation.verb, std::move(rest), invocation.options); !parsed)
    return parsed.error();
  if (auto checked = check_output(invocation.options); !checked) return checked.error();
  return invocation;
}

namespace {

/// Edit distance that counts a swap of neighbours as one (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  std::iota(cost[0].begin(), cost[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > 64) return {};
  std::string_view best;
  // A third of the word may be wrong: "dorp" is drop, "xy" is nothing.
  std::size_t bound = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t d = distance(word, candidate);
    if (d < bound && d < candidate.size()) bound = d, best = candidate;
  }
  return best;
}

}  // namespace egress::cli
