// Starts guests again after the node's reboot, or after it was alone. The agent does this and not libvirt, because only
// the agent checks the lease: a node that was fenced must not start what meanwhile runs elsewhere.
#pragma once

#include <vector>

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// Which of these are to be started: brought to "running" with autostart before the reboot, and now off. Not those that
// may have been started elsewhere meanwhile: the manager says where they run.
std::vector<model::VmId> guests_to_autostart(const Journal& journal, const std::vector<hypervisor::GuestInfo>& infos);

// Starts one of them, in its lane. Errors: as for ensure_vm; the lease must still be this node's.
Status autostart_guest(const NodeServices& services, const model::VmId& vm);

}  // namespace bridgehead::host_agent
