// SPDX-License-Identifier: GPL-2.0
#include <fmt/format.h>

#include "cli/command.hpp"

namespace egress::cli {

Result<int> verb_export(Context& context) {
  if (auto none = context.no_words(); !none) return none.error();
  const auto filter = context.open();
  if (!filter) return filter.error();
  const auto policies = filter->policies();
  if (!policies) return policies.error();
  bool found = false;
  for (const Policy& policy : *policies) {
    if (context.options().name && policy.name != *context.options().name) continue;
    if (found) context.print("---\n");
    context.print(format(policy));
    found = true;
  }
  if (found || !context.options().name) return exit_done;
  return Error{.kind = ErrorKind::NotFound,
               .operation = "export",
               .object = fmt::format("policy {}", *context.options().name),
               .cause = "no such policy",
               .remedy = "see egress export",
               .code = 0};
}

}  // namespace egress::cli
