// SPDX-License-Identifier: GPL-2.0
#include "sys/process_view.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "core/decimal.hpp"
#include "sys/directory.hpp"
#include "sys/mountinfo.hpp"
#include "sys/processes.hpp"

namespace egress {
namespace {

constexpr unsigned cap_net_raw = 13;  // linux/capability.h
constexpr unsigned misc_major = 10;   // linux/major.h
constexpr unsigned tun_minor = 200;   // linux/miscdevice.h

std::string proc_path(int pid, const char* file) { return "/proc/" + std::to_string(pid) + "/" + file; }

std::string read_or_empty(const std::string& path) {
  Result<std::string> text = read_proc_file(path);
  return text ? *std::move(text) : std::string();
}

void each_line(std::string_view text, const std::function<void(std::string_view)>& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void add_processes(const CgroupTree& tree, const std::string& path, std::set<int>& processes) {
  Result<Fd> cgroup = tree.open_cgroup(path);
  if (!cgroup) return;
  const std::vector<int> found = processes_in("/proc/self/fd/" + std::to_string(cgroup->get()));
  processes.insert(found.begin(), found.end());
}

}  // namespace

bool has_capability(std::string_view proc_status, unsigned number) {
  constexpr std::string_view field = "CapEff:";
  bool has = false;
  each_line(proc_status, [&](std::string_view line) {
    if (!line.starts_with(field)) return;
    const std::string_view digits = line.substr(std::min(line.find_first_not_of(" \t", field.size()), line.size()));
    std::uint64_t capabilities = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), capabilities, 16);
    has = (capabilities >> number & 1) != 0;
  });
  return has;
}

std::set<std::uint64_t> packet_socket_inodes(std::string_view proc_net_packet) {
  std::set<std::uint64_t> inodes;
  each_line(proc_net_packet, [&](std::string_view line) {
    // The last column; the head of the table is no number.
    line = line.substr(0, line.find_last_not_of(' ') + 1);
    const std::size_t blank = line.find_last_of(' ');
    if (blank == std::string_view::npos) return;
    if (const auto inode = parse_digits(line.substr(blank + 1))) inodes.insert(*inode);
  });
  return inodes;
}

bool is_in_v1_only(std::string_view proc_cgroup) {
  bool in_v1 = false;
  each_line(proc_cgroup, [&](std::string_view line) { in_v1 |= !line.starts_with("0::") && !line.ends_with(":/"); });
  return in_v1 && parse_v2_line(proc_cgroup).value_or("/") == "/";
}

std::set<int> processes_in(const CgroupTree& tree, const std::string& path, Subject::Scope scope) {
  std::set<int> processes;
  add_processes(tree, path, processes);
  if (scope == Subject::Scope::Only) return processes;
  const std::string prefix = path == "/" ? path : path + "/";
  tree.walk([&](const std::string& below, const std::string&, CgroupId) {
    if (below.starts_with(prefix)) add_processes(tree, below, processes);
    return true;
  });
  return processes;
}

const std::set<std::uint64_t>& ProcessViewer::packet_sockets_of(int pid) {
  struct stat space {};
  ::stat(proc_path(pid, "ns/net").c_str(), &space);
  const auto [known, fresh] = packet_sockets_.try_emplace(space.st_ino);
  if (fresh) known->second = packet_socket_inodes(read_or_empty(proc_path(pid, "net/packet")));
  return known->second;
}

ProcessReach ProcessViewer::reach_of(int pid) {
  ProcessReach reach;
  reach.pid = pid;
  reach.name = read_or_empty(proc_path(pid, "comm"));
  if (!reach.name.empty() && reach.name.back() == '\n') reach.name.pop_back();
  reach.may_open_packet_sockets = has_capability(read_or_empty(proc_path(pid, "status")), cap_net_raw);
  const std::set<std::uint64_t>& packet_sockets = packet_sockets_of(pid);
  for_each_entry(proc_path(pid, "fd"), [&](int directory, const char* name) {
    struct stat status {};
    if (::fstatat(directory, name, &status, 0) != 0) return;
    reach.has_packet_socket |= S_ISSOCK(status.st_mode) && packet_sockets.contains(status.st_ino);
    reach.has_tun |= S_ISCHR(status.st_mode) && status.st_rdev == makedev(misc_major, tun_minor);
  });
  return reach;
}

}  // namespace egress
