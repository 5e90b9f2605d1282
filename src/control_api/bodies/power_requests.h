// The bodies of requests about machines' power, and about work on them. The rules of requests.h hold.
#pragma once

#include "control_api/bodies/requests.h"
#include "reconcile/commands/maintenance.h"
#include "reconcile/commands/power.h"
#include "reconcile/commands/upgrades.h"

namespace bridgehead::control_api {

struct BmcRequest {
  reconcile::SetBmc command;            // its password is not set
  std::optional<std::string> password;  // plain: to be tried, then sealed; it goes no further
};
Result<BmcRequest> read_set_bmc(std::string_view body);
Result<reconcile::SwitchNode> read_switch_node(std::string_view body);

struct DrainRequest {
  std::optional<model::AfterDrain> then;
  std::optional<std::uint64_t> boot_deadline_seconds;  // only with `then`
};
Result<DrainRequest> read_drain(std::string_view body);
Result<reconcile::RolloutNodeImage> read_rollout(std::string_view body);
Result<reconcile::UpgradeNodes> read_upgrade(std::string_view body);

}  // namespace bridgehead::control_api
