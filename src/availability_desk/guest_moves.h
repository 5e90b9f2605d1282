// What a verdict changes in guests' records. Each fills an edit from the newest records; called again where it
// conflicts.
#pragma once

#include "availability/actions.h"
#include "base/clock.h"
#include "base/random.h"
#include "state/inventory.h"

namespace bridgehead::availability_desk {

struct Writing {
  const state::Inventory& inventory;
  state::Edit& edit;
  RandomSource& random;
  Timestamp now{};
};

// The lease is over: nobody may run the guest. Nothing if the guest has another one by now.
void revoke(const Writing& writing, const model::VmId& vm, const availability::Holder& ended, model::LeaseEnd by);
// What only time has ended is proven to be over.
void prove(const Writing& writing, const model::VmId& vm);
// The guest's node is this one from now on, with an operation that starts it there; what was under way on its old one
// is ended. Nothing if somebody may run it by the store, it shouldn't run any more, or what is undecided forbids it.
void place(const Writing& writing, const availability::Place& place);

}  // namespace bridgehead::availability_desk
