// SPDX-License-Identifier: GPL-2.0
#include "cli/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "cli/grammar.hpp"
#include "sys/processes.hpp"

namespace egress::cli {
namespace {

/// The text up to the next blank, which is taken off.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

/// An address without its zone ("fe80::1%eth0"), which sockets tell of elsewhere.
std::optional<Address> take_address(std::string_view& text) {
  const std::string_view word = take_word(text);
  const auto address = parse_address(word.substr(0, word.find('%')));
  return address ? std::optional{*address} : std::nullopt;
}

std::optional<std::uint16_t> take_port(std::string_view& text) {
  const auto port = parse_number(take_word(text), 1, 65535);
  return port ? std::optional{static_cast<std::uint16_t>(*port)} : std::nullopt;
}

bool same_ends(const Socket& a, const Socket& b) {
  return a.local == b.local && a.local_port == b.local_port && a.remote == b.remote && a.remote_port == b.remote_port;
}

bool is_own(const Socket& socket, const Session& session) {
  if (socket.protocol != protocol::tcp) return false;
  return session.inherited.contains(socket.inode) || (session.ssh && same_ends(socket, *session.ssh));
}

/// The id of the caller's own cgroup; 0 if that is not below the enforced root.
CgroupId own_cgroup(const Filter& filter) {
  const auto subject = filter.subject_of_pid(::getpid(), Subject::Scope::Only);
  return CgroupId{subject ? parse_number(subject->name, 1, UINT64_MAX).value_or(0) : 0};
}

}  // namespace

std::optional<Socket> parse_ssh_connection(std::string_view text) {
  const auto client = take_address(text);
  const auto client_port = take_port(text);
  const auto server = take_address(text);
  const auto server_port = take_port(text);
  if (!client || !client_port || !server || !server_port) return std::nullopt;
  Socket socket;
  socket.state = Socket::State::Connected;
  socket.local = *server;
  socket.local_port = *server_port;
  socket.remote = *client;
  socket.remote_port = *client_port;
  return socket;
}

Session own_session(const Filter& filter) {
  Session session;
  if (const char* text = std::getenv("SSH_CONNECTION")) session.ssh = parse_ssh_connection(text);
  if (session.ssh) session.ssh->cgroup = own_cgroup(filter);
  return session;
}

bool ancestors_hold_sockets() {
  for (int pid = ::getppid(); pid > 1; pid = parent_of(pid)) {
    if (holds_socket(pid)) return true;
  }
  return false;
}

void ask_ancestors(Session& session) {
  for (int pid = ::getppid(); pid > 1; pid = parent_of(pid)) {
    for (const std::uint64_t inode : socket_inodes_of(pid)) session.inherited.insert(inode);
  }
}

std::optional<Error> session_rail(const Reach& reach, const Session& session) {
  const auto own =
      std::ranges::find_if(reach.stopped, [&session](const Socket& socket) { return is_own(socket, session); });
  if (own == reach.stopped.end()) return std::nullopt;
  return Error{
      .kind = ErrorKind::Refused,
      .operation = {},
      .object = format(*own),
      .cause = "the rules would cut this connection, over which you are working",
      .remedy = "allow its peer first, or add --yes-really; with apply --confirm the change is taken back in time",
      .code = 0};
}

}  // namespace egress::cli
