// VLANs for guests on a Linux bridge: a bridge per tag, joined to the node's bridge by a VLAN device ("br0.100" under
// "br0v100"). Works with and without VLAN filtering and leaves no moment in which a guest sees untagged traffic, as
// setting the tag on its tap after the start would (libvirt 9 can't set it on a Linux bridge). Thread-safe; idempotent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/command.h"

namespace bridgehead::hypervisor {

struct NetworkDevices {
  std::filesystem::path sys = "/sys/class/net";
  std::filesystem::path proc = "/proc/sys/net";
};

// failed_precondition with what to do when this node has no such bridge.
Status check_bridge(const std::string& bridge, const NetworkDevices& devices = {});

// Both devices exist and are up. unsupported when the kernel can't make VLAN devices. Nothing is run if they are there.
Status ensure_vlan_bridge(CommandRunner& commands, const std::string& bridge, std::uint16_t vlan,
                          const NetworkDevices& devices = {});

}  // namespace bridgehead::hypervisor
