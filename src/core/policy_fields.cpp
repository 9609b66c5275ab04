// SPDX-License-Identifier: GPL-2.0
#include "core/policy_fields.hpp"

#include <algorithm>

#include "core/escape.hpp"
#include "drop_egress_by_cgroup.h"

namespace egress {
namespace {

std::string join(std::initializer_list<std::string_view> words) {
  std::string joined;
  for (const std::string_view word : words) joined += (joined.empty() ? "" : ", ") + std::string(word);
  return joined;
}

}  // namespace

Fields::Fields(const YamlNode& node, std::string object, std::initializer_list<std::string_view> allowed,
               const std::string& source, Problems& problems)
    : object_(std::move(object)), at_(node.at), source_(source), problems_(problems) {
  if (node.kind != YamlNode::Kind::Map) {
    complain(node.at, object_, "not a map", "keys: " + join(allowed));
    return;
  }
  for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) take(node.items[i], node.items[i + 1], allowed);
}

void Fields::take(const YamlNode& key, const YamlNode& value, std::initializer_list<std::string_view> allowed) {
  if (key.kind != YamlNode::Kind::Scalar || std::ranges::find(allowed, key.text) == allowed.end()) {
    const std::string name = key.kind == YamlNode::Kind::Scalar ? " " + quote(key.text) : "";
    complain(key.at, object_, "unknown key" + name, "known keys: " + join(allowed));
    return;
  }
  const auto [entry, is_new] = values_.try_emplace(key.text, &value);
  if (is_new) return;
  complain(key.at, object_,
           "key " + key.text + " comes twice, first with the value at " + format(source_, entry->second->at));
}

const YamlNode* Fields::find(std::string_view key) const {
  const auto entry = values_.find(key);
  return entry == values_.end() ? nullptr : entry->second;
}

const YamlNode* Fields::require(std::string_view key) const {
  const YamlNode* value = find(key);
  if (!value) complain(at_, object_, "key " + std::string(key) + " is missing");
  return value;
}

void Fields::complain(Position at, std::string object, std::string cause, std::string remedy) const {
  problems_.add(source_, at, usage_error(std::move(object), std::move(cause), std::move(remedy)));
}

std::optional<std::string> Fields::text(std::string_view key) const {
  const YamlNode* value = find(key);
  if (!value) return std::nullopt;
  if (value->kind == YamlNode::Kind::Scalar) return value->text;
  complain(value->at, std::string(key), value->kind == YamlNode::Kind::Null ? "value is missing" : "not a plain value");
  return std::nullopt;
}

std::optional<bool> Fields::boolean(std::string_view key) const {
  const std::optional<std::string> word = text(key);
  if (!word) return std::nullopt;
  if (*word == "true") return true;
  if (*word == "false") return false;
  complain(find(key)->at, std::string(key), quote(*word) + " is neither true nor false");
  return std::nullopt;
}

std::optional<Lifetime> Fields::lifetime(std::string_view key) const {
  const std::optional<std::string> word = text(key);
  if (!word) return std::nullopt;
  if (*word == "forever") return Lifetime{};
  const Result<std::chrono::nanoseconds> duration = parse_duration(*word);
  if (duration) return Lifetime{*duration};
  Error error = duration.error();
  error.operation = key;
  complain(find(key)->at, error);
  return std::nullopt;
}

std::optional<std::string> Fields::reason(std::string_view key) const {
  std::optional<std::string> words = text(key);
  if (!words) return std::nullopt;
  const bool usable = is_utf8(*words) && words->find('\0') == std::string::npos;
  if (usable && words->size() < EGRESS_TEXT_MAX) return words;
  complain(find(key)->at, std::string(key), usable ? "longer than 255 bytes" : "not UTF-8 text without zero bytes");
  return std::nullopt;
}

std::optional<bool> Fields::refusal(std::string_view key) const {
  const std::optional<std::string> word = text(key);
  if (!word) return std::nullopt;
  if (*word == "refuse") return true;
  if (*word == "allow") return false;
  complain(find(key)->at, std::string(key), quote(*word) + " is neither refuse nor allow");
  return std::nullopt;
}

std::optional<Action> Fields::action(std::string_view key) const {
  if (!require(key)) return std::nullopt;
  const std::optional<std::string> word = text(key);
  if (!word) return std::nullopt;
  const Result<Action> action = parse_action(*word);
  if (action) return *action;
  complain(find(key)->at, action.error());
  return std::nullopt;
}

}  // namespace egress
