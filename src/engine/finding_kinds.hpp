// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "egress/health.hpp"

/// The catalogue of findings. A code that is not in it does not compile.
namespace egress {

using Findings = std::vector<Finding>;

namespace catalogue {

using enum Finding::Severity;

inline constexpr std::array kinds{
    // Of the instance.
    FindingKind{"not-loaded", Problem, "egress load"},
    FindingKind{"links-missing", Problem, "egress load attaches again and keeps the rules"},
    FindingKind{"link-missing", Problem, "egress load attaches again and keeps the rules"},
    FindingKind{"link-detached", Problem, "egress unload, then egress load"},
    FindingKind{"root", Problem, "name the root the instance was loaded for: --cgroup-root DIR"},
    FindingKind{"canary-passed", Problem, "egress load; see the other findings"},
    FindingKind{"canary-failed", Warning, "see what it says; egress doctor again"},
    FindingKind{"pin-dir-unsafe", Problem,
                "whoever may write there can take the filter off: chown root, chmod 0700, egress load"},
    FindingKind{"pins-hidden", Warning, "take off what is mounted over it, or egress load pins it again"},
    FindingKind{"pins-missing", Warning, "egress load pins them again"},
    FindingKind{"pins-replaced", Problem, "egress unload, then egress load and make the rules again"},
    FindingKind{"other-version", Warning, "it keeps enforcing; use that version, or egress unload, then egress load"},
    FindingKind{"bind-failed", Problem, "egress unload, then egress load --max-rules N with a larger N"},
    FindingKind{"rules-80", Note, "remove rules, or load with more: egress load --max-rules N"},
    FindingKind{"rules-90", Warning, "remove rules, or load with more: egress load --max-rules N"},
    FindingKind{"uncounted", Warning, "remove rules that are not needed; all of them are enforced"},
    FindingKind{"maintenance-stuck", Warning, "the next change repairs it, for example: egress load"},
    FindingKind{"sweep-late", Warning, "egress load starts it again"},
    FindingKind{"creation-open", Problem, "egress load; where the kernel cannot, take CAP_NET_RAW from the processes"},
    FindingKind{"creation-missed", Warning, "boot with preempt=none or voluntary; egress doctor lists open ones"},
    // Parts of the datapath that this kernel refused.
    FindingKind{"no-packets", Problem, "egress load says what this kernel refused"},
    FindingKind{"no-sockets", Warning, "reject acts as drop; egress load says what this kernel refused"},
    FindingKind{"no-names", Warning, "make rules after their cgroups; egress load says what this kernel refused"},
    FindingKind{"no-sweep", Warning, "none needed: rules end in time; egress load says what this kernel refused"},
    FindingKind{"no-clock", Warning, "run egress in the initial time namespace; egress load says what was refused"},
    FindingKind{"no-creation", Note, "take CAP_NET_RAW from processes; egress load says what this kernel refused"},
    FindingKind{"no-destroy", Note, "restart the processes after making the rule"},
    // Of what others attached.
    FindingKind{"foreign-detachable", Warning, "have its owner attach it by a link"},
    FindingKind{"foreign-displaced", Warning, "have its owner attach it by a link, or enforce a subtree without it"},
    FindingKind{"foreign-blocks", Problem, "enforce a subtree that does not hold it, or have its owner take it off"},
    FindingKind{"foreign-exclusive", Note, "load no instance with a root there; have its owner attach it by a link"},
    FindingKind{"foreign-replaceable", Note, "have its owner attach it by a link"},
    FindingKind{"foreign-after-ours", Note, "its packets are dropped all the same"},
    FindingKind{"no-place", Problem, "see `bpftool cgroup show` and take one off"},
    FindingKind{"places-full", Note, "see `bpftool cgroup show` before anything else is attached"},
    // Of devices guarded strictly.
    FindingKind{"strict-lost", Problem, "egress strict on again"},
    FindingKind{"strict-not-first", Warning, "egress strict off, then on: the last to come is the first"},
    // Of the machine and the caller.
    FindingKind{"cgroup-namespace", Problem, "run it on the host, or name a subtree with --cgroup-root"},
    FindingKind{"time-namespace", Warning, "run it on the host if deadlines look wrong"},
    FindingKind{"v1-network-controllers", Problem, "unmount net_cls and net_prio, or use kernel 5.15"},
    FindingKind{"v1-only-processes", Note, "move them into a cgroup of version 2, or start them with: egress run"},
    // Of processes that rules are about.
    FindingKind{"tun-open", Warning, "end the process, or judge what it sends: egress strict on --container-of PID"},
    FindingKind{"packet-socket", Warning,
                "end the process, or judge what it sends: egress strict; --no-packet-sockets refuses new ones"},
    FindingKind{"may-open-packet-sockets", Note, "take CAP_NET_RAW away, or make the rule with --no-packet-sockets"},
};

}  // namespace catalogue

/// A code of the catalogue.
class Code {
 public:
  consteval Code(const char* code) : kind_(&*std::ranges::find(catalogue::kinds, code, &FindingKind::code)) {
    if (kind_ == catalogue::kinds.end()) throw "not in the catalogue";  // at compile time
  }
  [[nodiscard]] const FindingKind& kind() const { return *kind_; }

 private:
  const FindingKind* kind_;
};

/// Adds what the catalogue says of the code.
inline void report(Findings& findings, Code code, std::string text) {
  const FindingKind& kind = code.kind();
  findings.push_back({std::string(kind.code), kind.severity, std::move(text), std::string(kind.remedy)});
}

}  // namespace egress
