#include "base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace bridgehead {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKibi = 1024.0;
constexpr std::array<Unit, 14> kUnits{{
    {"", 1},
    {"b", 1},
    {"k", kKibi},
    {"kib", kKibi},
    {"kb", 1e3},
    {"m", kKibi* kKibi},
    {"mib", kKibi* kKibi},
    {"mb", 1e6},
    {"g", kKibi* kKibi* kKibi},
    {"gib", kKibi* kKibi* kKibi},
    {"gb", 1e9},
    {"t", kKibi* kKibi* kKibi* kKibi},
    {"tib", kKibi* kKibi* kKibi* kKibi},
    {"tb", 1e12},
}};

}  // namespace

std::string Bytes::human() const {
  static constexpr std::array<std::string_view, 6> names{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(count_);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < names.size()) {
    value /= 1024;
    ++unit;
  }
  const double rounded = std::round(value * 10) / 10;
  if (rounded == std::floor(rounded)) return fmt::format("{:.0f} {}", rounded, names[unit]);
  return fmt::format("{:.1f} {}", rounded, names[unit]);
}

Result<Bytes> parse_bytes(std::string_view text) {
  const auto wrong = [&] {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is not a size", text),
                          "Write a number with a unit, such as 512MiB or 20GiB.");
  };
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return wrong();
  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c) {
    if (*c != ' ' || !unit.empty()) unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  }
  for (const auto& [name, factor] : kUnits) {
    if (name != unit) continue;
    const double bytes = number * factor;
    if (bytes >= 9.2e18) return wrong();
    return Bytes(static_cast<std::uint64_t>(std::llround(bytes)));
  }
  return wrong();
}

}  // namespace bridgehead
