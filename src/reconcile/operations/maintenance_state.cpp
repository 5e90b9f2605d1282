#include "reconcile/operations/maintenance_state.h"

#include <array>

#include "model/enum_names.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace {

constexpr std::array kStages = {"drain", "power", "boot", "back_power", "back_boot"};

MaintenanceStage stage_of(const std::string& name) {
  for (std::size_t i = 0; i < kStages.size(); ++i) {
    if (name == kStages[i]) return static_cast<MaintenanceStage>(i);
  }
  return MaintenanceStage::drain;
}

Timestamp time_of(const model::Operation& operation, const char* name) {
  return parse_rfc3339(parameter<std::string>(operation, name, {})).value_or(Timestamp{});
}

void put_time(nlohmann::json& parameters, const char* name, Timestamp time) {
  if (time != Timestamp{}) parameters[name] = to_rfc3339(time);
}

}  // namespace

MaintenanceState maintenance_of(const model::Operation& operation) {
  MaintenanceState state;
  const auto then = model::parse_enum<model::AfterDrain>(parameter<std::string>(operation, "then", {}));
  state.then = then.value_or(state.then);
  state.stage = stage_of(parameter<std::string>(operation, "stage", {}));
  state.image = parameter<std::string>(operation, "image", {});
  state.before = parameter<std::string>(operation, "before", {});
  state.boot_deadline =
      std::chrono::seconds(parameter(operation, "boot_deadline_seconds", std::int64_t{state.boot_deadline.count()}));
  state.opens = parameter(operation, "opens", false);
  state.kvm = parameter(operation, "kvm", false);
  state.pools = parameter(operation, "pools", state.pools);
  state.power = model::OperationId(parameter<std::string>(operation, "power", {}));
  state.power_asked = time_of(operation, "power_asked");
  state.since = time_of(operation, "since");
  state.stuck = parameter<std::string>(operation, "stuck", {});
  state.stuck_since = time_of(operation, "stuck_since");
  state.failure = parameter<std::string>(operation, "failure", {});
  return state;
}

void put_maintenance(model::Operation& operation, const MaintenanceState& state) {
  auto& parameters = operation.parameters;
  parameters["then"] = model::to_string(state.then);
  parameters["stage"] = kStages.at(static_cast<std::size_t>(state.stage));
  parameters["boot_deadline_seconds"] = state.boot_deadline.count();
  parameters["opens"] = state.opens;
  parameters["kvm"] = state.kvm;
  parameters["pools"] = state.pools;
  for (const auto& [name, value] : {std::pair("image", &state.image), std::pair("before", &state.before),
                                    std::pair("stuck", &state.stuck), std::pair("failure", &state.failure)}) {
    parameters.erase(name);
    if (!value->empty()) parameters[name] = *value;
  }
  parameters.erase("stuck_since");
  if (!state.power.empty()) parameters["power"] = state.power.str();
  put_time(parameters, "power_asked", state.power_asked);
  put_time(parameters, "since", state.since);
  put_time(parameters, "stuck_since", state.stuck_since);
}

std::string purpose_of(const MaintenanceState& state) {
  switch (state.then) {
    case model::AfterDrain::reboot: return "be rebooted";
    case model::AfterDrain::off: return "be switched off";
    case model::AfterDrain::update: return fmt::format("boot {}", state.image);
  }
  return {};
}

bool is_draining(const model::Operation& operation) {
  return operation.kind == model::operation_kind::node_maintain && !operation.terminal() &&
         maintenance_of(operation).stage == MaintenanceStage::drain;
}

state::Record<model::Operation> maintenance_on(const state::Inventory& inventory, const model::NodeId& node) {
  for (const auto& operation : inventory.operations_of(node.str())) {
    if (operation->value.kind == model::operation_kind::node_maintain && !operation->value.terminal()) return operation;
  }
  return nullptr;
}

}  // namespace bridgehead::reconcile::operations
