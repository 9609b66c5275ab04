// SPDX-License-Identifier: GPL-2.0
#include "engine/cut.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "engine/names.hpp"

namespace egress {

namespace {

/// The cgroups that a subject names now.
std::vector<std::string> paths_of(const World& world, const Subject& subject) {
  if (subject.kind == Subject::Kind::Path) {
    return world.cgroup_at(subject.name) ? std::vector{subject.name} : std::vector<std::string>{};
  }
  const auto ids = subject.kind == Subject::Kind::Id ? std::vector{id_of(subject)} : world.cgroups_named(subject.name);
  std::vector<std::string> paths;
  for (const CgroupId id : ids) {
    if (auto path = world.path_of(id)) paths.push_back(std::move(*path));
  }
  return paths;
}

bool exist(const World& world, std::span<const Subject> subjects) {
  return std::ranges::any_of(subjects, [&world](const Subject& subject) { return !paths_of(world, subject).empty(); });
}

/// Who of the subjects' processes holds a socket, and a cgroup that is judged as theirs.
struct Holders {
  std::string path;
  std::vector<int> pids;
};

std::map<std::uint64_t, Holders> holders_of(const World& world, const Prospect& prospect) {
  std::map<std::uint64_t, Holders> found;
  for (const Subject& subject : prospect.subjects) {
    for (const std::string& path : paths_of(world, subject)) {
      for (const HeldSocket& held : world.held_sockets(path, subject.scope)) {
        Holders& holders = found.try_emplace(held.inode, Holders{path, {}}).first->second;
        if (std::ranges::count(holders.pids, held.pid) == 0) holders.pids.push_back(held.pid);
      }
    }
  }
  return found;
}

bool same_connection(const Socket& a, const Socket& b) {
  return a.protocol == b.protocol && a.state == b.state && a.local == b.local && a.local_port == b.local_port &&
         a.remote == b.remote && a.remote_port == b.remote_port;
}

bool is_connected(const Socket& socket) { return socket.state == Socket::State::Connected; }

bool is_stopped(Prediction& prediction, const Socket& socket) {
  const auto path = is_connected(socket) ? prediction.path_of(socket) : std::nullopt;
  return path && prediction.stops(*path, socket);
}

/// Whether the rules do not see a socket that a process of theirs holds, and would if they did.
bool is_foreign(Prediction& prediction, const Socket& socket, const std::string& holder) {
  const auto path = prediction.path_of(socket);
  if (path ? prediction.covers(*path) : prediction.covers_all()) return false;
  // A connected UDP socket may send elsewhere, too.
  const bool peer_is_known = is_connected(socket) && socket.protocol == protocol::tcp;
  return peer_is_known ? prediction.stops(holder, socket).has_value() : prediction.could_stop(holder, socket);
}

std::string reason_text(int err) {
  if (err == EOPNOTSUPP) return "this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)";
  return system_error("destroy socket", {}, err).message();
}

/// Adds what became of sockets to a report; those that were gone already count as nothing.
void count(World& world, std::span<const Socket> sockets, CutReport& report) {
  for (const int err : world.destroy(sockets)) {
    if (err == 0) ++report.destroyed;
    if (err == 0 || err == ENOENT) continue;
    ++report.kept;
    report.problem = reason_text(err);
  }
}

}  // namespace

Reach reach_of(World& world, const Prospect& prospect, std::span<const Socket> supposed,
               const std::function<bool()>& wants_stopped) {
  Reach reach;
  if (!prospect.closes() || !exist(world, prospect.subjects)) return reach;
  const auto holders = holders_of(world, prospect);
  if (holders.empty() && wants_stopped && !wants_stopped()) return reach;
  SocketListing listing = world.sockets();
  reach.problem = std::move(listing.problem);
  for (const Socket& socket : supposed) {
    const auto same = [&socket](const Socket& other) { return same_connection(socket, other); };
    if (std::ranges::none_of(listing.sockets, same)) listing.sockets.push_back(socket);
  }
  Prediction prediction(world, prospect);
  for (Socket& socket : listing.sockets) {
    const auto held = socket.inode == 0 ? holders.end() : holders.find(socket.inode);
    if (held != holders.end()) socket.holders = held->second.pids;
    if (is_stopped(prediction, socket)) {
      reach.stopped.push_back(std::move(socket));
    } else if (held != holders.end() && is_foreign(prediction, socket, held->second.path)) {
      reach.foreign.push_back(std::move(socket));
    }
  }
  return reach;
}

CutReport destroy_sockets(World& world, std::span<const Socket> sockets) {
  CutReport report;
  count(world, sockets, report);
  if (report.kept > 0 || sockets.empty()) return report;
  // The kernel looks a socket up by its addresses: of several that listen on one port it may find another, and says
  // that there is none. A listener that was destroyed may still be bound.
  const SocketListing left = world.sockets();
  for (const Socket& socket : sockets) {
    const auto same = [&socket](const Socket& other) { return other.key == socket.key && other.state == socket.state; };
    if (socket.protocol == protocol::tcp && std::ranges::any_of(left.sockets, same)) ++report.kept;
  }
  if (report.kept > 0) report.problem = "the kernel did not find them again";
  if (report.problem.empty()) report.problem = left.problem;
  report.destroyed = sockets.size() - report.kept;
  return report;
}

bool Cutter::wants(std::span<const Subject> subjects, std::span<const RuleSpec> rules) const {
  if (established_ == Established::Keep) return false;
  const bool stops = std::ranges::any_of(rules, [this](const RuleSpec& rule) {
    return rule.action == Action::Reject || (rule.action == Action::Drop && established_ == Established::Cut);
  });
  return stops && exist(world_, subjects);
}

Result<void> Cutter::prepare(Tables& tables, const Addition& addition) {
  const bool for_list = !addition.list.empty() && wants({&addition.subject, 1}, {&addition.of_list, 1});
  if (!for_list && !wants({&addition.subject, 1}, addition.rules)) return {};
  auto prospect = prospect_of(tables, world_, addition);
  if (!prospect) return std::move(prospect).error();
  prospect_ = std::move(*prospect);
  return {};
}

void Cutter::prepare(const Policy& policy) {
  if (wants(policy.subjects, policy.expand())) prospect_ = prospect_of(policy);
}

std::vector<Socket> Cutter::targets() {
  SocketListing listing = world_.sockets();
  if (!listing.problem.empty()) report_.problem = std::move(listing.problem);
  Prediction prediction(world_, *prospect_);
  std::erase_if(listing.sockets, [&](const Socket& socket) {
    const auto path = is_connected(socket) ? prediction.path_of(socket) : std::nullopt;
    const auto action = path ? prediction.stops(*path, socket) : std::nullopt;
    return !action || (established_ == Established::ByAction && *action != Action::Reject);
  });
  return std::move(listing.sockets);
}

void Cutter::cut() {
  if (!prospect_) return;
  CutReport stroke;
  count(world_, targets(), stroke);
  // What was kept is tried, and counted, again.
  report_.destroyed = stroke.destroyed;
}

Error Cutter::told_in(Error error) const {
  if (report_.destroyed > 0) {
    error.cause += "; " + std::to_string(report_.destroyed) + " established sockets were cut already";
  }
  return error;
}

CutReport Cutter::cut_again() {
  if (!prospect_) return report_;
  CutReport stroke;
  count(world_, targets(), stroke);
  report_.destroyed += stroke.destroyed;
  report_.late = stroke.destroyed;
  report_.kept = stroke.kept;
  if (!stroke.problem.empty()) report_.problem = std::move(stroke.problem);
  return report_;
}

}  // namespace egress
