// SPDX-License-Identifier: GPL-2.0
#include "cli/json.hpp"

#include <algorithm>

namespace egress::cli {
namespace {

std::string dump_value(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

std::uint32_t number(RuleId id) { return static_cast<std::uint32_t>(id); }

Json subject_json(const Subject& subject) {
  Json json;
  json["kind"] = format(subject.kind);
  json["name"] = subject.name;
  json["scope"] = subject.scope == Subject::Scope::Only ? "only" : "subtree";
  return json;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

double seconds(std::chrono::nanoseconds duration) {
  // Milliseconds are as fine as the datapath's clock; more digits would be noise.
  return static_cast<double>(duration / std::chrono::milliseconds(1)) / 1000.0;
}

Json entries_json(const std::vector<PolicyDiff::Entry>& entries) {
  Json json = Json::array();
  for (const PolicyDiff::Entry& entry : entries) {
    Json item;
    item["id"] = entry.id ? Json(number(*entry.id)) : Json(nullptr);
    item["action"] = format(entry.rule.action);
    item["subject"] = subject_json(entry.subject);
    item["destination"] = format(entry.rule.destination);
    item["ttl_s"] = entry.rule.lifetime ? Json(seconds(*entry.rule.lifetime)) : Json(nullptr);
    item["reason"] = text_or_null(entry.rule.reason);
    item["no_packet_sockets"] = entry.rule.no_packet_sockets;
    json.push_back(std::move(item));
  }
  return json;
}

}  // namespace

std::string dump(const Json& json) {
  const bool lines =
      json.is_array() && !json.empty() && std::ranges::all_of(json, [](const Json& item) { return item.is_object(); });
  if (!lines) return dump_value(json);
  std::string out = "[";
  for (const Json& item : json) out += (out.size() == 1 ? "" : ",\n ") + dump_value(item);
  return out + "]";
}

std::string Clocks::time(BootTime moment) const {
  return format_time(
      wall + std::chrono::duration_cast<std::chrono::system_clock::duration>(moment.since_boot - boot.since_boot));
}

Json to_json(const Rule& rule, const Clocks& now) {
  Json json;
  json["id"] = number(rule.id);
  json["action"] = format(rule.action);
  json["subject"] = subject_json(rule.subject);
  json["subject"]["state"] = rule.cgroups.empty() ? "pending" : "active";
  json["subject"]["cgroup_ids"] = Json::array();
  for (const CgroupId id : rule.cgroups) json["subject"]["cgroup_ids"].push_back(static_cast<std::uint64_t>(id));
  json["destination"] = format(rule.destination);
  json["created_at"] = now.time(rule.created_at);
  json["expires_at"] = nullptr;
  json["ttl_left_s"] = nullptr;
  if (rule.expires_at) {
    json["expires_at"] = now.time(*rule.expires_at);
    json["ttl_left_s"] =
        seconds(std::max(std::chrono::nanoseconds::zero(), rule.expires_at->since_boot - now.boot.since_boot));
  }
  json["packets"] = rule.counts.packets;
  json["bytes"] = rule.counts.bytes;
  json["policy"] = rule.policy ? Json(*rule.policy) : Json(nullptr);
  json["reason"] = text_or_null(rule.reason);
  json["origin"] = rule.origin == Rule::Origin::Map ? "map" : "command";
  json["denied"] = rule.counts.denied;
  json["include_nd"] = rule.include_nd;
  json["no_packet_sockets"] = rule.no_packet_sockets;
  json["role"] = rule.is_default ? Json("default") : rule.is_loopback ? Json("loopback") : Json(nullptr);
  return json;
}

Json to_json(std::span<const Rule> rules, const Clocks& now) {
  Json json = Json::array();
  for (const Rule& rule : rules) json.push_back(to_json(rule, now));
  return json;
}

Json to_json(const Totals& totals) {
  Json json;
  json["packets_processed"] = totals.packets_processed;
  json["packets_dropped"] = totals.packets_dropped;
  json["bytes_dropped"] = totals.bytes_dropped;
  return json;
}

Json to_json(const Explanation& explanation) {
  Json json;
  json["verdict"] = format(explanation.verdict);
  json["rule"] = explanation.rule ? Json(number(explanation.rule->id)) : Json(nullptr);
  json["audit"] = Json::array();
  for (const RuleId id : explanation.audit) json["audit"].push_back(number(id));
  json["path"] = Json::array();
  for (const Explanation::Step& step : explanation.path) {
    Json item;
    item["cgroup"] = step.cgroup;
    item["rules_seen"] = step.rules_seen;
    item["verdict"] = format(step.verdict);
    json["path"].push_back(std::move(item));
  }
  return json;
}

Json to_json(const PolicyDiff& diff) {
  Json json;
  json["added"] = entries_json(diff.added);
  json["removed"] = entries_json(diff.removed);
  json["kept"] = entries_json(diff.kept);
  return json;
}

Json ids_json(std::span<const RuleId> ids) {
  Json json;
  json["ids"] = Json::array();
  for (const RuleId id : ids) json["ids"].push_back(number(id));
  return json;
}

std::string_view format(Explanation::Verdict verdict) {
  switch (verdict) {
    case Explanation::Verdict::Pass:
      return "pass";
    case Explanation::Verdict::Drop:
      return "drop";
    case Explanation::Verdict::Reject:
      return "reject";
  }
  return "";
}

}  // namespace egress::cli
