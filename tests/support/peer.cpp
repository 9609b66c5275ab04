// SPDX-License-Identifier: GPL-2.0
#include "support/peer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <span>
#include <thread>
#include <vector>

#include "support/sniffer.hpp"

namespace egress::test {
namespace {

enum class Ask { TakeDatagrams, AcceptConnections, Arrived, Stream, Unseen };

struct Question {
  Ask ask = Ask::Unseen;
  FrameKey frame{};
  bool any_address = true, any_port = true, any_protocol = true, any_from_port = true;
};

struct Answer {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

/// The process behind Peer.
class Receiver {
 public:
  Receiver(const Channel& channel, const std::string& device) : channel_(channel), sniffer_(device) {
    channel_.send(Answer{});
  }

  int run() {
    for (;;) {
      std::vector<pollfd> files = watched();
      poll(files.data(), files.size(), -1);
      sniffer_.drain();
      for (const pollfd& file : std::span(files).subspan(2)) {
        if (file.revents != 0) serve(file.fd);
      }
      if (files[0].revents != 0 && !answer()) return 0;
    }
  }

 private:
  /// The channel, the sniffer, then what serve() reads. It must not read the sniffer's frames.
  [[nodiscard]] std::vector<pollfd> watched() const {
    std::vector<pollfd> files{{channel_.fd(), POLLIN, 0}, {sniffer_.fd(), POLLIN, 0}};
    for (const int fd : datagram_sockets_) files.push_back({fd, POLLIN, 0});
    for (const auto& [fd, port] : listeners_) files.push_back({fd, POLLIN, 0});
    for (const auto& [fd, port] : streams_) files.push_back({fd, POLLIN, 0});
    return files;
  }

  void serve(int fd) {
    static std::array<char, 65536> buffer;
    if (const auto listener = listeners_.find(fd); listener != listeners_.end()) {
      const int stream = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (stream < 0) return;
      streams_[stream] = listener->second;
      ++totals_[listener->second].packets;
      return;
    }
    const auto stream = streams_.find(fd);
    for (;;) {
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got > 0 && stream != streams_.end()) totals_[stream->second].bytes += static_cast<std::uint64_t>(got);
      if (got > 0) continue;
      const bool over = got == 0 || (errno != EAGAIN && errno != EINTR);
      if (stream != streams_.end() && over) {
        close(fd);
        streams_.erase(stream);
      }
      return;
    }
  }

  bool answer() {
    Question question;
    if (!channel_.receive(question)) return false;
    Answer answer;
    switch (question.ask) {
      case Ask::TakeDatagrams:
        for (const int protocol : {IPPROTO_UDP, IPPROTO_UDPLITE}) open(question.frame.port, SOCK_DGRAM, protocol);
        break;
      case Ask::AcceptConnections:
        open(question.frame.port, SOCK_STREAM, IPPROTO_TCP);
        break;
      case Ask::Arrived:
        answer = sum(question);
        break;
      case Ask::Stream:
        answer = totals_[question.frame.port];
        break;
      case Ask::Unseen:
        answer.packets = sniffer_.unseen();
        break;
    }
    channel_.send(answer);
    return true;
  }

  [[nodiscard]] Answer sum(const Question& question) const {
    Answer total;
    for (const auto& [key, arrived] : sniffer_.frames()) {
      const bool counts = (question.any_address || key.to == question.frame.to) &&
                          (question.any_port || key.port == question.frame.port) &&
                          (question.any_protocol || key.protocol == question.frame.protocol) &&
                          (question.any_from_port || key.from_port == question.frame.from_port);
      if (!counts) continue;
      total.packets += arrived.packets;
      total.bytes += arrived.bytes;
    }
    return total;
  }

  void open(std::uint16_t port, int type, int protocol) {
    const int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0 && protocol == IPPROTO_UDPLITE) return;  // gone in newer kernels
    const SocketAddress address = socket_address({"::", port});
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    require(bind(fd, address.get(), address.length) == 0, "bind peer's socket");
    if (type == SOCK_DGRAM) {
      datagram_sockets_.push_back(fd);
      return;
    }
    require(listen(fd, 128) == 0, "listen");
    listeners_[fd] = port;
  }

  const Channel& channel_;
  Sniffer sniffer_;
  std::vector<int> datagram_sockets_;
  std::map<int, std::uint16_t> listeners_;
  std::map<int, std::uint16_t> streams_;
  std::map<std::uint16_t, Answer> totals_;  ///< by port: connections and bytes read
};

template <typename Condition>
bool wait_until(std::chrono::milliseconds bound, const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace

Peer Peer::start(int netns, const std::string& device) {
  auto [ours, theirs] = Channel::make();
  const Channel& end = theirs;
  ChildPlace place;
  place.netns = netns;
  ChildProcess child =
      ChildProcess::start(place, {theirs.fd()}, [&end, &device] { return Receiver(end, device).run(); });
  Answer ready;
  require(ours.receive(ready), "start peer");
  return Peer(std::move(ours), std::move(child));
}

void Peer::take_datagrams(std::uint16_t port) const {
  Question question{Ask::TakeDatagrams};
  question.frame.port = port;
  (void)channel_.call<Answer>(question);
}

void Peer::accept_connections(std::uint16_t port) const {
  Question question{Ask::AcceptConnections};
  question.frame.port = port;
  (void)channel_.call<Answer>(question);
}

Arrived Peer::arrived(const Arrivals& arrivals) const {
  Question question{Ask::Arrived};
  if (arrivals.to) question.frame.to = address_key(*arrivals.to);
  question.frame.port = arrivals.port.value_or(0);
  question.frame.protocol = arrivals.protocol.value_or(0);
  question.frame.from_port = arrivals.from_port.value_or(0);
  question.any_address = !arrivals.to;
  question.any_port = !arrivals.port;
  question.any_protocol = !arrivals.protocol;
  question.any_from_port = !arrivals.from_port;
  const Answer answer = channel_.call<Answer>(question);
  return {answer.packets, answer.bytes};
}

Arrived Peer::datagrams(const Endpoint& to) const { return arrived({to.address, to.port, IPPROTO_UDP, {}}); }

bool Peer::wait_for(const Arrivals& arrivals, std::uint64_t packets, std::chrono::milliseconds bound) const {
  return wait_until(bound, [&] { return arrived(arrivals).packets >= packets; });
}

std::uint64_t Peer::stream_bytes(std::uint16_t port) const {
  Question question{Ask::Stream};
  question.frame.port = port;
  return channel_.call<Answer>(question).bytes;
}

bool Peer::wait_for_stream(std::uint16_t port, std::uint64_t bytes, std::chrono::milliseconds bound) const {
  return wait_until(bound, [&] { return stream_bytes(port) >= bytes; });
}

std::uint64_t Peer::connections(std::uint16_t port) const {
  Question question{Ask::Stream};
  question.frame.port = port;
  return channel_.call<Answer>(question).packets;
}

std::uint64_t Peer::unseen() const { return channel_.call<Answer>(Question{Ask::Unseen}).packets; }

}  // namespace egress::test
