// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "support/net_lab.hpp"

namespace egress::test {

// What most tests send to: the laboratory's peer answers at each of these addresses.
constexpr std::uint16_t port = 0x1234;
inline const Endpoint forbidden{"203.0.113.7", port};
inline const Endpoint permitted{"203.0.113.8", port};
inline const Endpoint forbidden6{"2001:db8:bad::1", port};
inline const Endpoint permitted6{"2001:db8:bad::2", port};
constexpr SocketHandle none{-1};
constexpr uid_t nobody = 65534;

/// A test with a Lab of its own.
class NetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
    if (cgroup2_mount().empty()) GTEST_SKIP() << "needs cgroup v2";
    lab_ = std::make_unique<Lab>();
  }
  void TearDown() override {
    if (!lab_) return;
    EXPECT_EQ(lab_->peer().unseen(), 0U) << "the peer did not see every frame: counts are not exact";
  }

  [[nodiscard]] const Lab& lab() const { return *lab_; }

  /// Runs a command that must succeed.
  Outcome done(const std::string& line, const std::string& input = {}) const {
    Outcome outcome = lab_->egress(line, input);
    EXPECT_EQ(outcome.status, 0) << "egress " << line << "\n" << outcome.text();
    return outcome;
  }

  /// Adds rules by a command that must succeed; their ids.
  std::vector<std::uint32_t> added(const std::string& line) const {
    const nlohmann::json said = done(line + " -o json").json();
    if (!said.is_object() || !said.contains("ids")) {
      ADD_FAILURE() << "egress " << line << " -o json: no ids: " << said.dump();
      return {};
    }
    return said["ids"].get<std::vector<std::uint32_t>>();
  }

  /// The rule of this id in `ls`; null if it is not there.
  [[nodiscard]] nlohmann::json listed(std::uint32_t id) const {
    for (const nlohmann::json& rule : lab_->list()) {
      if (rule.value("id", 0U) == id) return rule;
    }
    return nullptr;
  }

 private:
  std::unique_ptr<Lab> lab_;
};

/// Asks until it is so; false after `bound`.
template <typename Condition>
[[nodiscard]] bool eventually(std::chrono::milliseconds bound, const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// A number of repetitions that EGRESS_TEST_SCALE replaces for longer runs. Sanitized commands take five times as
/// long and do the same: a sixth of them will do.
[[nodiscard]] inline std::uint64_t scaled(std::uint64_t usual) {
#ifdef EGRESS_SANITIZED
  usual = (usual + 5) / 6;
#endif
  const char* text = std::getenv("EGRESS_TEST_SCALE");
  const std::uint64_t chosen = text != nullptr ? std::strtoull(text, nullptr, 10) : 0;
  return chosen > 0 ? chosen : usual;  // "full" is for the tests that know it
}

/// The parameters of a suite. Sanitized, one in `share`: which packets pass does not depend on how the command was
/// compiled.
template <typename Cases>
[[nodiscard]] auto share_of(const Cases& cases, [[maybe_unused]] std::size_t share) {
  std::vector<std::remove_cvref_t<decltype(*std::begin(cases))>> chosen(std::begin(cases), std::end(cases));
#ifdef EGRESS_SANITIZED
  std::size_t at = 0;
  std::erase_if(chosen, [&](const auto&) { return at++ % share != 0; });
#endif
  return ::testing::ValuesIn(chosen);
}

}  // namespace egress::test
