// SPDX-License-Identifier: GPL-2.0
#include "egress/rule.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "core/escape.hpp"
#include "drop_egress_by_cgroup.h"

namespace egress {
namespace {

constexpr std::array<std::pair<std::string_view, Action>, 4> actions{
    {{"drop", Action::Drop}, {"reject", Action::Reject}, {"audit", Action::Audit}, {"allow", Action::Allow}}};

std::optional<Error> check_component(std::string_view path, std::string_view name) {
  if (name == "." || name == "..") {
    return usage_error(quote(path), fmt::format("{} cannot be part of a cgroup path", name),
                       "write the path from the root of the enforced subtree");
  }
  if (name.size() >= EGRESS_NAME_MAX) {
    return usage_error(quote(path), fmt::format("{} is {} bytes long", quote(name), name.size()),
                       fmt::format("a cgroup name has at most {} bytes", EGRESS_NAME_MAX - 1));
  }
  return std::nullopt;
}

}  // namespace

std::string_view format(Subject::Kind kind) {
  switch (kind) {
    case Subject::Kind::Path:
      return "cgroup";
    case Subject::Kind::Unit:
      return "unit";
    case Subject::Kind::Id:
      return "id";
  }
  return "subject";
}

std::string_view format(Action action) {
  for (const auto& [name, value] : actions) {
    if (value == action) return name;
  }
  return "none";
}

Result<Action> parse_action(std::string_view text) {
  for (const auto& [name, value] : actions) {
    if (name == text) return value;
  }
  return usage_error(quote(text), "unknown action", "drop, reject, audit or allow");
}

std::string format(const Subject& subject) {
  const std::string_view only = subject.scope == Subject::Scope::Only ? " only" : "";
  return fmt::format("{} {}{}", format(subject.kind), escape(subject.name), only);
}

Result<std::string> canonical_cgroup_path(std::string_view text) {
  if (text.empty()) return usage_error({}, "an empty cgroup path", "the root of the enforced subtree is /");
  if (text.find_first_of(std::string_view("\0\n", 2)) != std::string_view::npos) {
    return usage_error(quote(text), "no cgroup name holds a zero byte or a line break");
  }
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (name.empty()) continue;
    if (auto error = check_component(text, name)) return *std::move(error);
    out.append("/").append(name);
  }
  if (out.size() >= EGRESS_PATH_MAX) {
    return usage_error(quote(text), fmt::format("the path is {} bytes long", out.size()),
                       fmt::format("at most {}", EGRESS_PATH_MAX - 1));
  }
  return out.empty() ? std::string("/") : out;
}

}  // namespace egress
