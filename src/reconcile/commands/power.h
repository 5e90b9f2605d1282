// Commands about the power of nodes' machines. The rules of commands.h hold.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "model/bmc.h"
#include "reconcile/commands/commands.h"
#include "reconcile/observe.h"

namespace bridgehead::reconcile {

// All of it: what isn't given is as it is without.
struct SetBmc {
  std::string driver;
  std::string address;
  std::uint64_t port = 0;  // 0 = the driver's usual one
  std::string user;
  std::map<std::string, std::string> options;
  std::optional<std::string> password;  // sealed already; "" = none; omitted: the one that is kept
};

// The record as it would be, unless something in it can't be; it isn't tried. A kept password is only ever sent where
// it was sent before: with another driver, address, port or user it must be given anew.
Result<model::Bmc> bmc_with(const state::Inventory& inventory, const model::Node& node, const SetBmc& request,
                            Timestamp now);
Result<model::Bmc> set_bmc(Commander& commander, const Caller& caller, const std::string& node, const SetBmc& request);
Result<model::Bmc> remove_bmc(Commander& commander, const Caller& caller, const std::string& node);
// failed_precondition where the node has none.
Result<state::Record<model::Bmc>> bmc_of(const state::Inventory& inventory, const model::Node& node);

struct SwitchNode {
  model::MachinePowerAction action = model::MachinePowerAction::on;
  bool force = false;  // off and cycle: although guests run there, or something is under way there
};

Result<Accepted<model::Node>> switch_node(Commander& commander, const Caller& caller, const std::string& node,
                                          const SwitchNode& request);
// failed_precondition, naming one, while guests run on the node or anything is under way there.
Status check_nothing_runs_on(const state::Inventory& inventory, const model::Node& node);
// The open operation that switches it; null = none.
state::Record<model::Operation> switching(const state::Inventory& inventory, const model::Node& node);
// An operation that switches it, on behalf of `by`; its event is what the power desk waits for.
model::OperationId ask_for_power(const Moment& moment, const model::Node& node, model::MachinePowerAction action,
                                 const std::string& by, Changes& changes);
// Wake-on-LAN can't switch off, like everything else can.
bool can_switch(const model::Bmc& bmc, bool on);
// Whether it is about to be without power: no guest should go there.
bool is_to_lose_power(const model::Operation& operation);

}  // namespace bridgehead::reconcile
