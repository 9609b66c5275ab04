// SPDX-License-Identifier: GPL-2.0
#include "sys/processes.hpp"

#include <unistd.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "sys/directory.hpp"
#include "sys/mountinfo.hpp"

namespace egress {
namespace {

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Calls `visit` with the name of each entry, the directory's descriptor beside it.
template <typename Visit>
void for_each_entry(const std::string& directory, Visit visit) {
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return;  // gone, or not ours to look at
  const DirectoryStream stream = stream_of(std::move(fd));
  while (const dirent* entry = ::readdir(stream.get())) visit(::dirfd(stream.get()), entry->d_name);
}

/// "socket:[4711]"
std::optional<std::uint64_t> socket_inode(std::string_view link) {
  constexpr std::string_view head = "socket:[";
  if (!link.starts_with(head) || !link.ends_with(']')) return std::nullopt;
  return number_of<std::uint64_t>(link.substr(head.size(), link.size() - head.size() - 1));
}

}  // namespace

std::vector<int> all_processes() {
  std::vector<int> found;
  for_each_entry("/proc", [&found](int, const char* name) {
    if (const auto pid = number_of<int>(name)) found.push_back(*pid);
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
    if (const auto pid = number_of<int>(rest.substr(0, end))) found.push_back(*pid);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return found;
}

std::vector<std::uint64_t> socket_inodes_of(int pid) {
  std::vector<std::uint64_t> found;
  for_each_entry("/proc/" + std::to_string(pid) + "/fd", [&found](int directory, const char* name) {
    char link[64];
    const ssize_t length = ::readlinkat(directory, name, link, sizeof link);
    if (length <= 0) return;
    if (const auto inode = socket_inode({link, static_cast<std::size_t>(length)})) found.push_back(*inode);
  });
  return found;
}

int parent_of(int pid) {
  const auto status = read_proc_file("/proc/" + std::to_string(pid) + "/status");
  if (!status) return 0;
  constexpr std::string_view key = "\nPPid:\t";
  const auto at = status->find(key);
  if (at == std::string::npos) return 0;
  const auto begin = at + key.size();
  return number_of<int>(std::string_view(*status).substr(begin, status->find('\n', begin) - begin)).value_or(0);
}

}  // namespace egress
