// SPDX-License-Identifier: GPL-2.0
#include "sys/fd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>

namespace egress {
namespace {

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, ClosesWhatItOwns) {
  const int raw = open_null();
  { const Fd fd(raw); }
  EXPECT_FALSE(is_open(raw));
}

TEST(Fd, OwnsNothingAfterAMove) {
  Fd from(open_null());
  const int raw = from.get();
  const Fd to(std::move(from));
  EXPECT_FALSE(from.valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(to.get(), raw);
  EXPECT_TRUE(is_open(raw));
}

TEST(Fd, ClosesWhatItHeldWhenItIsMovedInto) {
  Fd from(open_null());
  Fd to(open_null());
  const int old = to.get(), kept = from.get();
  to = std::move(from);
  EXPECT_FALSE(is_open(old));
  EXPECT_EQ(to.get(), kept);
  EXPECT_TRUE(is_open(kept));
}

TEST(Fd, SurvivesAMoveIntoItself) {
  Fd fd(open_null());
  Fd& same = fd;
  fd = std::move(same);
  EXPECT_TRUE(is_open(fd.get()));
}

TEST(Fd, LeavesADescriptorThatWasGivenAwayOpen) {
  int raw = -1;
  {
    Fd fd(open_null());
    raw = fd.release();
  }
  EXPECT_TRUE(is_open(raw));
  ::close(raw);
}

TEST(Fd, KeepsErrnoWhenItCloses) {
  Fd fd(open_null());
  ::close(fd.get());  // so that closing it again fails
  errno = ENOSPC;
  fd.reset();
  EXPECT_EQ(errno, ENOSPC);
}

TEST(Fd, DuplicatesAreClosedOnExec) {
  const Fd fd(open_null());
  const auto copy = fd.duplicate();
  ASSERT_TRUE(copy.ok());
  EXPECT_NE(copy->get(), fd.get());
  EXPECT_EQ(::fcntl(copy->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(Fd, TellsThatNothingCannotBeDuplicated) {
  const auto copy = Fd().duplicate();
  ASSERT_FALSE(copy.ok());
  EXPECT_EQ(copy.error().code, EBADF);
}

}  // namespace
}  // namespace egress
