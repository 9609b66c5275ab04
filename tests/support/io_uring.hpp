// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "support/endpoint.hpp"

namespace egress::test {

/// An io_uring by system calls alone, for one request at a time.
class Ring {
 public:
  /// With 0 or IORING_SETUP_SQPOLL.
  explicit Ring(unsigned flags) {
    io_uring_params parameters{};
    parameters.flags = flags;
    parameters.sq_thread_idle = 50;
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 4, &parameters));
    if (fd_ < 0) return;
    submit_ = map(parameters.sq_off.array + parameters.sq_entries * sizeof(__u32), IORING_OFF_SQ_RING);
    complete_ = map(parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    entries_ = reinterpret_cast<io_uring_sqe*>(map(parameters.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    parameters_ = parameters;
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (fd_ >= 0) close(fd_);
  }

  [[nodiscard]] bool works() const { return fd_ >= 0; }

  /// What the request came to: a value or a negative errno; -ETIME after five seconds.
  [[nodiscard]] int result_of(const io_uring_sqe& request) {
    const auto& at = parameters_.sq_off;
    const std::uint32_t tail = word(submit_, at.tail).load();
    const std::uint32_t slot = tail & word(submit_, at.ring_mask).load();
    entries_[slot] = request;
    reinterpret_cast<__u32*>(submit_ + at.array)[slot] = slot;
    word(submit_, at.tail).store(tail + 1);
    submit(word(submit_, at.flags).load());
    return next_result();
  }

 private:
  std::uint8_t* map(std::size_t size, off_t what) const {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, what);
    return static_cast<std::uint8_t*>(memory);
  }
  static std::atomic_ref<std::uint32_t> word(std::uint8_t* ring, std::uint32_t offset) {
    return std::atomic_ref<std::uint32_t>(*reinterpret_cast<std::uint32_t*>(ring + offset));
  }

  void submit(std::uint32_t state) const {
    const bool polled = (parameters_.flags & IORING_SETUP_SQPOLL) != 0;
    if (!polled) {
      syscall(SYS_io_uring_enter, fd_, 1, 0, 0, nullptr, 0);
    } else if ((state & IORING_SQ_NEED_WAKEUP) != 0) {
      syscall(SYS_io_uring_enter, fd_, 0, 0, IORING_ENTER_SQ_WAKEUP, nullptr, 0);
    }
  }

  [[nodiscard]] int next_result() {
    const auto& at = parameters_.cq_off;
    const std::uint32_t head = word(complete_, at.head).load();
    pollfd file{fd_, POLLIN, 0};
    if (poll(&file, 1, 5000) != 1 || head == word(complete_, at.tail).load()) return -ETIME;
    const auto* results = reinterpret_cast<const io_uring_cqe*>(complete_ + at.cqes);
    const int result = results[head & word(complete_, at.ring_mask).load()].res;
    word(complete_, at.head).store(head + 1);
    return result;
  }

  int fd_ = -1;
  io_uring_params parameters_{};
  std::uint8_t* submit_ = nullptr;
  std::uint8_t* complete_ = nullptr;
  io_uring_sqe* entries_ = nullptr;
};

// ---- Acts of an Actor: requests that the kernel carries out for it

inline int error_of(int result) { return result < 0 ? -result : 0; }

/// The socket of a request; negative errno. IORING_OP_SOCKET came with 5.19.
inline int make_socket(Ring& ring, int type) {
  io_uring_sqe request{};
  request.opcode = IORING_OP_SOCKET;
  request.fd = AF_INET;
  request.off = static_cast<unsigned>(type);
  const int made = ring.result_of(request);
  return made == -EINVAL ? socket(AF_INET, type | SOCK_CLOEXEC, 0) : made;
}

inline int connect_by(Ring& ring, const SocketAddress& to) {
  io_uring_sqe request{};
  request.opcode = IORING_OP_CONNECT;
  request.fd = make_socket(ring, SOCK_STREAM);
  request.addr = reinterpret_cast<std::uintptr_t>(to.get());
  request.off = to.length;
  return error_of(ring.result_of(request));
}

inline int send_by(Ring& ring, const SocketAddress& to) {
  iovec data{const_cast<char*>("secret"), 6};
  SocketAddress address = to;
  msghdr message{};
  message.msg_name = &address.storage;
  message.msg_namelen = address.length;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  io_uring_sqe request{};
  request.opcode = IORING_OP_SENDMSG;
  request.fd = make_socket(ring, SOCK_DGRAM);
  request.addr = reinterpret_cast<std::uintptr_t>(&message);
  request.len = 1;
  return error_of(ring.result_of(request));
}

/// Both requests of a ring with these flags: 0, or the errno of either; ENOTUNIQ if they differ.
template <unsigned flags>
int send_and_connect(int /*socket*/, const SocketAddress& to) {
  Ring ring(flags);
  if (!ring.works()) return ENOSYS;
  const int sent = send_by(ring, to);
  const int connected = connect_by(ring, to);
  return sent == connected ? sent : ENOTUNIQ;
}

template <unsigned flags>
int only_send(int /*socket*/, const SocketAddress& to) {
  Ring ring(flags);
  return ring.works() ? send_by(ring, to) : ENOSYS;
}

}  // namespace egress::test
