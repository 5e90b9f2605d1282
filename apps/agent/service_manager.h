// Tells systemd about this process (sd_notify(3)'s datagram protocol), without its library. A no-op where NOTIFY_SOCKET
// isn't set. Thread-safe; never fails: a service manager that doesn't listen is no reason to stop.
#pragma once

#include <string_view>

namespace bridgehead::agent_app {

// "READY=1", "STOPPING=1", "STATUS=..."
void notify_service_manager(std::string_view state);

}  // namespace bridgehead::agent_app
