// SPDX-License-Identifier: GPL-2.0
#include "sys/kernel_release.hpp"

#include <sys/utsname.h>

#include <charconv>

namespace egress {

bool release_older_than(std::string_view release, unsigned major, unsigned minor) {
  const char* const end = release.data() + release.size();
  unsigned is_major = 0;
  unsigned is_minor = 0;
  const auto [rest, error] = std::from_chars(release.data(), end, is_major);
  if (error != std::errc() || rest == end || *rest != '.') return false;
  if (std::from_chars(rest + 1, end, is_minor).ec != std::errc()) return false;
  return is_major < major || (is_major == major && is_minor < minor);
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : std::string();
}

}  // namespace egress
