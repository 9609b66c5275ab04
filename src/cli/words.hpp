// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/grammar.hpp"
#include "egress/error.hpp"

namespace egress::cli {

/// The words of one sentence, read from left to right, and the errors that point at one of them.
class WordReader {
 public:
  WordReader(std::string verb, std::vector<std::string> words, std::string example)
      : verb_(std::move(verb)), words_(std::move(words)), example_(std::move(example)) {}

  [[nodiscard]] bool done() const { return at_ == words_.size(); }
  /// The next word; empty at the end.
  [[nodiscard]] std::string_view peek() const { return done() ? std::string_view{} : words_[at_]; }
  /// Precondition: !done().
  void skip() { ++at_; }
  /// Precondition: a word was read.
  void back() { --at_; }
  /// The next word, or an error that says what should have been there.
  [[nodiscard]] Result<std::string> take(std::string_view expected);

  [[nodiscard]] Error missing(std::string_view expected) const;
  /// The next word is not what it should be. `keywords` are searched for what was meant, unless `meant` tells.
  [[nodiscard]] Error unexpected(std::string_view expected, std::initializer_list<std::string_view> keywords,
                                 std::string meant = {}) const;
  [[nodiscard]] Error error_at_next(std::string_view cause, std::string_view remedy) const;
  [[nodiscard]] Error error_at_last(std::string_view cause, std::string_view remedy) const;
  /// An error of another parser about `word`, with the verb as operation and the word named.
  [[nodiscard]] Error explain(Error error, const std::string& word) const;
  [[nodiscard]] bool looks_like(std::string_view word, std::initializer_list<std::string_view> keywords) const;

 private:
  std::string verb_;
  std::vector<std::string> words_;
  std::string example_;
  std::size_t at_ = 0;
};

/// The kind that a subject's first word names.
[[nodiscard]] std::optional<SubjectWords::Kind> subject_kind(std::string_view keyword);

/// What follows that word, for messages: "a path after \"cgroup\"".
[[nodiscard]] std::string_view subject_value_name(SubjectWords::Kind kind);

/// Whether the value can be one of its kind at all: numbers for `id` and `pid`, no '/' in a unit's name.
[[nodiscard]] Result<void> check_subject(const SubjectWords& subject);

/// "cgroup /app", as typed; control characters escaped.
[[nodiscard]] std::string format(const SubjectWords& subject);

}  // namespace egress::cli
