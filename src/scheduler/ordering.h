// Ordering: in what order guests get from where they are to where the plan wants them, so that no host is beyond its
// limits and no hard rule newly broken at any moment, a moving guest being counted at both ends. (Guests that are to be
// together can't all move at once; such a rule is broken while they move.) Where moves wait for each other in a circle,
// one of them takes a way over a third host, or is given up.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

struct Ordered {
  std::vector<Action> actions;  // kind, purpose, guest, from, to, after, duration; neither gain nor reason
  Places places;                // where guests are in the end
  bool complete = true;         // nothing was given up
};

// `wanted` is the state to get to; `purposes` says why, by guest.
Ordered order(const State& wanted, const std::vector<Purpose>& purposes);

}  // namespace bridgehead::scheduler
