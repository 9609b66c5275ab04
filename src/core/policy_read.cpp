// SPDX-License-Identifier: GPL-2.0
#include <algorithm>

#include "core/decimal.hpp"
#include "core/destination_list.hpp"
#include "core/escape.hpp"
#include "core/policy_fields.hpp"
#include "drop_egress_by_cgroup.h"
#include "egress/policy.hpp"

namespace egress {
namespace {

/// Reads one policy file; collects problems and goes on as far as that makes sense.
class PolicyReader {
 public:
  PolicyReader(const std::string& source, const ListReader& read_list, Problems& problems)
      : source_(source), read_list_(read_list), problems_(problems), seen_(problems) {}

  [[nodiscard]] Policy read(const YamlNode& root);

 private:
  void read_name(const Fields& fields);
  void read_defaults(const Fields& fields);
  void read_default_verdict(const Fields& fields);
  void read_subjects(const Fields& fields);
  void read_subject(const YamlNode& node);
  void read_rules(const Fields& fields);
  void read_rule(const YamlNode& node);
  void read_lists(const Fields& fields);
  void read_packet_sockets(const Fields& fields);
  void read_list_entry(const YamlNode& node);

  [[nodiscard]] std::optional<RuleSpec> pattern(const Fields& fields) const;
  [[nodiscard]] const std::vector<YamlNode>& items(const Fields& fields, const YamlNode* node, const char* key) const;
  [[nodiscard]] std::optional<std::string> list_text(const Fields& fields, const std::string& path) const;
  void add_destination(const RuleSpec& pattern, const YamlNode& node, const Fields& fields);
  void add_rule(const RuleSpec& pattern, const PlacedDestination& placed, const std::string& source);

  const std::string& source_;
  const ListReader& read_list_;
  Problems& problems_;
  DestinationRegister seen_;
  Policy policy_;
};

Policy PolicyReader::read(const YamlNode& root) {
  const Fields fields(
      root, "policy",
      {"policy", "ttl", "reason", "subjects", "default", "loopback", "include_nd", "packet_sockets", "rules", "lists"},
      source_, problems_);
  if (root.kind != YamlNode::Kind::Map) return {};
  read_name(fields);
  read_defaults(fields);  // before the rules, which take them
  read_subjects(fields);
  read_rules(fields);
  read_lists(fields);
  read_packet_sockets(fields);
  return std::move(policy_);
}

void PolicyReader::read_name(const Fields& fields) {
  if (!fields.require("policy")) return;
  const std::optional<std::string> name = fields.text("policy");
  if (!name) return;
  policy_.name = *name;
  const bool printable = escape(*name) == *name;
  if (printable && !name->empty() && name->size() < EGRESS_TEXT_MAX) return;
  fields.complain(fields.find("policy")->at, "policy", "a name has 1 to 255 bytes of printable UTF-8");
}

void PolicyReader::read_defaults(const Fields& fields) {
  policy_.lifetime = fields.lifetime("ttl").value_or(default_lifetime);
  policy_.reason = fields.reason("reason").value_or("");
  policy_.loopback = fields.boolean("loopback").value_or(true);
  policy_.include_nd = fields.boolean("include_nd").value_or(false);
  read_default_verdict(fields);
}

void PolicyReader::read_default_verdict(const Fields& fields) {
  const std::optional<std::string> word = fields.text("default");
  if (!word) return;
  policy_.default_deny = *word == "deny";
  if (policy_.default_deny || *word == "allow") return;
  fields.complain(fields.find("default")->at, "default", quote(*word) + " is neither allow nor deny");
}

/// The members of a sequence; of anything else none, and a problem.
const std::vector<YamlNode>& PolicyReader::items(const Fields& fields, const YamlNode* node, const char* key) const {
  static const std::vector<YamlNode> none;
  if (!node) return none;
  if (node->kind == YamlNode::Kind::Sequence) return node->items;
  fields.complain(node->at, key, "not a list");
  return none;
}

/// A subject's name as the library writes it.
Result<std::string> canonical_name(Subject::Kind kind, const std::string& text) {
  if (text.find('\0') != std::string::npos) return usage_error(quote(text), "holds a zero byte");
  switch (kind) {
    case Subject::Kind::Path:
      return canonical_cgroup_path(text);
    case Subject::Kind::Unit: {
      const bool usable = !text.empty() && text != "." && text != ".." && text.find('/') == std::string::npos;
      if (usable && text.size() < EGRESS_NAME_MAX) return text;
      return usage_error(quote(text), "not the name of a unit", "one path component of 1 to 255 bytes");
    }
    case Subject::Kind::Id:
      if (parse_decimal(text).value_or(0) != 0) return text;
      return usage_error(quote(text), "not a cgroup id", "a decimal number above 0");
  }
  return usage_error(quote(text), "unknown kind of subject");
}

struct SubjectKey {
  std::string_view key;
  Subject::Kind kind;
};
constexpr SubjectKey subject_keys[] = {
    {"unit", Subject::Kind::Unit}, {"cgroup", Subject::Kind::Path}, {"id", Subject::Kind::Id}};

void PolicyReader::read_subject(const YamlNode& node) {
  const Fields fields(node, "subject", {"unit", "cgroup", "id", "only"}, source_, problems_);
  if (node.kind != YamlNode::Kind::Map) return;
  const auto given = [&fields](const SubjectKey& key) { return fields.has(key.key); };
  if (std::ranges::count_if(subject_keys, given) != 1)
    return fields.complain(node.at, "subject", "names not exactly one of unit, cgroup and id");
  const SubjectKey& key = *std::ranges::find_if(subject_keys, given);
  const bool only = fields.boolean("only").value_or(false);
  const std::optional<std::string> text = fields.text(key.key);
  if (!text) return;
  Result<std::string> name = canonical_name(key.kind, *text);
  if (!name) return fields.complain(fields.find(key.key)->at, name.error());
  Subject subject{.kind = key.kind, .name = *std::move(name)};
  if (only) subject.scope = Subject::Scope::Only;
  policy_.subjects.push_back(std::move(subject));
}

void PolicyReader::read_subjects(const Fields& fields) {
  const YamlNode* node = fields.require("subjects");
  const std::vector<YamlNode>& subjects = items(fields, node, "subjects");
  if (node && node->kind == YamlNode::Kind::Sequence && subjects.empty())
    fields.complain(node->at, "subjects", "none", "name at least one unit, cgroup or id");
  std::map<Subject, Position> seen;
  for (const YamlNode& subject : subjects) {
    const std::size_t before = policy_.subjects.size();
    read_subject(subject);
    if (policy_.subjects.size() == before) continue;
    const auto [entry, is_new] = seen.try_emplace(policy_.subjects.back(), subject.at);
    if (!is_new)
      fields.complain(subject.at, format(entry->first),
                      "duplicate subject, first at " + format(source_, entry->second));
  }
}

bool cuts_off(const RuleSpec& rule) { return rule.action == Action::Drop || rule.action == Action::Reject; }

/// Whether `a` ends before `b`.
bool ends_before(const RuleSpec& a, const RuleSpec& b) {
  if (!cuts_off(a) || !cuts_off(b)) return cuts_off(b) && !cuts_off(a);
  return a.lifetime && (!b.lifetime || *a.lifetime < *b.lifetime);
}

/// What all rules of one entry share; nullopt without a usable action.
std::optional<RuleSpec> PolicyReader::pattern(const Fields& fields) const {
  RuleSpec rule;
  rule.lifetime = fields.lifetime("ttl").value_or(policy_.lifetime);
  rule.reason = fields.reason("reason").value_or(policy_.reason);
  rule.include_nd = fields.boolean("include_nd").value_or(policy_.include_nd);
  const std::optional<Action> action = fields.action("action");
  rule.action = action.value_or(Action::Drop);
  rule.no_packet_sockets = fields.refusal("packet_sockets").value_or(false);
  if (rule.no_packet_sockets && !cuts_off(rule)) {
    fields.complain(fields.find("packet_sockets")->at, "packet_sockets", "is for rules that drop or reject");
  }
  return action ? std::optional(std::move(rule)) : std::nullopt;
}

void PolicyReader::add_rule(const RuleSpec& pattern, const PlacedDestination& placed, const std::string& source) {
  if (policy_.default_deny && placed.destination == Destination{}) {
    problems_.add(
        source, placed.at,
        usage_error("any", "default: deny has a rule for it already", "leave this out, or say default: allow"));
    return;
  }
  if (!seen_.add(placed.destination, source, placed.at)) return;
  RuleSpec rule = pattern;
  rule.destination = placed.destination;
  policy_.rules.push_back(std::move(rule));
}

void PolicyReader::add_destination(const RuleSpec& pattern, const YamlNode& node, const Fields& fields) {
  if (node.kind != YamlNode::Kind::Scalar) return fields.complain(node.at, "to", "not a destination");
  const Result<Destination> destination = parse_destination(node.text);
  if (!destination) return fields.complain(node.at, destination.error());
  add_rule(pattern, {*destination, node.at}, source_);
}

void PolicyReader::read_rule(const YamlNode& node) {
  const Fields fields(node, "rule", {"action", "to", "ttl", "reason", "include_nd", "packet_sockets"}, source_,
                      problems_);
  if (node.kind != YamlNode::Kind::Map) return;
  // Without an action the destinations are read all the same, for their own problems.
  const RuleSpec rule = pattern(fields).value_or(RuleSpec{});
  const YamlNode* to = fields.require("to");
  if (!to) return;
  if (to->kind == YamlNode::Kind::Scalar) return add_destination(rule, *to, fields);
  const std::vector<YamlNode>& destinations = items(fields, to, "to");
  if (to->kind == YamlNode::Kind::Sequence && destinations.empty()) fields.complain(to->at, "to", "no destination");
  for (const YamlNode& destination : destinations) add_destination(rule, destination, fields);
}

void PolicyReader::read_rules(const Fields& fields) {
  for (const YamlNode& rule : items(fields, fields.find("rules"), "rules")) read_rule(rule);
}

std::optional<std::string> PolicyReader::list_text(const Fields& fields, const std::string& path) const {
  const Position at = fields.find("file")->at;
  if (path.empty() || path.find('\0') != std::string::npos) {
    fields.complain(at, "file", "not a path");
    return std::nullopt;
  }
  if (!read_list_) {
    fields.complain(at, path, "lists cannot be read here");
    return std::nullopt;
  }
  Result<std::string> text = read_list_(path);
  if (text) return *std::move(text);
  fields.complain(at, text.error());
  return std::nullopt;
}

void PolicyReader::read_list_entry(const YamlNode& node) {
  const Fields fields(node, "list", {"action", "file", "ttl", "reason", "include_nd"}, source_, problems_);
  if (node.kind != YamlNode::Kind::Map) return;
  const RuleSpec rule = pattern(fields).value_or(RuleSpec{});
  if (!fields.require("file")) return;
  const std::optional<std::string> path = fields.text("file");
  if (!path) return;
  const std::optional<std::string> text = list_text(fields, *path);
  if (!text) return;
  for (const PlacedDestination& placed : read_destination_list(*text, *path, problems_)) add_rule(rule, placed, *path);
}

void PolicyReader::read_lists(const Fields& fields) {
  for (const YamlNode& list : items(fields, fields.find("lists"), "lists")) read_list_entry(list);
}

/// Of the whole policy it is a matter of one rule: the closing one, or the first of those that last longest.
void PolicyReader::read_packet_sockets(const Fields& fields) {
  if (!fields.refusal("packet_sockets").value_or(false)) return;
  policy_.no_packet_sockets = policy_.default_deny;
  if (policy_.default_deny) return;
  const auto longest = std::ranges::max_element(policy_.rules, ends_before);
  if (longest != policy_.rules.end() && cuts_off(*longest)) {
    longest->no_packet_sockets = true;
  } else {
    fields.complain(fields.find("packet_sockets")->at, "packet_sockets", "no rule drops or rejects",
                    "they are refused as long as such a rule lives");
  }
}

}  // namespace

Result<Policy> parse_policy(std::string_view text, const std::string& source, const ListReader& read_list) {
  Problems problems;
  const std::optional<YamlNode> root = read_yaml(text, source, problems);
  if (!root) return problems.error();
  Policy policy = PolicyReader(source, read_list, problems).read(*root);
  if (!problems.empty()) return problems.error();
  return policy;
}

}  // namespace egress
