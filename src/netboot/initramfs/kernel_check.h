// What a boot over the network needs of a kernel, held against one. Pure; thread-safe.
#pragma once

#include "netboot/initramfs/initramfs.h"
#include "netboot/initramfs/kernel.h"
#include "netboot/initramfs/module_index.h"

namespace bridgehead::netboot {

KernelCheck check(const Kernel& kernel, const ModuleIndex& index, const InitramfsRequest& request);

// Whether a module with this path is a driver of Ethernet NICs.
bool is_ethernet_driver(const std::string& path);
// The NIC drivers of the request that the kernel has, as modules or built in; sorted.
std::vector<std::string> available_nic_drivers(const ModuleIndex& index, const NicDrivers& wanted);

// The best that the kernel unpacks; without its configuration xz, which all distributions' kernels do.
InitramfsCompression best_compression(const KernelConfig& config);

}  // namespace bridgehead::netboot
