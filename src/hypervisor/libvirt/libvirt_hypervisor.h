// The Hypervisor on libvirt's C API. Thread-safe (one persistent connection, libvirt serialises what it must).
// Fails with `unavailable` and what to install or start while libvirtd is away; calls made after it is back work again
// by themselves, and every guest is then announced with state_changed.
#pragma once

#include <memory>
#include <string>

#include "base/command.h"
#include "hypervisor/hypervisor.h"

namespace bridgehead::hypervisor {

struct LibvirtOptions {
  std::string uri = "qemu:///system";
  std::chrono::milliseconds unplug_timeout{std::chrono::seconds(15)};  // how long a guest may take to let a device go
  std::chrono::seconds agent_timeout{1};                               // how long its guest agent may take to answer
};

// Never fails: the connection is made at the first call. `commands` (for `ip`, VLANs on bridges) must outlive it.
std::unique_ptr<Hypervisor> make_libvirt_hypervisor(LibvirtOptions options, CommandRunner& commands);

}  // namespace bridgehead::hypervisor
