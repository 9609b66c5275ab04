// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <bpf/libbpf.h>

#include <string>
#include <string_view>

namespace egress {

/// Takes what libbpf has to say as long as it lives. libbpf has one printer for the process, hence the
/// thread_local target; lines of threads that capture nothing are dropped.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  [[nodiscard]] const std::string& log() const { return own_; }

 private:
  std::string own_;
  std::string* outer_;
  libbpf_print_fn_t former_ = nullptr;
};

/// What of libbpf's log tells why a load failed: the last words of the verifier, or libbpf's own.
[[nodiscard]] std::string reason_in_log(std::string_view log);

}  // namespace egress
