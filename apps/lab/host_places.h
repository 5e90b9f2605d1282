// Which directories and files of a lab's host are its own, and where its files lie in them: what prepares a host and
// what becomes one agree on these. Paths as the host sees them.
#pragma once

namespace bridgehead::lab {

inline constexpr const char* kHostPlaces[] = {
    "/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/var/lib/bridgehead"};
inline constexpr char kHostNames[] = "/etc/hosts";
inline constexpr char kHostCeph[] = "/etc/ceph";  // only where the lab has CephFS
inline constexpr char kHostAgentState[] = "/var/lib/bridgehead/agent";
inline constexpr char kHostAgentConfig[] = "/var/lib/bridgehead/agent.toml";
inline constexpr char kHostWatchdogDevice[] = "/run/watchdog";
inline constexpr char kHostJoinToken[] = "/var/lib/bridgehead/join-token";
inline constexpr char kHostDaemonLogs[] = "/var/lib/bridgehead/log";

}  // namespace bridgehead::lab
