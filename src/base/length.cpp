#include "base/length.h"

#include <charconv>
#include <cmath>

namespace bridgehead {

Result<std::chrono::duration<double>> parse_length(std::string_view text) {
  const auto wrong = [&] {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is not a length of time", text),
                          "Write numbers with units, such as 90s, 5m, 1h30m or 7d.");
  };
  double sum = 0;
  auto rest = text;
  if (rest.empty()) return wrong();
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc{} || end == rest.data() + rest.size() || !(number >= 0)) return wrong();
    switch (*end) {
      case 's': sum += number; break;
      case 'm': sum += number * 60; break;
      case 'h': sum += number * 3600; break;
      case 'd': sum += number * 86400; break;
      default: return wrong();
    }
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
  }
  if (!std::isfinite(sum) || sum > 1e9) return wrong();
  return std::chrono::duration<double>(sum);
}

}  // namespace bridgehead
