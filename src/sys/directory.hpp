// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <dirent.h>

#include <memory>
#include <new>

#include "sys/fd.hpp"

namespace egress {

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

}  // namespace egress
