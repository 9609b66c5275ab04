// SPDX-License-Identifier: GPL-2.0
//
// Any text: parse_policy returns a policy or an error, and what it accepts survives writing and reading.
// The same text is also tried as a list file.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "egress/policy.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

egress::Result<std::string> small_list(const std::string&) { return std::string("198.51.100.9\n203.0.113.0/24:1-9\n"); }

void check_policy(std::string_view text) {
  const egress::Result<egress::Policy> policy = egress::parse_policy(text, "p", small_list);
  if (!policy) {
    require(policy.error().kind == egress::ErrorKind::Usage);
    require(!policy.error().message().empty());
    return;
  }
  require(!policy->name.empty() && !policy->subjects.empty());
  require(policy->expand().size() >= policy->rules.size());
  const egress::Result<egress::Policy> again = egress::parse_policy(egress::format(*policy), "p", small_list);
  require(again.ok());
  require(*again == *policy);
}

void check_list(std::string_view text) {
  const auto list = egress::parse_destination_list(text, "l");
  if (!list) {
    require(list.error().message().starts_with("l:"));
    return;
  }
  std::string written;
  for (const egress::Destination& destination : *list) written += egress::format(destination) + "\n";
  const auto again = egress::parse_destination_list(written, "l");
  require(again.ok() && *again == *list);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_policy(text);
  check_list(text);
  return 0;
}
