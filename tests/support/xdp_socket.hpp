// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <linux/if_xdp.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "support/packet_builder.hpp"

namespace egress::test {

/// An AF_XDP socket that sends, in copy mode, on the first queue of a device.
class XdpSocket {
 public:
  explicit XdpSocket(const char* device) {
    fd_ = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || !share_memory() || !map_ring() || !bind_to(device)) error_ = errno;
    if (error_ == EAFNOSUPPORT) error_ = ENOSYS;
  }
  XdpSocket(const XdpSocket&) = delete;
  XdpSocket& operator=(const XdpSocket&) = delete;
  ~XdpSocket() {
    if (ring_ != nullptr) munmap(ring_, ring_size());
    munmap(frames_, size);
    if (fd_ >= 0) close(fd_);
  }

  /// An errno if there is no such socket; ENOSYS if the kernel has none.
  [[nodiscard]] int error() const { return error_; }

  /// The first frame of a new socket: 0 or an errno.
  [[nodiscard]] int send(const ByteList& frame) const {
    std::memcpy(frames_, frame.data(), std::min<std::size_t>(frame.size(), size));
    auto* descriptors = reinterpret_cast<xdp_desc*>(ring_ + offsets_.tx.desc);
    descriptors[0] = {0, static_cast<__u32>(frame.size()), 0};
    __atomic_store_n(reinterpret_cast<__u32*>(ring_ + offsets_.tx.producer), 1, __ATOMIC_RELEASE);
    return sendto(fd_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
  }

 private:
  static constexpr std::size_t size = 4096;
  static constexpr int entries = 4;

  bool set(int option, const void* value, socklen_t length) const {
    return setsockopt(fd_, SOL_XDP, option, value, length) == 0;
  }

  [[nodiscard]] std::size_t ring_size() const { return offsets_.tx.desc + entries * sizeof(xdp_desc); }

  [[nodiscard]] bool share_memory() {
    frames_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uintptr_t>(frames_);
    memory.len = size;
    memory.chunk_size = size;
    return set(XDP_UMEM_REG, &memory, sizeof(memory)) && set(XDP_UMEM_FILL_RING, &entries, sizeof(entries)) &&
           set(XDP_UMEM_COMPLETION_RING, &entries, sizeof(entries)) && set(XDP_TX_RING, &entries, sizeof(entries));
  }

  [[nodiscard]] bool map_ring() {
    socklen_t length = sizeof(offsets_);
    if (getsockopt(fd_, SOL_XDP, XDP_MMAP_OFFSETS, &offsets_, &length) != 0) return false;
    void* ring = mmap(nullptr, ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, XDP_PGOFF_TX_RING);
    if (ring == MAP_FAILED) return false;
    ring_ = static_cast<std::uint8_t*>(ring);
    return true;
  }

  [[nodiscard]] bool bind_to(const char* device) const {
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_flags = XDP_COPY;
    address.sxdp_ifindex = if_nametoindex(device);
    // The kernel takes a closed socket off the queue when it gets to it.
    for (int tries = 0; tries < 2000; ++tries) {
      if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return true;
      if (errno != EBUSY) return false;
      usleep(1000);
    }
    return false;
  }

  int fd_ = -1;
  int error_ = 0;
  void* frames_ = nullptr;
  std::uint8_t* ring_ = nullptr;
  xdp_mmap_offsets offsets_{};
};

}  // namespace egress::test
