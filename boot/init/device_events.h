// Wakes when the kernel has something new: a device (its modules are loaded), an interface, a link that comes up.
// One thread.
#pragma once

#include "deadline.h"
#include "module_loader.h"
#include "netlink.h"
#include "result.h"

namespace bridgehead::init {

class DeviceEvents {
 public:
  static Result<DeviceEvents> open(ModuleLoader& loader);
  // Returns when something has changed. False: the deadline has passed.
  bool wait(Deadline deadline);

 private:
  DeviceEvents(ModuleLoader& loader, NetlinkSocket devices, NetlinkSocket links)
      : loader_(&loader), devices_(std::move(devices)), links_(std::move(links)) {}

  ModuleLoader* loader_;
  NetlinkSocket devices_;
  NetlinkSocket links_;
};

}  // namespace bridgehead::init
