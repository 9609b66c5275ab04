// SPDX-License-Identifier: GPL-2.0
#include "sys/libbpf_log.hpp"

#include <cstdarg>
#include <cstdio>
#include <vector>

namespace egress {
namespace {

thread_local std::string* sink = nullptr;

__attribute__((format(printf, 2, 0))) int print(libbpf_print_level level, const char* format, va_list args) {
  if (level != LIBBPF_WARN || sink == nullptr) return 0;
  va_list again;
  va_copy(again, args);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  const std::size_t at = sink->size();
  sink->resize(at + static_cast<std::size_t>(length) + 1);
  std::vsnprintf(sink->data() + at, static_cast<std::size_t>(length) + 1, format, args);
  sink->pop_back();
  return 0;
}

bool is_verifier_summary(std::string_view line) {
  return line.starts_with("processed ") || line.starts_with("libbpf: ") || line.starts_with("-- ") ||
         line.starts_with("verification time") || line.starts_with("stack depth") || line.empty();
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

}  // namespace

LogCapture::LogCapture() : outer_(sink) {
  sink = &own_;
  former_ = libbpf_set_print(print);
}

LogCapture::~LogCapture() {
  libbpf_set_print(former_);
  sink = outer_;
}

std::string reason_in_log(std::string_view log) {
  std::string_view own;
  std::string_view verifier;
  for (const std::string_view line : lines_of(log)) {
    if (line.starts_with("libbpf: ") && line.find("load failed") != std::string_view::npos) own = line.substr(8);
    if (!is_verifier_summary(line)) verifier = line;
  }
  if (own.empty() && log.starts_with("libbpf: ")) own = lines_of(log).front().substr(8);
  std::string reason(own);
  if (!verifier.empty()) reason += (reason.empty() ? "" : ": ") + std::string(verifier);
  return reason;
}

}  // namespace egress
