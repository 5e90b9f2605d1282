// Where the things lie that node images are made with: as configured, as installed, or beside the program in a build.
#pragma once

#include "boot_services/image_workshop.h"
#include "manager/config.h"

namespace bridgehead::manager {

boot_services::ImageTools image_tools(const NetbootConfig& config);

}  // namespace bridgehead::manager
