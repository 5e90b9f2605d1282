// Log messages of the power desk, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::power_desk {

inline constexpr log::Message power_operation_failed{
    "POWER_OPERATION_FAILED",
    "Somebody asked for a machine's power to be switched, and it couldn't be done or proven; says why."};
inline constexpr log::Message power_not_noted{
    "POWER_NOT_NOTED", "How switching a machine ended couldn't be written to the store; it is done again soon."};
inline constexpr log::Message power_taken_up_again{
    "POWER_TAKEN_UP_AGAIN", "The manager was stopped while it switched a machine, and goes on with that now."};

}  // namespace bridgehead::power_desk
