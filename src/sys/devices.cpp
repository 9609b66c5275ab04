// SPDX-License-Identifier: GPL-2.0
#include "sys/devices.hpp"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "sys/netlink.hpp"
#include "sys/network_namespaces.hpp"

namespace egress {
namespace {

using Buffer = std::array<char, 512>;

nlmsghdr* start_request(Buffer& buffer, std::uint16_t type) {
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_seq = 1;
  return request;
}

std::string kind_of(const nlattr* linkinfo) {
  std::string kind;
  visit_attributes(linkinfo, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) kind = mnl_attr_get_str(attribute);
  });
  return kind;
}

Device read_device(const nlmsghdr* message) {
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  Device device;
  device.ifindex = static_cast<std::uint32_t>(info->ifi_index);
  device.link_type = info->ifi_type;
  visit_attributes(message, sizeof(*info), [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        device.name = mnl_attr_get_str(attribute);
        break;
      case IFLA_LINKINFO:
        device.kind = kind_of(attribute);
        break;
      case IFLA_LINK_NETNSID:
        device.peer_namespace = static_cast<std::int32_t>(mnl_attr_get_u32(attribute));
        break;
      default:
        break;
    }
  });
  return device;
}

}  // namespace

Result<std::vector<Device>> list_devices() {
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return std::move(netlink).error().in("list devices");
  Buffer buffer;
  nlmsghdr* request = start_request(buffer, RTM_GETLINK);
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
  std::vector<Device> devices;
  Result<void> asked = netlink->ask(request, [&](const nlmsghdr* message) {
    if (message->nlmsg_type == RTM_NEWLINK) devices.push_back(read_device(message));
  });
  if (!asked) return std::move(asked).error().in("list devices");
  return devices;
}

Result<Device> find_device(const std::string& name) {
  Result<std::vector<Device>> devices = list_devices();
  if (!devices) return std::move(devices).error();
  const auto found = std::ranges::find(*devices, name, &Device::name);
  if (found != devices->end()) return std::move(*found);
  std::string names;
  for (const Device& device : *devices) names += (names.empty() ? "" : ", ") + device.name;
  return Error{
      ErrorKind::NotFound, "find device", name, "no such device in this network namespace", "there are " + names, 0};
}

Result<std::optional<std::int32_t>> namespace_number(int netns_fd) {
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return std::move(netlink).error();
  Buffer buffer;
  nlmsghdr* request = start_request(buffer, RTM_GETNSID);
  mnl_nlmsg_put_extra_header(request, sizeof(rtgenmsg));
  mnl_attr_put_u32(request, NETNSA_FD, static_cast<std::uint32_t>(netns_fd));
  std::int32_t number = NETNSA_NSID_NOT_ASSIGNED;
  Result<void> asked = netlink->ask(request, [&](const nlmsghdr* message) {
    visit_attributes(message, sizeof(rtgenmsg), [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) == NETNSA_NSID) number = static_cast<std::int32_t>(mnl_attr_get_u32(attribute));
    });
  });
  if (!asked) return std::move(asked).error();
  return number < 0 ? std::optional<std::int32_t>() : number;
}

Result<std::uint32_t> namespace_inode(int netns_fd) {
  struct stat status {};
  const int failed = ::fstat(netns_fd, &status);
  const int err = errno;
  if (failed) return system_error("read network namespace", {}, err);
  return static_cast<std::uint32_t>(status.st_ino);
}

Result<std::uint32_t> own_namespace_inode() {
  const Fd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const int err = errno;
  if (!own.valid()) return system_error("open network namespace", {}, err);
  return namespace_inode(own.get());
}

Result<Fd> open_namespace_of(int pid) {
  Fd opened(::open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  const int err = errno;
  if (opened.valid()) return opened;
  Error error = system_error("open network namespace", "pid " + std::to_string(pid), err);
  if (err == ENOENT) error.kind = ErrorKind::NotFound;
  return error;
}

Result<void> visit_namespace(int netns_fd, const std::function<void()>& visit) {
  Result<void> entered;
  std::thread visitor([&] {
    const int failed = ::setns(netns_fd, CLONE_NEWNET);  // of this thread alone
    const int err = errno;
    if (failed) {
      entered = system_error("enter network namespace", {}, err);
    } else {
      visit();
    }
  });
  visitor.join();
  return entered;
}

Result<void> visit_namespace_of(std::uint32_t inode, const std::function<void()>& visit) {
  Result<std::uint32_t> own = own_namespace_inode();
  if (own && *own == inode) {
    visit();
    return {};
  }
  std::optional<Result<void>> visited;
  visit_network_namespaces([&](const Result<NetworkNamespace>& one) {
    if (!visited && one && one.value().inode == inode) visited = visit_namespace(one.value().fd.get(), visit);
  });
  if (visited) return *visited;
  return Error{ErrorKind::NotFound,
               "enter network namespace",
               "inode " + std::to_string(inode),
               "no process lives in it",
               {},
               0};
}

}  // namespace egress
