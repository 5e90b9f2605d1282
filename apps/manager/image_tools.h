// Where the things lie that node images are made with, and the agent's packages: as configured, as installed, or beside
// the program in a build.
#pragma once

#include "boot_services/image_workshop.h"
#include "manager/config.h"

namespace bridgehead::manager {

boot_services::ImageTools image_tools(const NetbootConfig& config);
// The directory where the manager's package has the agent's, for upgrades.
std::filesystem::path agent_packages();

}  // namespace bridgehead::manager
