#include "load/guest_pressure.h"

#include <cstdlib>

#include "base/file.h"

namespace bridgehead::load {
namespace {

constexpr std::string_view kKey = "some avg10=";

std::optional<double> percent_in(const std::filesystem::path& path) {
  const auto text = read_file(path, 4_KiB);
  if (!text) return std::nullopt;
  const auto at = text->find(kKey);
  if (at == std::string::npos) return std::nullopt;
  return std::strtod(text->c_str() + at + kKey.size(), nullptr);
}

void take_worse(std::optional<GuestPressure>& worst, const char* of, const std::optional<double>& percent) {
  if (percent && (!worst || *percent > worst->percent)) worst = {of, *percent};
}

}  // namespace

std::optional<GuestPressure> guest_pressure(const std::filesystem::path& root) {
  std::optional<GuestPressure> worst;
  const auto guests = root / "sys/fs/cgroup/machine.slice";
  take_worse(worst, "I/O", percent_in(guests / "io.pressure"));
  take_worse(worst, "memory", percent_in(guests / "memory.pressure"));
  take_worse(worst, "CPU", percent_in(guests / "cpu.pressure"));
  if (worst) return worst;
  take_worse(worst, "memory", percent_in(root / "proc/pressure/memory"));
  take_worse(worst, "CPU", percent_in(root / "proc/pressure/cpu"));
  return worst;
}

}  // namespace bridgehead::load
