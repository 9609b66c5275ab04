// SPDX-License-Identifier: GPL-2.0
#include "sys/devices.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sys/netlink.hpp"

namespace egress {
namespace {

using Buffer = std::array<char, 512>;

nlmsghdr* start_request(Buffer& buffer, std::uint16_t type) {
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
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

namespace {

Result<std::vector<Device>> list_once() {
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

}  // namespace

Result<std::vector<Device>> list_devices() {
  // EINTR: devices came or went between two parts of the answer.
  constexpr int tries = 5;
  Result<std::vector<Device>> devices = list_once();
  for (int again = 1; again < tries && !devices && devices.error().code == EINTR; ++again) devices = list_once();
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

}  // namespace egress
