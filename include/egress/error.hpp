// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace egress {

/// What kind of failure this is; the values are the exit statuses of the command.
enum class ErrorKind {
  Failed = 1,        ///< the kernel or the machine said no
  Usage = 2,         ///< the input cannot be understood
  NotFound = 3,      ///< no such rule, cgroup, policy or process
  Refused = 6,       ///< a safety rail; the remedy says which word overrides it
  NotPermitted = 7,  ///< privileges are missing
};

/// One failure, told as operation, object, cause, remedy. Printed on one line by the caller:
/// the library never prints.
struct Error {
  ErrorKind kind = ErrorKind::Failed;
  std::string operation;  ///< what was tried: "add rule"; may be empty
  std::string object;     ///< on what: "id 4711"; may be empty
  std::string cause;      ///< why it failed: "no such cgroup"
  std::string remedy;     ///< what to do; may be empty
  int code = 0;           ///< errno behind it, 0 if there is none

  /// "operation: object: cause (remedy)", empty parts left out, control characters escaped.
  [[nodiscard]] std::string message() const;

  /// The same error with `operation` filled in if it was empty.
  [[nodiscard]] Error in(std::string operation_name) &&;
};

/// An error of bad input: exit status 2.
[[nodiscard]] Error usage_error(std::string object, std::string cause, std::string remedy = {});

/// An error from errno: EPERM and EACCES become NotPermitted, the rest Failed; 524 (ENOTSUPP,
/// which the kernel leaks) reads as "not supported".
[[nodiscard]] Error system_error(std::string operation, std::string object, int code, std::string remedy = {});

/// A value or an Error. Expected failures travel in this; nothing in egress throws.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// Precondition of the accessors: ok() for value, !ok() for error.
  [[nodiscard]] T& value() & { return assert(ok()), std::get<0>(state_); }
  [[nodiscard]] const T& value() const& { return assert(ok()), std::get<0>(state_); }
  [[nodiscard]] T&& value() && { return assert(ok()), std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] Error& error() & { return assert(!ok()), std::get<1>(state_); }
  [[nodiscard]] const Error& error() const& { return assert(!ok()), std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return assert(!ok()), std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  [[nodiscard]] bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] Error& error() & { return assert(!ok()), *error_; }
  [[nodiscard]] const Error& error() const& { return assert(!ok()), *error_; }
  [[nodiscard]] Error&& error() && { return assert(!ok()), *std::move(error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace egress
