// SPDX-License-Identifier: GPL-2.0
#include "sys/mountinfo.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "sys/fd.hpp"

namespace egress {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// Blank, tab, newline and backslash stand as \040 and so on.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digits = text.substr(i + 1 < text.size() ? i + 1 : text.size(), 3);
    if (text[i] == '\\' && digits.size() == 3 && std::all_of(digits.begin(), digits.end(), is_octal)) {
      plain += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string_view take_until(std::string_view& text, char end) {
  const auto at = std::min(text.find(end), text.size());
  const auto head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

/// "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw"
std::optional<Mount> parse_line(std::string_view line) {
  for (int i = 0; i < 3; ++i) take_until(line, ' ');  // mount id, parent id, device
  Mount mount;
  mount.root = unescape(take_until(line, ' '));
  mount.point = unescape(take_until(line, ' '));
  take_until(line, ' ');  // options
  while (!line.empty() && take_until(line, ' ') != "-") {
  }  // optional fields
  mount.type = unescape(take_until(line, ' '));
  if (mount.root.empty() || mount.point.empty() || mount.type.empty()) return std::nullopt;
  return mount;
}

}  // namespace

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty()) {
    if (auto mount = parse_line(take_until(text, '\n'))) mounts.push_back(*std::move(mount));
  }
  return mounts;
}

Result<std::vector<Mount>> read_mounts() {
  auto text = read_proc_file("/proc/self/mountinfo");
  if (!text) return std::move(text).error();
  return parse_mountinfo(*text);
}

Result<std::string> read_proc_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  int err = errno;
  if (!file.valid()) return system_error("read", path, err);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    err = errno;
    if (got == 0) return text;
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    if (got < 0 && err != EINTR) return system_error("read", path, err);
  }
}

}  // namespace egress
