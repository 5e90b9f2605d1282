#include "host_agent/facts/host_load.h"

#include <cstdlib>

#include "host_agent/facts/host_facts.h"

namespace bridgehead::host_agent {
namespace {

// The number that follows `key`; 0 when there is none.
double number_after(const std::string& text, std::string_view key) {
  const auto at = text.find(key);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + key.size(), nullptr);
}

// "some avg10=1.23 avg60=..." (kernel documentation, accounting/psi)
double pressure(const std::filesystem::path& root, std::string_view what) {
  return number_after(read_text(root / "proc/pressure" / what), "some avg10=");
}

}  // namespace

model::NodeLoad read_host_load(const std::filesystem::path& root) {
  return {.load1 = std::strtod(read_text(root / "proc/loadavg").c_str(), nullptr),
          .memory_available =
              Bytes(static_cast<std::uint64_t>(number_after(read_text(root / "proc/meminfo"), "MemAvailable:")) << 10),
          .pressure = {.cpu = pressure(root, "cpu"), .memory = pressure(root, "memory"), .io = pressure(root, "io")},
          .uptime_seconds = static_cast<std::uint64_t>(std::strtod(read_text(root / "proc/uptime").c_str(), nullptr))};
}

}  // namespace bridgehead::host_agent
