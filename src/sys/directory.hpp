// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <dirent.h>
#include <fcntl.h>

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "sys/fd.hpp"

namespace egress {

/// How a directory is opened that may not be a link.
inline constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

using DirectoryStream = std::unique_ptr<DIR, int (*)(DIR*)>;

/// A stream over an open directory, which it takes. Without memory it ends as operator new does: a caller that went on
/// would pass over what is in there.
[[nodiscard]] inline DirectoryStream stream_of(Fd directory) {
  DirectoryStream stream(::fdopendir(directory.get()), ::closedir);
  if (stream) {
    static_cast<void>(directory.release());
    return stream;
  }
  if (const auto handler = std::get_new_handler()) handler();
  throw std::bad_alloc();
}

/// Whether `holds(descriptor of the directory, name)` of an entry but . and .., asked until it does; false if the
/// directory is gone, or not ours to look at.
template <typename Holds>
bool any_entry(const std::string& directory, Holds holds) {
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return false;
  const DirectoryStream stream = stream_of(std::move(fd));
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && holds(::dirfd(stream.get()), entry->d_name)) return true;
  }
  return false;
}

/// Calls `visit(descriptor of the directory, name)` for each entry, as any_entry() does.
template <typename Visit>
void for_each_entry(const std::string& directory, Visit visit) {
  (void)any_entry(directory, [&visit](int fd, const char* name) {
    visit(fd, name);
    return false;
  });
}

}  // namespace egress
