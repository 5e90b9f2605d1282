// The bodies of requests about machines' power. The rules of requests.h hold.
#pragma once

#include "control_api/bodies/requests.h"
#include "reconcile/commands/power.h"

namespace bridgehead::control_api {

struct BmcRequest {
  reconcile::SetBmc command;            // its password is not set
  std::optional<std::string> password;  // plain: to be tried, then sealed; it goes no further
};
Result<BmcRequest> read_set_bmc(std::string_view body);
Result<reconcile::SwitchNode> read_switch_node(std::string_view body);

}  // namespace bridgehead::control_api
