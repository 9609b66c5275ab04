// SPDX-License-Identifier: GPL-2.0
#include "core/problems.hpp"

#include "core/escape.hpp"

namespace egress {
namespace {

/// `message` on one line: only our own line breaks separate problems.
std::string on_one_line(const std::string& message) { return escape(message); }

}  // namespace

std::string format(const std::string& source, Position at) {
  return on_one_line(source) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

void Problems::add(const std::string& source, Position at, const Error& problem) {
  if (++count_ > most_told) return;
  if (!text_.empty()) text_ += '\n';
  text_ += format(source, at) + ": " + on_one_line(problem.message());
}

Error Problems::error() const {
  if (count_ <= most_told) return usage_error({}, text_);
  return usage_error({}, text_ + "\nand " + std::to_string(count_ - most_told) + " more");
}

}  // namespace egress
