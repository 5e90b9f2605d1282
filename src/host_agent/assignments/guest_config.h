// From an assignment's records to what the hypervisor needs. Pure functions; errors are invalid_argument naming the
// record that the assignment lacks.
#pragma once

#include <vector>

#include "host_agent/assignments/guest_disks.h"
#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

Result<std::vector<hypervisor::GuestNic>> resolve_nics(const model::EnsureVm& work);

// The networks that the guest's NICs are plugged into, each once.
std::vector<model::Network> used_networks(const model::EnsureVm& work);

hypervisor::GuestConfig guest_config(const NodeServices& services, const model::EnsureVm& work,
                                     const HostCapacity& capacity, const GuestDisks& disks,
                                     const std::vector<hypervisor::GuestNic>& nics);

}  // namespace bridgehead::host_agent
