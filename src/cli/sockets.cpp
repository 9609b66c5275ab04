// SPDX-License-Identifier: GPL-2.0
#include "cli/sockets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/session.hpp"

namespace egress::cli {
namespace {

constexpr std::size_t longest_list = 10;

std::string many(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string holders_text(const std::vector<int>& pids) {
  std::string out = pids.size() == 1 ? " of pid" : " of pids";
  for (std::size_t i = 0; i < std::min(pids.size(), longest_list); ++i) {
    out += fmt::format("{} {}", i == 0 ? "" : ",", pids[i]);
  }
  return out + (pids.size() > longest_list ? ", ..." : "");
}

std::string cut_note(const CutReport& cut) {
  std::string note = fmt::format("cut {}", many(cut.destroyed, "established socket"));
  if (cut.late > 0) {
    note += fmt::format(" ({} of them connected meanwhile: such a peer learns of it when it sends next)", cut.late);
  }
  return note;
}

std::string not_cut_note(const CutReport& cut) {
  if (cut.kept == 0) return fmt::format("perhaps not every established socket was cut: {}", cut.problem);
  return fmt::format(
      "{} not cut: {}; what they send is dropped while the rules hold and may arrive later (restart their processes)",
      many(cut.kept, "established socket"), cut.problem);
}

std::size_t udp_sockets(const std::vector<Socket>& sockets) {
  return static_cast<std::size_t>(std::ranges::count(sockets, protocol::udp, &Socket::protocol));
}

Json socket_json(const Socket& socket, const std::optional<std::string>& cgroup) {
  constexpr std::string_view states[] = {"unconnected", "listening", "connected"};
  Json json;
  json["protocol"] = socket.protocol == protocol::udp ? "udp" : "tcp";
  json["state"] = states[static_cast<std::size_t>(socket.state)];
  json["local"] = {{"address", format(socket.local)}, {"port", socket.local_port}};
  json["remote"] = nullptr;
  if (socket.state == Socket::State::Connected) {
    json["remote"] = {{"address", format(socket.remote)}, {"port", socket.remote_port}};
  }
  json["cgroup_id"] = static_cast<std::uint64_t>(socket.cgroup);
  json["cgroup"] = cgroup ? Json(*cgroup) : Json(nullptr);
  json["pids"] = socket.holders;
  return json;
}

/// systemd makes the listeners that it hands to services in the cgroups of their .socket units.
std::string birth_text(const Socket& socket, const std::optional<std::string>& cgroup) {
  if (cgroup && cgroup->ends_with(".socket")) {
    return fmt::format("made in cgroup {} (reached by rules for unit {})", *cgroup,
                       cgroup->substr(cgroup->rfind('/') + 1));
  }
  if (cgroup) return fmt::format("made in cgroup {}", *cgroup);
  return fmt::format("made in cgroup id {}, which is gone or elsewhere", static_cast<std::uint64_t>(socket.cgroup));
}

}  // namespace

Result<Established> established_of(const Options& options) {
  if (!options.established) return Established::ByAction;
  if (*options.established == "keep") return Established::Keep;
  if (*options.established == "cut") return Established::Cut;
  return usage_error(fmt::format("--established \"{}\"", *options.established), "no such word", "keep or cut");
}

template <typename Rules>
Result<SocketsOfRules> SocketsOfRules::look(const Context& context, const Filter& filter, const Rules& rules) {
  SocketsOfRules sockets;
  sockets.kill_ = context.options().kill_sockets;
  Session session = own_session(filter);
  // What is stopped is asked for the rail alone.
  const auto may_refuse = [&] { return !context.options().yes_really && (session.ssh || ancestors_hold_sockets()); };
  auto reach = filter.reach(rules, session.ssh ? std::span(&*session.ssh, 1) : std::span<const Socket>(), may_refuse);
  if (!reach) {
    sockets.reach_.problem = reach.error().message();
    return sockets;
  }
  if (!context.options().yes_really && !reach->stopped.empty()) {
    ask_ancestors(session);
    if (auto refused = session_rail(*reach, session)) return *std::move(refused);
  }
  sockets.reach_ = *std::move(reach);
  sockets.name_origins(filter);
  return sockets;
}

template Result<SocketsOfRules> SocketsOfRules::look(const Context&, const Filter&, const Addition&);
template Result<SocketsOfRules> SocketsOfRules::look(const Context&, const Filter&, const Policy&);

void SocketsOfRules::settle(const Context& context, const Filter& filter) {
  cut_ = filter.cut();
  if (context.options().kill_sockets) killed_ = filter.destroy(reach_.foreign);
}

void SocketsOfRules::add_to(Json& json) const {
  json["cut"] = cut_.destroyed;
  json["not_cut"] = cut_.kept;
  json["foreign_sockets"] = Json::array();
  for (const Socket& socket : reach_.foreign) {
    json["foreign_sockets"].push_back(socket_json(socket, origin_of(socket)));
  }
  json["killed"] = killed_.destroyed;
}

void SocketsOfRules::name_origins(const Filter& filter) {
  for (const Socket& socket : reach_.foreign) {
    if (origins_.contains(socket.cgroup)) continue;
    if (auto path = filter.path_of(socket.cgroup)) origins_.emplace(socket.cgroup, *std::move(path));
  }
}

std::optional<std::string> SocketsOfRules::origin_of(const Socket& socket) const {
  const auto found = origins_.find(socket.cgroup);
  return found == origins_.end() ? std::nullopt : std::optional{found->second};
}

std::vector<std::string> SocketsOfRules::notes() const {
  std::vector<std::string> notes;
  if (cut_.destroyed > 0) notes.push_back(cut_note(cut_));
  if (cut_.kept > 0 || !cut_.problem.empty()) notes.push_back(not_cut_note(cut_));
  if (!reach_.problem.empty()) notes.push_back("cannot tell which sockets are not reached: " + reach_.problem);
  if (reach_.foreign.empty()) return notes;
  notes.push_back(fmt::format("{} of the subject's processes made in other cgroups, not reached by the rules{}:",
                              many(reach_.foreign.size(), "socket"),
                              kill_ ? "" : " (restart the processes, or --kill-sockets)"));
  for (std::size_t i = 0; i < std::min(reach_.foreign.size(), longest_list); ++i) {
    const Socket& socket = reach_.foreign[i];
    notes.push_back(
        fmt::format("  {}{}, {}", format(socket), holders_text(socket.holders), birth_text(socket, origin_of(socket))));
  }
  if (reach_.foreign.size() > longest_list) {
    notes.push_back(fmt::format("  and {} more", reach_.foreign.size() - longest_list));
  }
  if (!kill_) return notes;
  notes.push_back(fmt::format("destroyed {} of them", killed_.destroyed));
  if (killed_.kept > 0) notes.push_back(fmt::format("{} are still there: {}", killed_.kept, killed_.problem));
  if (udp_sockets(reach_.foreign) > 0) {
    notes.push_back("UDP sockets are disconnected only: their processes can use them again, past the rules");
  }
  return notes;
}

int SocketsOfRules::report(const Context& context) const {
  for (const std::string& note : notes()) context.note(note);
  const bool unreached = kill_ ? killed_.kept > 0 || udp_sockets(reach_.foreign) > 0 : !reach_.foreign.empty();
  const bool unknown = !reach_.problem.empty() || !cut_.problem.empty() || !killed_.problem.empty();
  return context.options().strict && (unreached || unknown || cut_.kept > 0) ? exit_not_in_force : exit_done;
}

}  // namespace egress::cli
