// Tells systemd about this service (sd_notify(3)'s protocol: a datagram to $NOTIFY_SOCKET). Without systemd: nothing.
#pragma once

#include <string_view>

namespace bridgehead::manager {

// "READY=1", "STOPPING=1", "STATUS=..."
void notify_service_manager(std::string_view state);

}  // namespace bridgehead::manager
