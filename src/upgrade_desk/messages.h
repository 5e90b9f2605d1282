// Log messages of the upgrade desk, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::upgrade_desk {

inline constexpr log::Message package_not_kept{"PACKAGE_NOT_KEPT",
                                               "A copy of the agent's package couldn't be kept or read, and why. The "
                                               "one that came with the manager serves all the "
                                               "same; when another comes, this one may be missing for the way back."};
inline constexpr log::Message upgrade_not_handed_over{
    "UPGRADE_NOT_HANDED_OVER", "An agent couldn't be asked or given its package, and why; it is tried again soon."};

}  // namespace bridgehead::upgrade_desk
