#include "reconcile/commands/power.h"

#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {
namespace {

using model::MachinePowerAction;
using validate::wrong;

constexpr std::size_t kLongestSetting = 255;
constexpr std::size_t kLongestOption = 16 * 1024;  // a CA's certificates
constexpr std::size_t kMostOptions = 64;

Status check_text(std::string_view field, const std::string& value, std::size_t longest) {
  if (value.size() > longest) return wrong(field, "must have at most {} bytes", longest);
  return {};
}

Status check_form(const SetBmc& request) {
  if (request.driver.empty()) return wrong("driver", "is missing; it is ipmi, redfish, wol, lab or a fence agent");
  if (request.port > 65535) return wrong("port", "must be at most 65535");
  if (request.options.size() > kMostOptions) return wrong("options", "are more than {}", kMostOptions);
  for (const auto& [field, value] : {std::pair("driver", &request.driver), std::pair("address", &request.address),
                                     std::pair("user", &request.user)}) {
    if (auto checked = check_text(field, *value, kLongestSetting); !checked) return checked;
  }
  for (const auto& [name, value] : request.options) {
    if (auto checked = check_text(fmt::format("options.{}", validate::shown(name)), value, kLongestOption); !checked) {
      return checked;
    }
  }
  return {};
}

bool is_where_it_was(const model::Bmc& kept, const SetBmc& request) {
  return kept.driver == request.driver && kept.address == request.address && kept.port == request.port &&
         kept.user == request.user;
}

// What of the settings says which machine it is.
auto machine_of(const model::Bmc& bmc) {
  auto options = bmc.options;
  for (const auto* how : {"cipher", "privilege", "pin", "ca", "auth", "broadcast", "interface"}) options.erase(how);
  return std::tuple(bmc.driver, bmc.address, bmc.port, std::move(options));
}

bool runs(const model::Vm& vm) {
  using enum model::VmPhase;
  const auto phase = vm.status.phase;
  return vm.spec.power != model::PowerState::stopped || phase == running || phase == paused || phase == starting ||
         phase == stopping;
}

Status check_not_switching(const state::Inventory& inventory, const model::Node& node) {
  const auto open = switching(inventory, node);
  if (!open) return {};
  return fail_with_hint(ErrorCode::failed_precondition, fmt::format("node '{}' is being switched", node.name),
                        fmt::format("Wait for it, or: bh operation cancel {}", open->value.id));
}

}  // namespace

state::Record<model::Operation> switching(const state::Inventory& inventory, const model::Node& node) {
  for (const auto& operation : inventory.operations_of(node.id.str())) {
    if (operation->value.kind == model::operation_kind::node_power && !operation->value.terminal()) return operation;
  }
  return nullptr;
}

Result<state::Record<model::Bmc>> bmc_of(const state::Inventory& inventory, const model::Node& node) {
  if (auto found = inventory.find<model::Bmc>(node.id)) return found;
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("nobody has said how node '{}' is switched on and off", node.name),
                        fmt::format("bh node bmc set {} --driver ipmi --address ... --user ...", node.name));
}

Result<model::Bmc> bmc_with(const state::Inventory& inventory, const model::Node& node, const SetBmc& request,
                            Timestamp now) {
  if (auto checked = check_form(request); !checked) return forward(checked);
  const auto kept = inventory.find<model::Bmc>(node.id);
  const bool stays = kept && is_where_it_was(kept->value, request);
  // Who needs no user needs no password: that of another place is forgotten.
  if (!request.password && kept && !kept->value.password.empty() && !stays && !request.user.empty()) {
    return wrong("password", "must be given anew for another driver, address, port or user");
  }
  model::Bmc bmc{.id = node.id,
                 .driver = request.driver,
                 .address = request.address,
                 .port = static_cast<std::uint16_t>(request.port),
                 .user = request.user,
                 .options = request.options,
                 .password = request.password.value_or(stays ? kept->value.password : std::string()),
                 .created = now,
                 .power = {},
                 .waking_since = {},
                 .wake = {},
                 .sleep_message = {},
                 .asleep_since = {},
                 .sleep_wake = {}};
  if (kept && machine_of(kept->value) == machine_of(bmc)) {
    bmc.power = kept->value.power;
    bmc.waking_since = kept->value.waking_since;
    bmc.wake = kept->value.wake;
    bmc.sleep = kept->value.sleep;
    bmc.sleep_message = kept->value.sleep_message;
    bmc.asleep_since = kept->value.asleep_since;
    bmc.sleep_wake = kept->value.sleep_wake;
  }
  for (const auto& other : inventory.all<model::Bmc>()) {
    if (other->value.id == bmc.id || machine_of(other->value) != machine_of(bmc)) continue;
    const auto its = inventory.find<model::Node>(other->value.id);
    return fail_with_hint(ErrorCode::already_exists,
                          fmt::format("node '{}' is switched by the same", its ? its->value.name : "?"),
                          "Each machine has its own BMC, or its own plug: switching one must never switch another.");
  }
  return bmc;
}

Result<model::Bmc> set_bmc(Commander& commander, const Caller& caller, const std::string& node, const SetBmc& request) {
  return run<model::Bmc>(commander, caller, [&](Draft& draft) -> Result<model::Bmc> {
    const auto record = resolve<model::Node>(draft.inventory, node);
    if (!record) return forward(record);
    const auto& value = (*record)->value;
    if (auto idle = check_not_switching(draft.inventory, value); !idle) return forward(idle);
    auto bmc = bmc_with(draft.inventory, value, request, draft.now);
    if (!bmc) return bmc;
    if (const auto kept = draft.inventory.find<model::Bmc>(value.id)) {
      draft.edit.update(kept, *bmc);
    } else {
      draft.edit.create(*bmc);
    }
    draft.event("node.bmc", "node", value.id.str(), value.name,
                fmt::format("Node '{}' is switched on and off by {}{}{}", value.name, bmc->driver,
                            bmc->address.empty() ? "" : " at ", bmc->address));
    return bmc;
  });
}

Result<model::Bmc> remove_bmc(Commander& commander, const Caller& caller, const std::string& node) {
  return run<model::Bmc>(commander, caller, [&](Draft& draft) -> Result<model::Bmc> {
    const auto record = resolve<model::Node>(draft.inventory, node);
    if (!record) return forward(record);
    const auto& value = (*record)->value;
    if (auto idle = check_not_switching(draft.inventory, value); !idle) return forward(idle);
    const auto bmc = bmc_of(draft.inventory, value);
    if (!bmc) return forward(bmc);
    draft.edit.remove(*bmc);
    draft.event("node.bmc", "node", value.id.str(), value.name,
                fmt::format("Node '{}' isn't switched on and off by us any more", value.name));
    return (*bmc)->value;
  });
}

Status check_nothing_runs_on(const state::Inventory& inventory, const model::Node& node) {
  const auto vms = inventory.vms_on_node(node.id);
  const auto running = std::count_if(vms.begin(), vms.end(), [](const auto& vm) { return runs(vm->value); });
  if (running > 0) {
    const auto first = std::find_if(vms.begin(), vms.end(), [](const auto& vm) { return runs(vm->value); });
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("{} VM{} on node '{}', the first is '{}'", running, running == 1 ? " runs" : "s run", node.name,
                    (*first)->value.name),
        fmt::format("Move them away: bh node drain {}; or pull the plug under them: --force", node.name));
  }
  for (const auto& open : inventory.open_operations()) {
    const auto& operation = open->value;
    const bool there =
        operation.node == node.id || operations::parameter<std::string>(operation, "to", {}) == node.id.str();
    if (!there) continue;
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("node '{}' is at work on '{}' ({})", node.name, operation.target_name, operation.kind),
        "Wait for it, or pull the plug nevertheless: --force");
  }
  return {};
}

model::OperationId ask_for_power(const Moment& moment, const model::Node& node, MachinePowerAction action,
                                 const std::string& by, Changes& changes) {
  auto operation = operations::internal_operation(moment.random, moment.now, model::operation_kind::node_power, "node",
                                                  node.id.str(), node.name, 0);
  operation.created_by = by;
  operation.parameters["action"] = model::to_string(action);
  const auto id = operation.id;
  changes.event("operation.created", "operation", id.str(), node.name,
                fmt::format("{} of node '{}' was asked for", operation.kind, node.name), by);
  changes.create(std::move(operation));
  return id;
}

bool can_switch(const model::Bmc& bmc, bool on) { return on || bmc.driver != "wol"; }

bool is_to_lose_power(const model::Operation& operation) {
  return operation.kind == model::operation_kind::node_power && !operation.terminal() &&
         operations::parameter<std::string>(operation, "action", {}) != model::to_string(MachinePowerAction::on);
}

Result<Accepted<model::Node>> switch_node(Commander& commander, const Caller& caller, const std::string& node,
                                          const SwitchNode& request) {
  return run_operation<model::Node>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Node>> {
    const auto record = resolve<model::Node>(draft.inventory, node);
    if (!record) return forward(record);
    const auto& value = (*record)->value;
    if (const auto bmc = bmc_of(draft.inventory, value); !bmc) return forward(bmc);
    if (auto idle = check_not_switching(draft.inventory, value); !idle) return forward(idle);
    if (request.action == MachinePowerAction::sleep && request.force) {
      return wrong("force", "a machine isn't put to sleep under its guests: bh node drain {}", value.name);
    }
    if (request.action != MachinePowerAction::on && !request.force) {
      if (auto idle = check_nothing_runs_on(draft.inventory, value); !idle) return forward(idle);
    }
    auto operation = draft.operation(model::operation_kind::node_power, "node", value.id.str(), value.name, 0);
    operation.parameters["action"] = model::to_string(request.action);
    operation.parameters["force"] = request.force;
    draft.add(operation);
    return Accepted<model::Node>{.object = value, .operation = std::move(operation)};
  });
}

}  // namespace bridgehead::reconcile
