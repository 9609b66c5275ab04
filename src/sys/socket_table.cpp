// SPDX-License-Identifier: GPL-2.0
#include "sys/socket_table.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace egress {

SocketListing SocketTable::list() {
  SocketListing listing;
  namespaces_.clear();
  visit_network_namespaces([&](const Result<NetworkNamespace>& netns) {
    auto diag = netns ? SocketDiag::open(*netns) : Result<SocketDiag>(netns.error());
    auto sockets = diag ? diag->list() : Result<std::vector<Socket>>(diag.error());
    if (sockets) {
      std::ranges::move(*sockets, std::back_inserter(listing.sockets));
    } else {
      listing.problem = sockets.error().message();
    }
    if (diag) namespaces_.push_back(*std::move(diag));
  });
  return listing;
}

std::vector<int> SocketTable::destroy(std::span<const Socket> sockets) const {
  std::vector<int> results;
  for (const Socket& socket : sockets) {
    const auto diag = std::ranges::find(namespaces_, socket.key.netns, &SocketDiag::netns);
    results.push_back(diag == namespaces_.end() ? ENOENT : diag->destroy(socket));
  }
  return results;
}

}  // namespace egress
