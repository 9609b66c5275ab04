// SPDX-License-Identifier: GPL-2.0
#include "cli/words.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/escape.hpp"

namespace egress::cli {

Result<std::string> WordReader::take(std::string_view expected) {
  if (done()) return missing(expected);
  return words_[at_++];
}

Error WordReader::missing(std::string_view expected) const {
  const std::string where = at_ == 0 ? "no words" : fmt::format("after \"{}\"", words_[at_ - 1]);
  return usage_error(where, fmt::format("expected {}", expected), fmt::format("example: {}", example_)).in(verb_);
}

Error WordReader::unexpected(std::string_view expected, std::initializer_list<std::string_view> keywords,
                             std::string meant) const {
  if (meant.empty()) meant = nearest(peek(), std::vector<std::string_view>(keywords));
  std::string remedy = meant.empty() ? std::string() : fmt::format("did you mean \"{}\"? ", meant);
  remedy += fmt::format("example: {}", example_);
  return usage_error(fmt::format("word {} \"{}\"", at_ + 1, peek()), fmt::format("expected {}", expected),
                     std::move(remedy))
      .in(verb_);
}

Error WordReader::error_at_next(std::string_view cause, std::string_view remedy) const {
  return usage_error(fmt::format("word {} \"{}\"", at_ + 1, peek()), std::string(cause), std::string(remedy)).in(verb_);
}

Error WordReader::error_at_last(std::string_view cause, std::string_view remedy) const {
  return usage_error(fmt::format("word {} \"{}\"", at_, words_[at_ - 1]), std::string(cause), std::string(remedy))
      .in(verb_);
}

Error WordReader::explain(Error error, const std::string& word) const {
  if (error.object.find(word) == std::string::npos) {
    error.object = error.object.empty() ? fmt::format("\"{}\"", word) : fmt::format("\"{}\": {}", word, error.object);
  }
  if (error.remedy.empty()) error.remedy = fmt::format("example: {}", example_);
  return std::move(error).in(verb_);
}

bool WordReader::looks_like(std::string_view word, std::initializer_list<std::string_view> keywords) const {
  return !nearest(word, std::vector<std::string_view>(keywords)).empty();
}

std::optional<SubjectWords::Kind> subject_kind(std::string_view keyword) {
  using Kind = SubjectWords::Kind;
  if (keyword == "cgroup") return Kind::Cgroup;
  if (keyword == "unit") return Kind::Unit;
  if (keyword == "id") return Kind::Id;
  if (keyword == "pid") return Kind::Pid;
  return std::nullopt;
}

std::string_view subject_value_name(SubjectWords::Kind kind) {
  switch (kind) {
    case SubjectWords::Kind::Cgroup:
      return "a path after \"cgroup\"";
    case SubjectWords::Kind::Unit:
      return "a unit name after \"unit\"";
    case SubjectWords::Kind::Id:
      return "a cgroup id after \"id\"";
    case SubjectWords::Kind::Pid:
      return "a process id after \"pid\"";
  }
  return "a subject";
}

Result<void> check_subject(const SubjectWords& subject) {
  using Kind = SubjectWords::Kind;
  const std::string object = format(subject);
  if (subject.value.empty()) return usage_error(object, "empty", "cgroup PATH, unit NAME, id N or pid N");
  if (subject.kind == Kind::Id && !parse_number(subject.value, 1, std::numeric_limits<std::uint64_t>::max())) {
    return usage_error(object, "not a cgroup id", "a number: stat -c %i of the cgroup's directory");
  }
  if (subject.kind == Kind::Pid && !parse_number(subject.value, 1, std::numeric_limits<int>::max())) {
    return usage_error(object, "not a process id", "a number: pid 4711");
  }
  if (subject.kind == Kind::Unit && subject.value.find('/') != std::string::npos) {
    return usage_error(object, "a unit's name has no \"/\"", fmt::format("cgroup {}", subject.value));
  }
  return {};
}

std::string format(const SubjectWords& subject) {
  constexpr std::string_view names[] = {"cgroup", "unit", "id", "pid"};
  return fmt::format("{} {}{}", names[static_cast<std::size_t>(subject.kind)], escape(subject.value),
                     subject.scope == Subject::Scope::Only ? " only" : "");
}

}  // namespace egress::cli
