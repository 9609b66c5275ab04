// SPDX-License-Identifier: GPL-2.0
// Any bytes as destination, duration, time, cgroup path and text to escape: nothing crashes, what is read is
// printed so that it reads back the same, and what is refused is told in a short, printable line.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/encode.hpp"
#include "core/escape.hpp"
#include "egress/destination.hpp"
#include "egress/rule.hpp"

namespace egress {
namespace {

/// Ends the run with what failed; asserts may be compiled out.
void require(bool holds, const char* what, std::string_view input) {
  if (holds) return;
  std::fprintf(stderr, "%s: %s\n", what, escape(input).c_str());
  std::abort();
}

void check_error(const Error& error, std::string_view input) {
  constexpr std::size_t longest_message = 800;  // two quotes of 60 bytes, each byte escaped to four
  const std::string message = error.message();
  require(error.kind == ErrorKind::Usage, "a bad text is a usage error", input);
  require(!message.empty() && message.size() < longest_message, "an error is short", input);
  require(escape(message) == message, "an error is printable", input);
}

void check_records(const Destination& destination, std::string_view input) {
  RuleSpec spec;
  spec.destination = destination;
  const RulePlace place{.id = RuleId{1}, .set = 1, .comes = 1, .created_at = {std::chrono::seconds(5)}};
  const egress_rule record = encode_rule(spec, place);
  const auto rule = decode_rule(record);
  require(rule.ok() && spec_of(*rule) == spec, "a record holds the rule", input);
  for (const Family family : families(destination)) {
    const egress_shape shape = shape_of(record, family, EGRESS_CHAIN_PLAIN);
    const bool v6 = (shape.kind & EGRESS_KIND_V6) != 0;
    require(v6 == (family == Family::V6) && shape.plen <= (v6 ? 128 : 32), "a shape is of its family", input);
    require(applies_to(record, family), "a rule applies to the families of its destination", input);
  }
}

void check_destination(std::string_view input) {
  const auto destination = parse_destination(input);
  if (!destination) return check_error(destination.error(), input);
  const std::string text = format(*destination);
  const auto again = parse_destination(text);
  require(again.ok() && *again == *destination, "a destination survives format and parse", input);
  require(format(*again) == text, "the canonical text stays as it is", input);
  check_records(*destination, input);
}

void check_address(std::string_view input) {
  const auto address = parse_address(input);
  if (!address) return check_error(address.error(), input);
  const auto again = parse_address(format(*address));
  require(again.ok() && *again == *address, "an address survives format and parse", input);
}

void check_duration(std::string_view input) {
  const auto duration = parse_duration(input);
  if (!duration) return check_error(duration.error(), input);
  require(duration->count() > 0 && *duration <= longest_lifetime, "a duration is within its limits", input);
  const std::string text = format_duration(*duration);
  const auto again = parse_duration(text);
  const bool tenths = text.find('.') != std::string::npos;
  require(tenths || (again.ok() && *again <= *duration), "a duration is printed rounded down", input);
}

void check_time(std::string_view input) {
  const auto time = parse_time(input);
  if (!time) return check_error(time.error(), input);
  // A year at the edge of the range can leave it by its offset; then only printing is promised.
  const auto again = parse_time(format_time(*time));
  require(!again.ok() || *again == std::chrono::floor<std::chrono::seconds>(*time), "a time survives", input);
}

void check_path(std::string_view input) {
  const auto path = canonical_cgroup_path(input);
  if (!path) return check_error(path.error(), input);
  const auto again = canonical_cgroup_path(*path);
  require(again.ok() && *again == *path && path->front() == '/', "a canonical path stays as it is", input);
}

void check_escape(std::string_view input) {
  const std::string escaped = escape(input);
  require(is_utf8(escaped) && escape(escaped) == escaped, "escaped text is printable", input);
}

}  // namespace
}  // namespace egress

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  egress::check_destination(input);
  egress::check_address(input);
  egress::check_duration(input);
  egress::check_time(input);
  egress::check_path(input);
  egress::check_escape(input);
  return 0;
}
