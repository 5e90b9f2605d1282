#include "reconcile/operations/upgrade_state.h"

#include <algorithm>
#include <array>

#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace {

constexpr std::array kUpgradeStages = {"wait", "send", "install"};
constexpr std::array kUpgradeOutcomes = {"none", "done", "failed"};

template <typename Enum, typename Names>
Enum upgrade_word(const Names& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? Enum{} : static_cast<Enum>(found - names.begin());
}

}  // namespace

UpgradeState upgrade_of(const model::Operation& operation) {
  const auto text = [&](const char* name) { return parameter<std::string>(operation, name, {}); };
  return {.version = text("version"),
          .before = text("before"),
          .without_way_back = parameter(operation, "without_way_back", false),
          .stage = upgrade_word<UpgradeStage>(kUpgradeStages, text("stage")),
          .pools = parameter(operation, "pools", std::vector<std::string>()),
          .since = parse_rfc3339(text("since")).value_or(Timestamp{}),
          .outcome = upgrade_word<UpgradeOutcome>(kUpgradeOutcomes, text("outcome")),
          .failure = text("failure"),
          .hint = text("hint")};
}

void put_upgrade(model::Operation& operation, const UpgradeState& state) {
  auto& parameters = operation.parameters;
  parameters["version"] = state.version;
  parameters["before"] = state.before;
  parameters["without_way_back"] = state.without_way_back;
  parameters["stage"] = kUpgradeStages.at(static_cast<std::size_t>(state.stage));
  parameters["pools"] = state.pools;
  if (state.since != Timestamp{}) parameters["since"] = to_rfc3339(state.since);
  parameters["outcome"] = kUpgradeOutcomes.at(static_cast<std::size_t>(state.outcome));
  if (!state.failure.empty()) parameters["failure"] = state.failure;
  if (!state.hint.empty()) parameters["hint"] = state.hint;
}

state::Record<model::Operation> upgrade_on(const state::Inventory& inventory, const model::NodeId& node) {
  for (auto& open : inventory.open_operations()) {
    if (open->value.kind == kNodeUpgrade && open->value.target == node.str()) return open;
  }
  return nullptr;
}

}  // namespace bridgehead::reconcile::operations
