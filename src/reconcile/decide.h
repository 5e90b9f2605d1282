// decide: what is to be done about one open operation now. Pure; level-triggered: it looks only at the store and at
// what the agents said, never at what it decided before, so it may be asked at any time and after any crash.
#pragma once

#include "reconcile/view.h"

namespace bridgehead::reconcile {

Decision decide(const View& view);

}  // namespace bridgehead::reconcile
