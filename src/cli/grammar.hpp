// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options.hpp"
#include "egress/destination.hpp"
#include "egress/rule.hpp"

namespace egress::cli {

using WallTime = std::chrono::system_clock::time_point;

/// A subject as it was typed: not yet looked up.
struct SubjectWords {
  enum class Kind { Cgroup, Unit, Id, Pid };
  Kind kind = Kind::Cgroup;
  std::string value;
  Subject::Scope scope = Subject::Scope::Subtree;

  bool operator==(const SubjectWords&) const = default;
};

/// `SUBJECT to DEST[,DEST…] [for DUR|until TIME|forever] [only]`
struct RuleSentence {
  SubjectWords subject;
  std::vector<Destination> destinations;
  Lifetime lifetime = default_lifetime;
};

/// What `rm` and `ls` were asked about: ids or a subject, or neither.
struct TargetWords {
  std::vector<RuleId> ids;
  std::optional<SubjectWords> subject;
};

/// `ID for DUR|until TIME|forever`
struct ExtendSentence {
  RuleId id{};
  Lifetime lifetime;
};

/// `SUBJECT DEST`, with what had to be assumed for DEST to be one packet.
struct ExplainSentence {
  SubjectWords subject;
  Destination destination;
  std::vector<std::string> assumed;
};

/// Each reads the words of a verb together with the options that may stand for some of them (--cgroup, --unit,
/// --cgroup-id, --pid, --dst-ip, --dst-port, --ttl). `now` is what `until` counts from. Errors (Usage) say
/// which word, what was expected and give an example; their operation is the verb.
[[nodiscard]] Result<RuleSentence> parse_rule_sentence(std::string_view verb, const Options& options, WallTime now);
[[nodiscard]] Result<RuleSentence> parse_isolate_sentence(const Options& options, WallTime now);
[[nodiscard]] Result<TargetWords> parse_target(std::string_view verb, const Options& options);
[[nodiscard]] Result<ExtendSentence> parse_extend_sentence(const Options& options, WallTime now);
[[nodiscard]] Result<ExplainSentence> parse_explain_sentence(const Options& options);

/// `[for DUR|until TIME|forever]` and --ttl of `run`; `otherwise` when neither is given.
[[nodiscard]] Result<Lifetime> parse_lifetime_words(std::string_view verb, const Options& options, WallTime now,
                                                    Lifetime otherwise);

/// "DEST[,DEST…]"
[[nodiscard]] Result<std::vector<Destination>> parse_destinations(std::string_view text);

/// Fails (Usage) if a destination is there twice.
[[nodiscard]] Result<void> refuse_duplicates(std::string_view verb, const std::vector<Destination>& destinations);

/// A rule id: 1 to 4294967295, digits only.
[[nodiscard]] Result<RuleId> parse_rule_id(std::string_view text);

/// A whole decimal number from `least` to `most`; nothing else, not even a blank.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most);

}  // namespace egress::cli
