// SPDX-License-Identifier: GPL-2.0
#include "support/flood.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <ctime>
#include <thread>
#include <utility>

namespace egress::test {
namespace {

constexpr std::size_t max_stories = 256;
constexpr std::size_t max_stretches = 1024;

}  // namespace

struct Flood::Shared {
  struct Story {
    std::uint64_t size = 0;
    std::array<Stretch, max_stretches> stretches;
  };

  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> rounds{0};
  std::atomic<std::uint64_t> odd{0};
  std::array<Story, max_stories> stories;

  void note(std::size_t story_number, std::uint32_t answer, std::uint64_t start, std::uint64_t end) {
    Story& story = stories[story_number];
    if (story.size == 0 || story.stretches[story.size - 1].answer != answer) {
      if (story.size == max_stretches) {
        ++odd;
        return;
      }
      story.stretches[story.size++] = {answer, 0, start, end, start, end};
    }
    Stretch& last = story.stretches[story.size - 1];
    ++last.count;
    last.last_start = start;
    last.last_end = end;
  }
};

namespace {

/// Sleeps until the next round; a sender that fell behind does not catch up by a burst.
std::uint64_t wait_for_round(std::uint64_t due, std::uint64_t period) {
  const std::uint64_t now = boot_now();
  if (now >= due) return now + period;
  const timespec time{static_cast<time_t>(due / 1'000'000'000), static_cast<long>(due % 1'000'000'000)};
  clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &time, nullptr);
  return due + period;
}

struct Target {
  int socket;
  SocketAddress address;
};

std::vector<Target> targets(const FloodPlan& plan) {
  const int v4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int v6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  std::vector<Target> result;
  for (const Endpoint& to : plan.destinations) result.push_back({to.v6() ? v6 : v4, socket_address(to)});
  return result;
}

template <typename Shared>
void send_one(Shared& shared, const FloodPlan& plan, const Target& target, std::size_t number) {
  static const std::array<char, 64> payload{};
  const std::uint64_t start = boot_now();
  const ssize_t sent =
      sendto(target.socket, payload.data(), payload.size(), 0, target.address.get(), target.address.length);
  const int error = sent < 0 ? errno : 0;
  const std::uint64_t end = boot_now();
  if (error != 0 && error != EPERM) {
    ++shared.odd;
  } else if (plan.which_is_forbidden) {
    shared.note(0, static_cast<std::uint32_t>(error == EPERM ? number : 1 - number), start, end);
  } else {
    shared.note(number, static_cast<std::uint32_t>(error), start, end);
  }
}

template <typename Shared>
int flood(Shared& shared, const FloodPlan& plan) {
  prctl(PR_SET_TIMERSLACK, 1);
  const std::vector<Target> all = targets(plan);
  const auto period = static_cast<std::uint64_t>(plan.period.count());
  std::uint64_t due = boot_now();
  while (!shared.stop) {
    for (std::size_t i = 0; i < all.size(); ++i) send_one(shared, plan, all[i], i);
    ++shared.rounds;
    if (period != 0) due = wait_for_round(due, period);
  }
  return 0;
}

}  // namespace

Flood Flood::start(const ChildPlace& place, const FloodPlan& plan) {
  require(plan.destinations.size() <= max_stories, "flood of too many destinations");
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "share memory");
  auto* shared = static_cast<Shared*>(memory);  // zero bytes are a valid Shared; no page is touched before use
  ChildProcess child = ChildProcess::start(place, {}, [shared, &plan] { return flood(*shared, plan); });
  Flood result(std::move(child), shared);
  result.wait_for_rounds(1);
  return result;
}

Flood::Flood(Flood&& other) noexcept
    : child_(std::move(other.child_)), shared_(std::exchange(other.shared_, nullptr)) {}

Flood::~Flood() {
  if (shared_ == nullptr) return;
  child_.signal(SIGKILL);
  munmap(static_cast<void*>(shared_), sizeof(Shared));
}

void Flood::stop() {
  shared_->stop = true;
  require(child_.wait(std::chrono::seconds(10)).has_value(), "stop flood");
}

std::uint64_t Flood::rounds() const { return shared_->rounds; }

void Flood::wait_for_rounds(std::uint64_t more) const {
  const std::uint64_t target = rounds() + more;
  const std::uint64_t end = boot_now() + 10'000'000'000ULL;
  while (rounds() < target && boot_now() < end) std::this_thread::sleep_for(std::chrono::microseconds(200));
  errno = ETIMEDOUT;
  require(rounds() >= target, "wait for flood");
}

std::vector<Stretch> Flood::story(std::size_t destination) const {
  const Shared::Story& story = shared_->stories[destination];
  return {story.stretches.begin(), story.stretches.begin() + static_cast<std::ptrdiff_t>(story.size)};
}

std::uint64_t Flood::odd() const { return shared_->odd; }

std::uint64_t Flood::passed(std::size_t destination) const {
  std::uint64_t sum = 0;
  for (const Stretch& stretch : story(destination)) sum += stretch.answer == 0 ? stretch.count : 0;
  return sum;
}

}  // namespace egress::test
