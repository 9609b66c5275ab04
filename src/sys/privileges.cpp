// SPDX-License-Identifier: GPL-2.0
#include "sys/privileges.hpp"

#include <linux/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "sys/kernel_release.hpp"
#include "sys/mountinfo.hpp"

namespace egress {
namespace {

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

struct Needed {
  int number;
  const char* name;
};

// CAP_SYS_ADMIN is asked for because objects are found by id (BPF_*_GET_FD_BY_ID). It implies the other two.
constexpr std::array needed{Needed{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, Needed{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
                            Needed{CAP_BPF, "CAP_BPF"}, Needed{CAP_PERFMON, "CAP_PERFMON"}};

bool has(std::uint64_t effective, int capability) { return (effective >> capability) & 1; }

Result<std::uint64_t> effective_capabilities() {
  Result<std::string> status = read_proc_file("/proc/self/status");
  if (!status) return std::move(status).error();
  constexpr std::string_view label = "CapEff:\t";
  const std::size_t at = status->find(label);
  std::uint64_t bits = 0;
  if (at != std::string::npos) {
    const char* first = status->data() + at + label.size();
    std::from_chars(first, status->data() + status->size(), bits, 16);
  }
  return bits;
}

}  // namespace

std::vector<std::string> missing_capabilities(std::uint64_t effective) {
  std::vector<std::string> missing;
  const bool admin = has(effective, CAP_SYS_ADMIN);
  for (const Needed& one : needed) {
    const bool implied = admin && (one.number == CAP_BPF || one.number == CAP_PERFMON);
    if (!implied && !has(effective, one.number)) missing.emplace_back(one.name);
  }
  return missing;
}

Result<void> require_load_privileges() {
  Result<std::uint64_t> effective = effective_capabilities();
  if (!effective) return std::move(effective).error();
  std::string list;
  for (const std::string& name : missing_capabilities(*effective)) list += (list.empty() ? "" : ", ") + name;
  if (list.empty()) return {};
  return Error{ErrorKind::NotPermitted, "load", {}, "missing " + list, "run it as root", EPERM};
}

Result<void> require_kernel_btf() {
  if (::access("/sys/kernel/btf/vmlinux", R_OK) == 0) return {};
  const int err = errno;
  return Error{ErrorKind::Failed,
               "load",
               "/sys/kernel/btf/vmlinux",
               "this kernel does not tell its types (BTF)",
               "use a kernel built with CONFIG_DEBUG_INFO_BTF",
               err};
}

std::string memlock_hint() {
  rlimit limit{};
  if (!release_older_than(kernel_release(), 5, 11) || ::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return {};
  if (limit.rlim_cur == RLIM_INFINITY) return {};
  return "this kernel charges maps to the locked-memory limit, now " + std::to_string(limit.rlim_cur) +
         " bytes: raise it (ulimit -l unlimited) or load with fewer rules";
}

}  // namespace egress
