#include "cli/power_words.h"

#include "base/file.h"
#include "base/units.h"
#include "cli/context.h"

namespace bridgehead::cli {
namespace {

constexpr Bytes kLongestSetting = 16_KiB;
constexpr std::size_t kShown = 60;

std::string_view sayers(std::string_view evidence) {
  if (evidence == "bmc") return "says its BMC alone";
  if (evidence == "others") return "says its agent";
  if (evidence == "bmc_and_others") return "say its BMC and its silent agent";
  return "but nobody can tell";
}

}  // namespace

std::string proof_text(const nlohmann::json& object, std::string_view pointer) {
  const auto* proof = find(object, pointer);
  if (proof == nullptr || text(*proof, "/time").empty()) return "";
  const auto since = age(text(*proof, "/time"));
  if (text(*proof, "/state") == "unknown") return fmt::format("not proven, {} ago: it may be on or off", since);
  return fmt::format("{}, {}, {} ago", text(*proof, "/state"), sayers(text(*proof, "/evidence")), since);
}

std::string report_text(const nlohmann::json& operation) {
  const auto* report = find(operation, "/parameters/report");
  if (report == nullptr) return "";
  return fmt::format("{} is {}{}, {}; it took {:.1f} s", text(operation, "/target_name"), text(*report, "/state"),
                     text(*report, "/changed") == "yes" ? "" : ", as it was", sayers(text(*report, "/evidence")),
                     static_cast<double>(number(*report, "/confirmed_ms")) / 1000);
}

std::string settings_text(const nlohmann::json& bmc) {
  std::string all;
  const auto* options = find(bmc, "/options");
  if (options == nullptr || !options->is_object()) return all;
  for (const auto& [name, value] : options->items()) {
    auto shown = value.is_string() ? value.get<std::string>() : value.dump();
    if (shown.size() > kShown) shown = shown.substr(0, kShown) + "...";
    all += fmt::format("{}{}={}", all.empty() ? "" : ", ", name, shown);
  }
  return all;
}

Result<std::pair<std::string, std::string>> parse_setting(const std::string& setting) {
  const auto equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(ErrorCode::invalid_argument, "--option: '{}' is not NAME=VALUE, like cipher=3", setting);
  }
  auto name = setting.substr(0, equals);
  auto value = setting.substr(equals + 1);
  if (value.starts_with('@')) {
    auto content = read_file(value.substr(1), kLongestSetting);
    if (!content) return forward(content);
    value = std::move(*content);
  }
  return std::pair(std::move(name), std::move(value));
}

}  // namespace bridgehead::cli
