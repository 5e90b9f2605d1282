#include "host_agent/facts/rapl.h"

#include <charconv>

#include "host_agent/facts/host_facts.h"

namespace bridgehead::host_agent {
namespace {

// The smallest ranges (65 kJ on older CPUs) last minutes at full load.
constexpr std::chrono::seconds kLongest{90};

std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  const auto text = read_text(file);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

// A package's counter has its cores in it, but not the memory ("dram"). What "intel-rapl-mmio" shows is the same again.
std::map<std::string, RaplMeter::Counter> RaplMeter::read() const {
  std::map<std::string, Counter> counters;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_ / "sys/class/powercap", error)) {
    const auto zone = entry.path().filename().string();
    if (!zone.starts_with("intel-rapl:")) continue;
    const auto name = read_text(entry.path() / "name");
    if (!name.starts_with("package-") && name != "dram") continue;
    const auto energy = number_in(entry.path() / "energy_uj");
    const auto range = number_in(entry.path() / "max_energy_range_uj");
    if (!energy || !range) return {};  // half of it would look like a frugal machine
    counters.emplace(zone, Counter{.microjoules = *energy, .range = *range});
  }
  return counters;
}

std::optional<double> RaplMeter::watts(Monotonic now) {
  const auto counters = read();
  const auto before = std::exchange(before_, counters);
  const auto since = now - std::exchange(looked_, now);
  if (counters.empty() || before.size() != counters.size() || since <= Monotonic::duration::zero() ||
      since > kLongest) {
    return {};
  }
  double microjoules = 0;
  for (const auto& [zone, counter] : counters) {
    const auto found = before.find(zone);
    if (found == before.end() || found->second.range != counter.range) return {};
    const auto old = found->second.microjoules;
    microjoules += static_cast<double>(counter.microjoules >= old ? counter.microjoules - old
                                                                  : counter.range - old + counter.microjoules);
  }
  return microjoules / 1e6 / std::chrono::duration<double>(since).count();
}

}  // namespace bridgehead::host_agent
