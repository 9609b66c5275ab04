// SPDX-License-Identifier: GPL-2.0
#include "sys/processes.hpp"

#include <unistd.h>

#include <optional>
#include <string_view>

#include "core/decimal.hpp"
#include "sys/directory.hpp"
#include "sys/mountinfo.hpp"

namespace egress {
namespace {

/// "socket:[4711]"
std::optional<std::uint64_t> socket_inode(std::string_view link) {
  constexpr std::string_view head = "socket:[";
  if (!link.starts_with(head) || !link.ends_with(']')) return std::nullopt;
  return parse_digits(link.substr(head.size(), link.size() - head.size() - 1));
}

std::optional<std::uint64_t> socket_inode(int directory, const char* name) {
  char link[64];
  const ssize_t length = ::readlinkat(directory, name, link, sizeof link);
  return length > 0 ? socket_inode({link, static_cast<std::size_t>(length)}) : std::nullopt;
}

std::string descriptors_of(int pid) { return "/proc/" + std::to_string(pid) + "/fd"; }

}  // namespace

std::vector<int> all_processes() {
  std::vector<int> found;
  for_each_entry("/proc", [&found](int, const char* name) {
    if (const auto pid = parse_digits(name)) found.push_back(static_cast<int>(*pid));
  });
  return found;
}

std::vector<int> processes_in(const std::string& cgroup_directory) {
  auto text = read_proc_file(cgroup_directory + "/cgroup.procs");
  if (!text) text = read_proc_file(cgroup_directory + "/cgroup.threads");  // EOPNOTSUPP: a threaded cgroup
  std::vector<int> found;
  if (!text) return found;
  for (std::string_view rest = *text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    if (const auto pid = parse_digits(rest.substr(0, end))) found.push_back(static_cast<int>(*pid));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return found;
}

std::vector<std::uint64_t> socket_inodes_of(int pid) {
  std::vector<std::uint64_t> found;
  for_each_entry(descriptors_of(pid), [&found](int directory, const char* name) {
    if (const auto inode = socket_inode(directory, name)) found.push_back(*inode);
  });
  return found;
}

bool holds_socket(int pid) {
  return any_entry(descriptors_of(pid),
                   [](int directory, const char* name) { return socket_inode(directory, name).has_value(); });
}

int parent_of(int pid) {
  const auto status = read_proc_file("/proc/" + std::to_string(pid) + "/status");
  if (!status) return 0;
  constexpr std::string_view key = "\nPPid:\t";
  const auto at = status->find(key);
  if (at == std::string::npos) return 0;
  const auto begin = at + key.size();
  const std::string_view number = std::string_view(*status).substr(begin, status->find('\n', begin) - begin);
  return static_cast<int>(parse_digits(number).value_or(0));
}

}  // namespace egress
