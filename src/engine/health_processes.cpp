// SPDX-License-Identifier: GPL-2.0
/// What processes can send past the hooks (failures A7, B7, B8).
#include <map>

#include "engine/finding_kinds.hpp"
#include "sys/cgroup.hpp"
#include "sys/mountinfo.hpp"
#include "sys/process_view.hpp"
#include "sys/processes.hpp"

namespace egress {
namespace {

/// Processes of which the same is to be said; some of them are named.
class Culprits {
 public:
  void add(int pid, const std::string& what) {
    if (count_++ < named) text_ += (text_.empty() ? "" : ", ") + std::to_string(pid) + " (" + what + ")";
  }
  /// "process 7 (dhclient in /app)", "5 processes, among them 7 (…), 8 (…), 9 (…)"
  [[nodiscard]] std::string text() const {
    if (count_ == 1) return "process " + text_;
    return std::to_string(count_) + " processes" + (count_ > named ? ", among them " : ": ") + text_;
  }
  [[nodiscard]] bool any() const { return count_ > 0; }

 private:
  static constexpr std::size_t named = 3;
  std::size_t count_ = 0;
  std::string text_;
};

/// A process of a subject that rules cut off.
struct Suspect {
  std::string subject;
  bool refused = false;  ///< packet sockets are refused to it
};

void add_suspects(const CgroupTree& tree, const Rule& rule, std::map<int, Suspect>& suspects) {
  if (rule.action != Action::Drop && rule.action != Action::Reject) return;
  for (const CgroupId id : rule.cgroups) {
    const auto path = tree.path_of(id);
    if (!path) continue;
    for (const int pid : processes_in(tree, *path, rule.subject.scope)) {
      Suspect& suspect = suspects.try_emplace(pid, Suspect{format(rule.subject), false}).first->second;
      suspect.refused |= rule.no_packet_sockets;
    }
  }
}

void examine_suspects(const std::map<int, Suspect>& suspects, Findings& findings) {
  ProcessViewer viewer;
  Culprits tun;
  Culprits packet;
  Culprits able;
  for (const auto& [pid, suspect] : suspects) {
    const ProcessReach reach = viewer.reach_of(pid);
    const std::string what = reach.name + " of " + suspect.subject;
    if (reach.has_tun) tun.add(pid, what);
    if (reach.has_packet_socket) packet.add(pid, what);
    if (reach.may_open_packet_sockets && !suspect.refused) able.add(pid, what);
  }
  if (tun.any()) report(findings, "tun-open", tun.text() + ": /dev/net/tun is open, whose packets meet no hook");
  if (packet.any()) report(findings, "packet-socket", packet.text() + ": a packet socket is open, which meets no hook");
  if (able.any()) {
    report(findings, "may-open-packet-sockets",
           able.text() + ": CAP_NET_RAW is in effect, which opens packet sockets, and they meet no hook");
  }
}

void examine_v1(const CgroupTree& tree, Findings& findings) {
  if (!tree.is_hybrid()) return;
  Culprits outside;
  for (const int pid : all_processes()) {
    const std::string at = "/proc/" + std::to_string(pid);
    Result<std::string> cgroups = read_proc_file(at + "/cgroup");
    if (!cgroups || !is_in_v1_only(*cgroups)) continue;
    Result<std::string> name = read_proc_file(at + "/comm");
    outside.add(pid, name ? name->substr(0, name->find('\n')) : std::string("?"));
  }
  if (!outside.any()) return;
  report(findings, "v1-only-processes",
         outside.text() + ": in cgroups of version 1 only, where no rule by cgroup or unit reaches");
}

}  // namespace

std::vector<Finding> examine_processes(const Instance& instance) {
  Findings findings;
  Result<CgroupTree> tree = CgroupTree::open(instance.cgroup_root);
  Result<Filter> filter = Filter::open(instance);
  if (!tree || !filter) return findings;
  examine_v1(*tree, findings);
  Result<std::vector<Rule>> rules = filter->rules();
  if (!rules) return findings;
  std::map<int, Suspect> suspects;
  for (const Rule& rule : *rules) add_suspects(*tree, rule, suspects);
  examine_suspects(suspects, findings);
  return findings;
}

}  // namespace egress
