// The store's records as the facts that src/availability decides by. Pure functions of the inventory; thread-safe.
#pragma once

#include <optional>

#include "availability/availability.h"
#include "scheduler/scheduler.h"
#include "state/inventory.h"

namespace bridgehead::availability_desk {

availability::NodeFacts facts_of(const state::Inventory& inventory, const model::Node& node,
                                 const scheduler::Limits& limits, Timestamp now);
availability::GuestFacts facts_of(const state::Inventory& inventory, const model::Vm& vm);

// Who may run the guest, by the store. None: nobody.
std::optional<availability::Holder> holder_of(const model::Vm& vm);
// By what terms: `own` unless it is certain that its node leaves the starting of it to the manager.
availability::Terms terms_of(const state::Inventory& inventory, const model::Vm& vm);
// By what terms its agent should hold it.
availability::Terms wanted_terms_of(const state::Inventory& inventory, const model::Vm& vm);
// Why the host's watchdog can't be used; "" = it can.
std::string why_no_watchdog(const model::Node& node);
// Why a guest that is to restart has the terms `own`; "" = it hasn't.
std::string why_not_protected(const state::Inventory& inventory, const model::Vm& vm);

// An operation that alone can say where the guest or its disks are. Null: there is none.
state::Record<model::Operation> undecided(const state::Inventory& inventory, const model::VmId& vm);

// What the node holds, in the words of an agent's renewal. `book`: leases that the store doesn't know (any more) were
// given up.
availability::Renewal renewal_of(const state::Inventory& inventory, const model::NodeId& node,
                                 const availability::LeaseBook& book);
// The same by an agent that says itself what it holds by `stop`: `spoken`.
availability::Renewal renewal_of(const state::Inventory& inventory, const model::NodeId& node,
                                 const availability::LeaseBook& book, const availability::Renewal& spoken);
// What of an answer is for that agent: leases by `stop`, and those that it holds.
availability::Answer answer_for(const availability::Answer& answer, const availability::Renewal& spoken);

// Where claims against the node are read.
std::vector<model::Pool> shared_pools_of(const state::Inventory& inventory, const model::NodeId& node);

// The IPv4 addresses that this node alone has: not those of the same NAT network on each.
std::vector<std::string> addresses_of(const state::Inventory& inventory, const model::NodeId& node);

}  // namespace bridgehead::availability_desk
