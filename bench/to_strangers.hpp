// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <bpf/libbpf.h>

#include <map>
#include <memory>

#include "egress/destination.hpp"
#include "sys/fd.hpp"

namespace egress::bench {

/// Programs that judge a packet as others do that are loaded, over the same maps, but each time by another
/// destination: the next of the strangers.
class ToStrangers {
 public:
  explicit ToStrangers(Family family);

  /// The one that does what `program` does. There until this object goes.
  [[nodiscard]] int program_like(int program);

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  using Object = std::unique_ptr<bpf_object, Close>;

  [[nodiscard]] Object load_like(int program) const;

  Fd strangers_, next_;
  std::map<int, Object> objects_;  ///< by the program that they are like
};

}  // namespace egress::bench
