#include "device_events.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <array>
#include <cerrno>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::uint32_t kernel_uevents = 1;
constexpr std::uint32_t udev_events = 2;  // once udev is done with a device

}  // namespace

Result<DeviceEvents> DeviceEvents::open(ModuleLoader& loader) {
  auto devices = NetlinkSocket::open(NETLINK_KOBJECT_UEVENT, kernel_uevents | udev_events);
  if (!devices) return fail(devices.error());
  auto links = NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_LINK);
  if (!links) return fail(links.error());
  return DeviceEvents(loader, std::move(*devices), std::move(*links));
}

bool DeviceEvents::wait(Deadline deadline) {
  std::array<pollfd, 2> waiting{pollfd{devices_.fd(), POLLIN, 0}, pollfd{links_.fd(), POLLIN, 0}};
  while (::poll(waiting.data(), waiting.size(), deadline.poll_timeout()) <= 0) {
    if (errno != EINTR || deadline.passed()) return false;
  }
  const Deadline now(std::chrono::milliseconds(0));
  while (const auto event = devices_.receive(now)) {
    if (event->empty()) {  // some were lost
      loader_->load_for_devices();
      continue;
    }
    if (!event->starts_with("add@") && !event->starts_with("bind@")) continue;
    for (const auto field : split(*event, '\0')) {
      if (field.starts_with("MODALIAS=")) loader_->load_for(field.substr(9));
    }
  }
  while (links_.receive(now)) {
  }
  return true;
}

}  // namespace bridgehead::init
