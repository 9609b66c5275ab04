// SPDX-License-Identifier: GPL-2.0
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace egress::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t few = 10'000;
constexpr milliseconds between{100};

class Line {
 public:
  Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

  void show(std::size_t done, std::size_t all) {
    const auto now = Clock::now();
    if (now - last_ < between) return;
    last_ = now;
    shown_ = true;
    std::fprintf(stderr, "\r\033[K%s", progress_text(done, all, now - start_).c_str());
    std::fflush(stderr);
  }

 private:
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
  bool shown_ = false;
};

}  // namespace

std::string progress_text(std::size_t done, std::size_t all, std::chrono::nanoseconds since_start) {
  const double seconds = std::chrono::duration<double>(since_start).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = fmt::format("writing rules: {}%", all == 0 ? 100 : done * 100 / all);
  if (rate >= 1) {
    // Each rule is written, and then entered into the index.
    text += fmt::format(", {:.0f} a second, {:.1f}s left", rate / 2, static_cast<double>(all - done) / rate);
  }
  return text;
}

Progress progress_on_terminal(std::size_t rules) {
  if (rules < few || ::isatty(STDERR_FILENO) != 1) return {};
  return [line = std::make_shared<Line>()](std::size_t done, std::size_t all) { line->show(done, all); };
}

}  // namespace egress::cli
