// SPDX-License-Identifier: GPL-2.0
#include "cli/sentence_parts.hpp"

#include <fmt/format.h>

#include <array>

namespace egress::cli {
namespace {

constexpr std::string_view lifetime_example = "for 1h30m, until 2026-12-24T18:00:00Z, forever";

Result<std::chrono::nanoseconds> time_left(const std::string& word, WallTime now) {
  const auto moment = parse_time(word);
  if (!moment) return moment.error();
  const std::chrono::nanoseconds left = *moment - now;
  if (left <= left.zero()) return usage_error(fmt::format("until {}", word), "is over already", "a moment to come");
  if (left > longest_lifetime) {
    return usage_error(fmt::format("until {}", word), "more than ten years away", "no end is written: forever");
  }
  return left;
}

Result<Lifetime> read_end(WordReader& words, const std::string& keyword, WallTime now) {
  if (keyword == "forever") return Lifetime{};
  const auto value = words.take(keyword == "for" ? "a duration after \"for\"" : "a time after \"until\"");
  if (!value) return value.error();
  const auto left = keyword == "for" ? parse_duration(*value) : time_left(*value, now);
  if (!left) return words.explain(left.error(), *value);
  return Lifetime{*left};
}

/// One word of the end of a sentence. False if the next word is none.
Result<bool> read_tail_word(WordReader& words, Tail& tail, WallTime now) {
  const std::string keyword(words.peek());
  if (keyword == "only") {
    words.skip();
    if (tail.only) return words.error_at_last("given twice", "say \"only\" once");
    tail.only = true;
    return true;
  }
  if (keyword != "for" && keyword != "until" && keyword != "forever") return false;
  words.skip();
  if (tail.lifetime) return words.error_at_last("a second lifetime", fmt::format("one of: {}", lifetime_example));
  auto end = read_end(words, keyword, now);
  if (!end) return end.error();
  tail.lifetime = *end;
  return true;
}

Result<SubjectWords> read_subject_value(WordReader& words, SubjectWords::Kind kind, std::string_view what) {
  const auto value = words.take(what);
  if (!value) return value.error();
  SubjectWords subject{kind, *value, Subject::Scope::Subtree};
  if (auto checked = check_subject(subject); !checked) return words.explain(checked.error(), *value);
  if (words.peek() == "only") {
    words.skip();
    subject.scope = Subject::Scope::Only;
  }
  return subject;
}

Result<SubjectWords> read_subject(WordReader& words) {
  constexpr std::string_view expected = "a subject: cgroup PATH, unit NAME, id N or pid N";
  if (words.done()) return words.missing(expected);
  const std::string_view keyword = words.peek();
  if (const auto kind = subject_kind(keyword)) {
    words.skip();
    return read_subject_value(words, *kind, subject_value_name(*kind));
  }
  if (keyword.find('/') != std::string_view::npos)
    return words.unexpected(expected, {}, fmt::format("cgroup {}", keyword));
  if (keyword.find(".service") != std::string_view::npos || keyword.find(".slice") != std::string_view::npos ||
      keyword.find(".scope") != std::string_view::npos) {
    return words.unexpected(expected, {}, fmt::format("unit {}", keyword));
  }
  return words.unexpected(expected, {"cgroup", "unit", "id", "pid"});
}

}  // namespace

Result<Tail> read_tail(WordReader& words, WallTime now) {
  Tail tail;
  while (!words.done()) {
    const auto read = read_tail_word(words, tail, now);
    if (!read) return read.error();
    if (!*read)
      return words.unexpected("\"for DURATION\", \"until TIME\", \"forever\" or \"only\"",
                              {"for", "until", "forever", "only"});
  }
  return tail;
}

Result<Lifetime> choose_lifetime(std::string_view verb, const Options& options, const Tail& tail, Lifetime otherwise) {
  if (!options.ttl) return tail.lifetime.value_or(otherwise);
  if (tail.lifetime) {
    return usage_error("--ttl", "the words give a lifetime too", "either --ttl or for/until/forever")
        .in(std::string(verb));
  }
  const auto duration = parse_duration(*options.ttl);
  if (!duration) return Error(duration.error()).in(std::string(verb));
  return Lifetime{*duration};
}

Result<std::optional<SubjectWords>> subject_of_options(std::string_view verb, const Options& options) {
  using Kind = SubjectWords::Kind;
  const std::array<std::pair<Kind, const std::optional<std::string>*>, 4> given = {{{Kind::Cgroup, &options.cgroup},
                                                                                    {Kind::Unit, &options.unit},
                                                                                    {Kind::Id, &options.cgroup_id},
                                                                                    {Kind::Pid, &options.pid}}};
  std::optional<SubjectWords> subject;
  for (const auto& [kind, value] : given) {
    if (!*value) continue;
    if (subject)
      return usage_error("options", "more than one subject", "one of --cgroup, --unit, --cgroup-id, --pid")
          .in(std::string(verb));
    subject = SubjectWords{kind, **value, Subject::Scope::Subtree};
    if (auto checked = check_subject(*subject); !checked) return Error(checked.error()).in(std::string(verb));
  }
  return subject;
}

Result<SubjectWords> option_or_words_subject(std::string_view verb, const Options& options, WordReader& words) {
  const auto given = subject_of_options(verb, options);
  if (!given) return given.error();
  if (!*given) return read_subject(words);
  if (subject_kind(words.peek())) {
    return words.error_at_next("a second subject", "the options name one already");
  }
  SubjectWords subject = **given;
  if (words.peek() == "only") {
    words.skip();
    subject.scope = Subject::Scope::Only;
  }
  return subject;
}

}  // namespace egress::cli
