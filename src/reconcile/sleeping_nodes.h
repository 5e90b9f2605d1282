// Nodes that plans switch off to save power, and what brings them back. A node is marked to be off; where we know how
// its machine is switched (its Bmc), operations node.power follow the mark, and it is asleep once its agent is away.
// Without a Bmc the mark is all, and somebody else switches it. Pure functions.
#pragma once

#include <chrono>
#include <string>

#include "model/bmc.h"
#include "reconcile/observe.h"

namespace bridgehead::reconcile {

// From being wanted again until a machine must have been heard of; large servers test their memory for minutes.
inline constexpr std::chrono::minutes kLongestWake{15};

// There is proof that its machine is off or sleeps, and it wasn't heard of since.
bool is_proven_off(const state::Inventory& inventory, const model::Node& node);
bool is_asleep(const state::Inventory& inventory, const model::Node& node);
// It was asleep, is wanted again, and came lately or can still come.
bool was_woken(const state::Inventory& inventory, const model::Node& node, Timestamp now);
// And it isn't there yet.
bool is_waking(const state::Inventory& inventory, const model::Node& node, Timestamp now);

// Marks it, or takes the mark back, and has its machine switched. The operation that does so; "" = there is none: it is
// on already, or nobody has said how it is switched.
model::OperationId set_wanted(const Moment& moment, const state::Record<model::Node>& node, bool wanted,
                              const std::string& by, Changes& changes);

// Nodes that were marked and have work again: a guest that is to run there, or anything that waits for their agent.
std::vector<state::Record<model::Node>> needed_again(const state::Inventory& inventory);

// Its agent is back after it was switched on: how long that took is kept. Empty when there is nothing to keep.
Changes observe_awake(const Moment& moment, const model::Node& node);

}  // namespace bridgehead::reconcile
