#include "model/upgrade.h"

#include <nlohmann/json.hpp>

#include <array>

namespace bridgehead::model {
namespace {

constexpr std::array kStates = {"none", "installing", "done", "failed"};

nlohmann::json json_of(const AgentPackage& package) {
  return {{"version", package.version}, {"size", package.size}, {"sha256", package.sha256}};
}

std::optional<AgentPackage> package_from(const nlohmann::json& order, const char* name) {
  const auto found = order.find(name);
  if (found == order.end()) return std::nullopt;
  return AgentPackage{.version = found->value("version", std::string()),
                      .size = found->value("size", std::uint64_t{0}),
                      .sha256 = found->value("sha256", std::string())};
}

template <typename Read>
auto read_json(std::string_view text, const Read& read) -> Result<decltype(read(nlohmann::json()))> {
  try {
    return read(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::data_corrupt, "words about an upgrade can't be read: {}", error.what());
  }
}

}  // namespace

std::string text_of(const UpgradeOrder& order) {
  nlohmann::json json = {{"operation", order.operation.str()}};
  if (order.install) json["install"] = json_of(*order.install);
  if (order.before) json["before"] = json_of(*order.before);
  return json.dump();
}

Result<UpgradeOrder> upgrade_order_from(std::string_view text) {
  return read_json(text, [](const nlohmann::json& json) {
    return UpgradeOrder{.operation = OperationId(json.value("operation", std::string())),
                        .install = package_from(json, "install"),
                        .before = package_from(json, "before")};
  });
}

std::string text_of(const UpgradeAnswer& answer) {
  return nlohmann::json{{"state", kStates.at(static_cast<std::size_t>(answer.state))}, {"message", answer.message}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<UpgradeAnswer> upgrade_answer_from(std::string_view text) {
  return read_json(text, [](const nlohmann::json& json) {
    const auto name = json.value("state", std::string());
    const auto found = std::find(kStates.begin(), kStates.end(), name);
    return UpgradeAnswer{
        .state = found == kStates.end() ? UpgradeState::none : static_cast<UpgradeState>(found - kStates.begin()),
        .message = json.value("message", std::string())};
  });
}

}  // namespace bridgehead::model
