// What this machine is doing now: load, available memory, pressure, uptime, from /proc below a root directory.
// Stateless, thread-safe, quick (no disk, no other process): heartbeats are made from it. Never fails.
#pragma once

#include <filesystem>

#include "model/node.h"

namespace bridgehead::host_agent {

model::NodeLoad read_host_load(const std::filesystem::path& root);

}  // namespace bridgehead::host_agent
