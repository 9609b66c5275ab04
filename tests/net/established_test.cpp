// SPDX-License-Identifier: GPL-2.0
// F1: connections that exist when a rule is made. Both ends are asked what became of theirs.
#include <poll.h>

#include "support/net_test.hpp"

namespace egress::test {
namespace {

using namespace std::chrono_literals;

constexpr int still_open = EAGAIN;

/// What reading says: an errno, ENODATA at the end of the stream, 0 for data, EAGAIN for an open and silent connection.
int read_now(int socket, const SocketAddress& /*to*/) {
  char byte = 0;
  const ssize_t got = recv(socket, &byte, 1, MSG_DONTWAIT);
  if (got == 0) return ENODATA;
  return got < 0 ? errno : 0;
}

/// The same, once there is something to be said.
int read_later(int socket, const SocketAddress& to) {
  pollfd file{socket, POLLIN, 0};
  return poll(&file, 1, 3000) == 1 ? read_now(socket, to) : ETIMEDOUT;
}

/// A connection with what each end knows of it.
struct Connection {
  SocketHandle client{-1};
  SocketHandle server{-1};
  Endpoint to;
};

class Flows : public NetTest {
 protected:
  void SetUp() override {
    NetTest::SetUp();
    if (IsSkipped()) return;
    client_ = std::make_unique<Actor>(lab().actor("/a"));
    bystander_ = std::make_unique<Actor>(lab().actor("/b"));
    ChildPlace far;
    far.netns = lab().network().peer();
    server_ = std::make_unique<Actor>(Actor::start(far));
    listener_ = server_->open(AF_INET6, SOCK_STREAM);
    ASSERT_EQ(server_->bind(listener_, {"::", port}), 0);
    ASSERT_EQ(server_->listen(listener_), 0);
  }

  [[nodiscard]] const Actor& client() const { return *client_; }
  [[nodiscard]] const Actor& bystander() const { return *bystander_; }

  [[nodiscard]] Connection connect(const Actor& from, const std::string& address) const {
    Connection made{{}, {}, {address, port}};
    made.client = from.tcp(made.to);
    EXPECT_EQ(from.connect(made.client, made.to), 0) << address;
    made.server = server_->accept(listener_, 2s);
    EXPECT_GE(static_cast<int>(made.server), 0) << address;
    return made;
  }
  [[nodiscard]] SocketHandle connect_udp(const Actor& from, const std::string& address) const {
    const Endpoint to{address, port};
    const SocketHandle socket = from.udp(to);
    EXPECT_EQ(from.connect(socket, to), 0) << address;
    return socket;
  }

  /// Both ends know that it is over, and nothing that is written now will ever leave.
  void expect_cut(const Actor& from, const Connection& connection) const {
    EXPECT_EQ(from.perform(connection.client, {connection.to}, read_now), ECONNABORTED) << "at once";
    EXPECT_EQ(server_->perform(connection.server, {connection.to}, read_later), ECONNRESET) << "not half-open";
    EXPECT_EQ(from.send(connection.client), EPIPE);
  }
  /// It still carries bytes.
  void expect_alive(const Actor& from, const Connection& connection) const {
    EXPECT_EQ(from.perform(connection.client, {connection.to}, read_now), still_open);
    EXPECT_EQ(from.send(connection.client, 1), 0);
    EXPECT_EQ(server_->perform(connection.server, {connection.to}, read_later), 0);
  }
  /// Neither end was told anything. What it carries is another question.
  void expect_kept(const Actor& from, const Connection& connection) const {
    EXPECT_EQ(from.perform(connection.client, {connection.to}, read_now), still_open);
    EXPECT_EQ(server_->perform(connection.server, {connection.to}, read_now), still_open);
  }
  void expect_cut_datagrams(const Actor& from, SocketHandle socket) const {
    EXPECT_EQ(from.perform(socket, {"192.0.2.2", port}, read_now), ECONNABORTED);
    EXPECT_EQ(from.send(socket), EDESTADDRREQ);
  }

  /// Runs a command that must succeed; what it says that it cut.
  std::size_t cut_by(const std::string& line) const {
    const nlohmann::json said = done(line + " -o json").json();
    return said.is_object() ? said.value("cut", std::size_t{999}) : 999;
  }
  /// The server first, so that nothing of it is left at the client.
  void close(const Actor& from, const Connection& connection) const {
    server_->close(connection.server);
    EXPECT_EQ(from.perform(connection.client, {connection.to}, read_later), ENODATA);
    from.close(connection.client);
    lab().settle();
  }
  void remove_rules() const { (void)done("rm --all"); }

 private:
  std::unique_ptr<Actor> client_;
  std::unique_ptr<Actor> bystander_;
  std::unique_ptr<Actor> server_;
  SocketHandle listener_{-1};
};

const std::vector<std::string> addresses{"203.0.113.7", "2001:db8:bad::1", "::ffff:203.0.113.7"};
const std::string destinations = "203.0.113.7,2001:db8:bad::1";

TEST_F(Flows, F1AConnectionThatIsCutEndsAtBothEndsAndDeliversNothingLater) {
  for (const std::string rule : {"reject", "drop"}) {
    SCOPED_TRACE(rule);
    std::vector<Connection> cut;
    for (const std::string& address : addresses) cut.push_back(connect(client(), address));
    const Connection of_another = connect(bystander(), "203.0.113.7");
    const Connection elsewhere = connect(client(), "203.0.113.8");
    EXPECT_EQ(cut_by(rule + " cgroup /a to " + destinations + (rule == "drop" ? " --established cut" : "")), 3U);
    for (const Connection& connection : cut) expect_cut(client(), connection);
    expect_alive(bystander(), of_another);
    expect_alive(client(), elsewhere);
    lab().settle();
    const Arrivals packets{"203.0.113.7", port, IPPROTO_TCP, client().port_of(cut[0].client)};
    const Arrived before = lab().peer().arrived(packets);
    remove_rules();
    lab().settle();
    EXPECT_EQ(lab().peer().arrived(packets), before);
    const Connection later = connect(client(), "203.0.113.7");
    expect_alive(client(), later);
    close(client(), later);
  }
}

TEST_F(Flows, F1DatagramSocketsAreCutToo) {
  std::vector<SocketHandle> cut;
  for (const std::string& address : addresses) cut.push_back(connect_udp(client(), address));
  const SocketHandle of_another = connect_udp(bystander(), "203.0.113.7");
  const SocketHandle elsewhere = connect_udp(client(), "203.0.113.8");
  EXPECT_EQ(cut_by("reject cgroup /a to " + destinations), 3U);
  for (const SocketHandle socket : cut) expect_cut_datagrams(client(), socket);
  EXPECT_EQ(bystander().send(of_another), 0);
  EXPECT_EQ(client().send(elsewhere), 0);
}

TEST_F(Flows, F1WhatIsKeptGoesOnWhenTheRuleIsOver) {
  const Connection kept = connect(client(), "203.0.113.7");
  for (const std::string rule :
       {"drop cgroup /a to 203.0.113.7", "isolate cgroup /a allow 203.0.113.8",
        "reject cgroup /a to 203.0.113.7 --established keep", "audit cgroup /a to 203.0.113.7 --established cut"}) {
    SCOPED_TRACE(rule);
    EXPECT_EQ(cut_by(rule), 0U);
    expect_kept(client(), kept);
    remove_rules();
  }
  expect_alive(client(), kept);
}

TEST_F(Flows, F1ExceptionsAreNotCut) {
  const Connection allowed = connect(client(), "203.0.113.8");
  const Connection refused = connect(client(), "203.0.113.7");
  (void)done("allow cgroup /a to 203.0.113.8:" + std::to_string(port) + "/tcp");
  EXPECT_EQ(cut_by("reject cgroup /a to 203.0.113.0/24"), 1U);
  expect_cut(client(), refused);
  expect_alive(client(), allowed);
}

TEST_F(Flows, F1TheRuleReachesTheSubtreeOrTheCgroupAlone) {
  const Actor child = lab().actor("/a/child");
  const Connection above = connect(client(), "203.0.113.7");
  const Connection below = connect(child, "203.0.113.7");
  EXPECT_EQ(cut_by("reject cgroup /a to 203.0.113.7 only"), 1U);
  expect_cut(client(), above);
  expect_alive(child, below);
  EXPECT_EQ(cut_by("reject cgroup /a to 203.0.113.7"), 1U);
  expect_cut(child, below);
}

TEST_F(Flows, F1APolicyCutsWhatItRejectsAndAllItStopsIfAsked) {
  const std::string file =
      lab().write_file("p.yaml",
                       "{policy: p, subjects: [{cgroup: /a}, {cgroup: /later}], rules: [{action: reject, to: "
                       "[203.0.113.7]}, {action: drop, to: [203.0.113.8]}]}");
  const Connection rejected = connect(client(), "203.0.113.7");
  const Connection dropped = connect(client(), "203.0.113.8");
  EXPECT_EQ(cut_by("apply -f " + file), 1U);
  expect_cut(client(), rejected);
  expect_kept(client(), dropped);
  EXPECT_EQ(cut_by("apply -f " + file + " --established cut"), 1U) << "rules that stay count";
  EXPECT_EQ(client().perform(dropped.client, {dropped.to}, read_now), ECONNABORTED);
}

TEST_F(Flows, F1ACommandThatFailsCutsNothing) {
  const Connection kept = connect(client(), "203.0.113.7");
  (void)done("drop cgroup /a to 203.0.113.7/tcp");
  for (const std::string line : {"reject cgroup /a to 203.0.113.9,203.0.113.7/tcp", "reject id 4711 to 203.0.113.7",
                                 "reject cgroup /a to 203.0.113.7 --established maybe"}) {
    EXPECT_NE(lab().egress(line).status, 0) << line;
    expect_kept(client(), kept);
  }
}

}  // namespace
}  // namespace egress::test
