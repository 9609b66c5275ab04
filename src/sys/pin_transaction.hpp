// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <string>
#include <vector>

#include "egress/error.hpp"
#include "sys/bpffs.hpp"
#include "sys/fd.hpp"
#include "sys/link.hpp"

namespace egress {

/// Pins and program replacements that all happen or none: what was done is undone, last first, unless commit()
/// was called. The directory outlives this.
class PinTransaction {
 public:
  explicit PinTransaction(const PinDirectory& directory) : directory_(directory) {}
  PinTransaction(const PinTransaction&) = delete;
  PinTransaction& operator=(const PinTransaction&) = delete;
  ~PinTransaction();

  /// Pins under a name that is free.
  [[nodiscard]] Result<void> pin(int object_fd, const std::string& name);

  /// Pins under a name whatever it held before; there is no moment without a pin of that name.
  [[nodiscard]] Result<void> replace(int object_fd, const std::string& name);

  /// Pins a link just made, as replace does; undoing detaches it at once. (The kernel detaches a link whose last
  /// pin goes a moment later, on a work queue.)
  [[nodiscard]] Result<void> attach(Link link, const std::string& name);

  /// Gives a cgroup link another program.
  [[nodiscard]] Result<void> update(Link link, int program_fd);

  void commit() { steps_.clear(); }

 private:
  enum class Kind { Pin, Attach, Update };
  struct Step {
    Kind kind;
    std::string name;  ///< of the pin
    Fd link;
    Fd former;  ///< object under the pin before, or program of the link before
  };
  [[nodiscard]] Result<void> rename_over(int object_fd, const std::string& name) const;
  void undo(const Step& step) const;

  const PinDirectory& directory_;
  std::vector<Step> steps_;
};

}  // namespace egress
