// Log messages of this module.
#pragma once

#include "base/log.h"

namespace bridgehead::alert_desk {

inline constexpr log::Message alert_raised{"ALERT_RAISED", "Something needs a person; what and what to do: bh status"};
inline constexpr log::Message alert_cleared{"ALERT_CLEARED", "What needed a person doesn't any more."};
inline constexpr log::Message alerts_not_kept{
    "ALERTS_NOT_KEPT",
    "Alerts could not be written to the store; they are looked at anew. If it "
    "stays, look at the store's disk."};
inline constexpr log::Message webhook_failed{
    "WEBHOOK_FAILED", "An alert could not be posted; it is tried again. See: bh alert webhook show"};

}  // namespace bridgehead::alert_desk
