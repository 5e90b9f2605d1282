// The log messages of the netboot helper's main program, each with what it means for the operator.
#pragma once

#include "base/log.h"

namespace bridgehead::netboot_helper {

inline constexpr log::Message netboot_helper_ready{
    "NETBOOT_HELPER_READY", "The netboot helper serves the manager at this socket; its version."};
inline constexpr log::Message netboot_helper_failed{"NETBOOT_HELPER_FAILED",
                                                    "The netboot helper can't start; the text says what to do."};
inline constexpr log::Message netboot_helper_stopping{
    "NETBOOT_HELPER_STOPPING", "The netboot helper was asked to stop; machines that run wait for the next one."};

}  // namespace bridgehead::netboot_helper
