// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "egress/error.hpp"

struct mnl_socket;
struct nlattr;
struct nlmsghdr;

namespace egress {

/// A netlink socket of one protocol, in the network namespace that the calling thread was in when it was opened.
class Netlink {
 public:
  /// `protocol`: NETLINK_ROUTE and its kind.
  [[nodiscard]] static Result<Netlink> open(int protocol);

  /// Sends one request (NLM_F_REQUEST is added) and visits each message of the answer. An error that the kernel
  /// answers with is an Error with its errno as code.
  using Visitor = std::function<void(const nlmsghdr* message)>;
  [[nodiscard]] Result<void> ask(nlmsghdr* request, const Visitor& visit) const;

  /// Has the kernel tell what happens: `group` is RTNLGRP_LINK and its kind. From then on fd() is readable when
  /// something did.
  [[nodiscard]] Result<void> listen(int group) const;
  [[nodiscard]] int fd() const;
  /// Takes what the kernel has told, unread.
  void drain() const;

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netlink(mnl_socket* socket) : socket_(socket) {}

  std::unique_ptr<mnl_socket, Close> socket_;
};

/// Visits the attributes of a message behind its own header of `header` bytes, or those inside of an attribute.
using AttributeVisitor = std::function<void(const nlattr* attribute)>;
void visit_attributes(const nlmsghdr* message, std::size_t header, const AttributeVisitor& visit);
void visit_attributes(const nlattr* nest, const AttributeVisitor& visit);

}  // namespace egress
