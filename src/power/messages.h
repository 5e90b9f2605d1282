// Log messages of the power module, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::power {

inline constexpr log::Message power_changed{
    "POWER_CHANGED", "A machine's power was switched, and its state was read back; says who vouches for it."};
inline constexpr log::Message power_asked_again{
    "POWER_ASKED_AGAIN", "A BMC took a request, but nothing followed from it; it is asked for once more."};
inline constexpr log::Message power_not_proven{"POWER_NOT_PROVEN",
                                               "A machine's power was to be switched, and it couldn't be proven that "
                                               "it came to pass: it may be on or off. Look at "
                                               "the machine before anything is started elsewhere that may run on it."};

}  // namespace bridgehead::power
