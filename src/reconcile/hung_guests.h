// Guests that have stopped answering, and what their policy (VmSpec::restart_hung) has done about it. A guest is hung
// when its guest agent's channel is open in the guest and nothing answers there; one that boots, shut its agent down or
// never had one is not. Pure functions; why it is so: docs/decisions/0034.
#pragma once

#include <string>

#include "reconcile/observe.h"

namespace bridgehead::reconcile {

struct HungGuest {
  enum class What { fine, reset, given_up };
  What what = What::fine;
  std::chrono::minutes silent{0};
  std::string why;  // for people
};

// For as long as the guest waited for its policy: since its agent fell silent and the last operation on it ended.
HungGuest judge_hung(const state::Inventory& inventory, const model::Vm& vm, Timestamp now);

// The operation that resets it; nothing where judge_hung doesn't say so.
Changes reset_hung(const Moment& moment, const state::Record<model::Vm>& vm);

}  // namespace bridgehead::reconcile
