// What a manager serves that was built without the dashboard.
#include "control_api/pages/dashboard.h"

namespace bridgehead::control_api {

std::span<const PageFile> page_files() { return {}; }

}  // namespace bridgehead::control_api
