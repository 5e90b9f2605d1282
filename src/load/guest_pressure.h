// GuestPressure: whether a node's guests wait for what a benchmark takes. Out of /proc and /sys (kernel documentation,
// accounting/psi); not thread-safe; nothing fails.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace bridgehead::load {

struct GuestPressure {
  std::string of;      // "I/O", "memory", "CPU"
  double percent = 0;  // of the last ten seconds, in which some had to wait for it
};

// The worst of the guests' own group where there is one (libvirt under systemd); otherwise of the host's CPU and
// memory: that tasks of the host wait for I/O is the benchmark's own doing. nullopt: the kernel doesn't tell.
std::optional<GuestPressure> guest_pressure(const std::filesystem::path& root = "/");

}  // namespace bridgehead::load
