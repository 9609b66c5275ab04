// SPDX-License-Identifier: GPL-2.0
#include "sys/strict_attachment.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "sys/foreign_programs.hpp"
#include "sys/libbpf_log.hpp"
#include "sys/link.hpp"
#include "sys/network_namespaces.hpp"
#include "sys/program.hpp"
#include "sys/tc_filter.hpp"

namespace egress {
namespace {

constexpr std::uint32_t before_all = 1u << 3;  ///< BPF_F_BEFORE of 6.6, with nobody named: in front

/// Programs on a device, in the order they run.
std::vector<std::uint32_t> tcx_programs(std::uint32_t ifindex) {
  std::array<__u32, 64> ids{};
  LIBBPF_OPTS(bpf_prog_query_opts, options, .prog_ids = ids.data(), .prog_cnt = ids.size());
  if (bpf_prog_query_opts(static_cast<int>(ifindex), static_cast<bpf_attach_type>(attach_type_tcx_egress), &options))
    return {};
  return {ids.begin(), ids.begin() + options.prog_cnt};
}

StrictMode xdp_mode(std::uint32_t ifindex) {
  const LogCapture quiet;
  LIBBPF_OPTS(bpf_xdp_query_opts, options);
  const bool generic =
      bpf_xdp_query(static_cast<int>(ifindex), 0, &options) == 0 && options.attach_mode == XDP_ATTACHED_SKB;
  return generic ? StrictMode::XdpGeneric : StrictMode::XdpDriver;
}

Error xdp_taken(std::uint32_t ifindex, Error error) {
  const LogCapture quiet;
  __u32 id = 0;
  if (bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id) || id == 0) return error;
  error.kind = ErrorKind::Failed;
  error.cause = describe_program(id) + " is its XDP program, and a device runs one";
  error.remedy = "have its owner take it off";
  return error;
}

Result<Link> attach_xdp(int program_fd, std::uint32_t ifindex) {
  Result<Link> link = Link::attach_device(program_fd, ifindex, BPF_XDP, XDP_FLAGS_DRV_MODE);
  if (link) return link;
  const int code = link.error().code;
  if (code == EBUSY || code == EEXIST) return xdp_taken(ifindex, std::move(link).error());
  // No XDP in the driver, or not for frames of this size.
  return Link::attach_device(program_fd, ifindex, BPF_XDP, XDP_FLAGS_SKB_MODE);
}

/// The link under a pin, if it still holds its device.
std::optional<Link> live_link(const PinDirectory& directory, const StrictPlace& place) {
  Result<Fd> pin = directory.open_pin(link_pin(place));
  if (!pin) return std::nullopt;
  Result<LinkInfo> info = link_info(pin->get());
  if (!info || info->ifindex != place.ifindex) return std::nullopt;
  return Link(std::move(*pin));
}

/// The program of a filter; 0 if there is none.
std::uint32_t pinned_program(const PinDirectory& directory, const StrictPlace& place) {
  Result<Fd> pin = directory.open_pin(filter_pin(place));
  if (!pin) return 0;
  Result<ProgramInfo> info = program_info(pin->get());
  return info ? info->id : 0;
}

Result<void> replace_pin(const PinDirectory& directory, const std::string& name, int fd) {
  if (Result<void> done = directory.unlink(name); !done) return done;
  return directory.pin(fd, name);
}

/// Pinned first: what runs is known, and what is known but does not run is told.
Result<StrictAttached> attach_clsact(const PinDirectory& directory, const StrictPlace& place, int program_fd) {
  const std::uint32_t there = tc_filter_program(place.ifindex);
  if (there != 0 && there != pinned_program(directory, place)) {
    return Error{ErrorKind::Failed,
                 "attach filter",
                 {},
                 describe_program(there) + " of another instance is there",
                 "take it off first",
                 0};
  }
  if (Result<void> done = replace_pin(directory, filter_pin(place), program_fd); !done) return std::move(done).error();
  Result<TcAttached> attached = attach_tc_filter(program_fd, place.ifindex);
  if (attached) return StrictAttached{attached->made_qdisc};
  (void)directory.unlink(filter_pin(place));
  return std::move(attached).error();
}

StrictState state_here(const PinDirectory& directory, const StrictPlace& place) {
  if (std::optional<Link> link = live_link(directory, place)) {
    if (place.layer == StrictLayer::Xdp) return {xdp_mode(place.ifindex), true};
    const std::vector<std::uint32_t> programs = tcx_programs(place.ifindex);
    Result<LinkInfo> info = link->info();
    return {StrictMode::Tcx, !info || programs.empty() || programs.front() == info->program_id};
  }
  const std::uint32_t program = place.layer == StrictLayer::Tc ? pinned_program(directory, place) : 0;
  if (program != 0 && tc_filter_program(place.ifindex) == program) return {StrictMode::Clsact, true};
  return {};
}

}  // namespace

namespace {

std::string pin_name(std::string_view kind, const StrictPlace& place) {
  return "strict_" + std::string(kind) + "_" + std::to_string(place.netns) + "_" + std::to_string(place.ifindex);
}

}  // namespace

std::string link_pin(const StrictPlace& place) { return pin_name(format(place.layer), place); }
std::string filter_pin(const StrictPlace& place) { return pin_name("filter", place); }

std::optional<StrictPlace> place_of_pin(std::string_view name) {
  const std::size_t numbers = name.find_first_of("0123456789");
  if (numbers == std::string_view::npos) return std::nullopt;
  StrictPlace place;
  if (std::sscanf(std::string(name.substr(numbers)).c_str(), "%u_%u", &place.netns, &place.ifindex) != 2)
    return std::nullopt;
  for (const StrictLayer layer : {StrictLayer::Tc, StrictLayer::Xdp}) {
    place.layer = layer;
    if (name == link_pin(place) || (layer == StrictLayer::Tc && name == filter_pin(place))) return place;
  }
  return std::nullopt;
}

Result<StrictAttached> attach_strict(const PinDirectory& directory, const StrictPlace& place, int program_fd,
                                     TcWay way) {
  if (std::optional<Link> link = live_link(directory, place)) {
    if (Result<void> done = link->update(program_fd); !done) return std::move(done).error();
    return StrictAttached{};
  }
  if (place.layer == StrictLayer::Tc && (way == TcWay::Clsact || pinned_program(directory, place) != 0))
    return attach_clsact(directory, place, program_fd);
  Result<Link> link = place.layer == StrictLayer::Xdp
                          ? attach_xdp(program_fd, place.ifindex)
                          : Link::attach_device(program_fd, place.ifindex, attach_type_tcx_egress, before_all);
  if (!link && place.layer == StrictLayer::Tc && link.error().code == EINVAL)  // before 6.6
    return attach_clsact(directory, place, program_fd);
  if (!link) return std::move(link).error();
  if (Result<void> done = replace_pin(directory, link_pin(place), link->fd()); !done) return std::move(done).error();
  return StrictAttached{};
}

StrictState strict_state(const PinDirectory& directory, const StrictPlace& place) {
  StrictState state;
  const Result<void> visited = enter_namespace_of(place.netns, [&] { state = state_here(directory, place); });
  // A link tells of itself wherever it is.
  if (!visited && live_link(directory, place))
    state.mode = place.layer == StrictLayer::Xdp ? StrictMode::XdpDriver : StrictMode::Tcx;
  return state;
}

Result<void> detach_strict(const PinDirectory& directory, const StrictPlace& place, bool with_qdisc) {
  if (std::optional<Link> link = live_link(directory, place)) {
    if (Result<void> done = link->detach(); !done) return done;
  }
  if (const std::uint32_t program = pinned_program(directory, place); program != 0) {
    Result<void> detached;
    const Result<void> visited =
        enter_namespace_of(place.netns, [&] { detached = detach_tc_filter(place.ifindex, program, with_qdisc); });
    if (!detached) return detached;
    if (!visited && visited.error().kind != ErrorKind::NotFound) return visited;
  }
  if (Result<void> done = directory.unlink(filter_pin(place)); !done) return done;
  return directory.unlink(link_pin(place));
}

}  // namespace egress
