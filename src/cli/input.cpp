// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cli/command.hpp"
#include "sys/fd.hpp"

namespace egress::cli {
namespace {

/// Nobody writes policies this long; a device that never ends must not fill the memory.
constexpr std::size_t longest_input = 64u << 20;

Result<std::string> read_all(int fd, const std::string& object) {
  std::string text;
  struct stat status {};
  if (::fstat(fd, &status) == 0 && status.st_size > 0) {
    text.reserve(std::min(longest_input, static_cast<std::size_t>(status.st_size)) + 1);
  }
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t length = ::read(fd, buffer.data(), buffer.size());
    const int err = errno;
    if (length < 0 && err == EINTR) continue;
    if (length < 0) return system_error("read", object, err);
    if (length == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(length));
    if (text.size() > longest_input) return usage_error(object, "longer than 64 MiB").in("read");
  }
}

}  // namespace

Result<std::string> read_input(const std::string& path) {
  if (path == "-") return read_all(STDIN_FILENO, "standard input");
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int err = errno;
  if (!file.valid()) return system_error("read", path, err);
  return read_all(file.get(), path);
}

}  // namespace egress::cli
