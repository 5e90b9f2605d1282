// What may be called what. Pure functions; errors are invalid_argument with a hint.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead::model {

// Names of VMs, nodes, pools, networks, images, snapshots and tokens: 1 to 63 characters of a-z, 0-9, '-', '.' and '_',
//, beginning and ending with a letter or digit. `what` is for the message.
Status check_name(std::string_view what, std::string_view name);

// A host name label (RFC 1123) made from a VM's name: '_' and '.' become '-'.
std::string hostname_from(std::string_view vm_name);

}  // namespace bridgehead::model
