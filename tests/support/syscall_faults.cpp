// SPDX-License-Identifier: GPL-2.0
#include "support/syscall_faults.hpp"

#include <unistd.h>

#include <cstring>
#include <fstream>

namespace egress::test {

std::string Fault::text() const {
  const std::string number = std::to_string(at);
  return error == 0 ? "killed before call " + number : "call " + number + " fails: " + std::strerror(error);
}

Faulted run_with_fault(const Lab& lab, const Words& arguments, const Fault& fault) {
  const std::string log = lab.directory() + "/fault";
  ::unlink(log.c_str());
  Invocation call = lab.invocation(arguments);
  call.environment.insert(call.environment.end(),
                          {{"LD_PRELOAD", EGRESS_SYSCALL_FAULTS},
                           {"EGRESS_FAULT_AT", std::to_string(fault.at)},
                           {"EGRESS_FAULT_ERRNO", std::to_string(fault.error)},
                           {"EGRESS_FAULT_CALLS", fault.calls == Fault::Calls::All ? "all" : "changes"},
                           {"EGRESS_FAULT_LOG", log},
                           {"ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0"}});
  Faulted result{run(call), {}};
  std::ifstream said(log);
  std::string word;
  if (fault.at == 0) {
    said >> word >> result.calls;
  } else {
    std::getline(said, result.hit);
  }
  return result;
}

}  // namespace egress::test
