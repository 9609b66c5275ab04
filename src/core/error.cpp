// SPDX-License-Identifier: GPL-2.0
#include "egress/error.hpp"

#include <cerrno>
#include <string_view>
#include <system_error>

#include "core/escape.hpp"

namespace egress {
namespace {

constexpr int kernel_enotsupp = 524;  // include/linux/errno.h of the kernel; no libc knows it

/// Escapes all but line breaks: a policy file's errors are one Error of several lines.
std::string escape_lines(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t end = text.find('\n');
    out += escape(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

void append_part(std::string& message, const std::string& part) {
  if (part.empty()) return;
  if (!message.empty()) message += ": ";
  message += part;
}

std::string cause_of(int code) {
  if (code == 0) return "unknown error";
  if (code == EOPNOTSUPP) return "not supported";
  return std::generic_category().message(code);
}

}  // namespace

std::string Error::message() const {
  std::string out;
  append_part(out, escape(operation));
  append_part(out, escape(object));
  append_part(out, escape_lines(cause));
  if (remedy.empty()) return out;
  return out.empty() ? escape(remedy) : out + " (" + escape(remedy) + ")";
}

Error Error::in(std::string operation_name) && {
  if (operation.empty()) operation = std::move(operation_name);
  return std::move(*this);
}

Error usage_error(std::string object, std::string cause, std::string remedy) {
  return {.kind = ErrorKind::Usage,
          .operation = {},
          .object = std::move(object),
          .cause = std::move(cause),
          .remedy = std::move(remedy),
          .code = 0};
}

Error system_error(std::string operation, std::string object, int code, std::string remedy) {
  constexpr int largest_errno = 4095;
  int positive = code < 0 && code >= -largest_errno ? -code : code;  // libbpf returns -errno
  if (positive == kernel_enotsupp) positive = EOPNOTSUPP;
  const bool forbidden = positive == EPERM || positive == EACCES;
  return {.kind = forbidden ? ErrorKind::NotPermitted : ErrorKind::Failed,
          .operation = std::move(operation),
          .object = std::move(object),
          .cause = cause_of(positive),
          .remedy = std::move(remedy),
          .code = positive};
}

}  // namespace egress
