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

// Whether its machine sleeps rather than being switched off: it was seen to do so and to wake with its memory.
bool sleeps(const model::Bmc& bmc);
// It is to be switched off instead, until it was tried again.
void note_no_sleep(model::Bmc& bmc, const std::string& why);
// The node is ready after it was asked to be on at `waking_since`: how long that took, and whether it had slept. Its
// load must have come since.
void note_woken(model::Bmc& bmc, const model::Node& node, Timestamp now);

// Its agent is back after it was switched on or woke by itself: what that says is kept. Empty where there is nothing.
Changes observe_awake(const Moment& moment, const model::Node& node);

}  // namespace bridgehead::reconcile
