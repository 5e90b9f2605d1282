// Versions of manager and agent, "0.2.0": which is older, and which of them work together. Free functions; pure. What
// comes after the numbers ("0.2.0-1") doesn't count.
#pragma once

#include <string_view>

namespace bridgehead::reconcile {

// False, too, where either isn't a version.
bool is_older(std::string_view version, std::string_view than);
// Whether manager and agent of these versions work together: of the same major version the minor ones may differ by
// one; of different ones, the major ones by one.
bool work_together(std::string_view one, std::string_view other);

}  // namespace bridgehead::reconcile
