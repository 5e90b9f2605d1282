// Reads the options of PowerSettings one by one, and says which of them nobody asked for. Internal to power; not
// thread-safe.
#pragma once

#include <charconv>
#include <set>

#include "power/power_settings.h"

namespace bridgehead::power {

class OptionReader {
 public:
  explicit OptionReader(const PowerSettings& settings) : settings_(settings) {}

  std::string text(const std::string& name, std::string otherwise = {}) {
    known_.insert(name);
    const auto found = settings_.options.find(name);
    return found == settings_.options.end() ? otherwise : found->second;
  }
  // One of `choices`, of which the first is what it is without.
  std::string choice(const std::string& name, const std::vector<std::string>& choices) {
    auto value = text(name, choices.front());
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      complain(fmt::format("{} may be {}, not '{}'", name, fmt::join(choices, ", "), value));
    }
    return value;
  }
  void require_text(std::string_view what, const std::string& value) {
    if (value.empty()) complain(fmt::format("{} is missing", what));
  }
  void complain(std::string message) {
    if (complaint_.empty()) complaint_ = std::move(message);
  }
  // After all was read.
  Status finish() {
    for (const auto& [name, value] : settings_.options) {
      if (!known_.contains(name)) {
        complain(fmt::format("there is no option {}; there is {}", name,
                             known_.empty() ? "none" : fmt::format("{}", fmt::join(known_, ", "))));
      }
    }
    if (complaint_.empty()) return {};
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("driver {}: {}", settings_.driver, complaint_),
                          "docs/power.md lists the settings of each driver.");
  }

 private:
  const PowerSettings& settings_;
  std::set<std::string> known_;
  std::string complaint_;
};

}  // namespace bridgehead::power
