// The bodies of requests, read into what reconcile/commands take. Only form is checked here (JSON, types, unknown
// fields); what values mean is checked by the commands. Free functions; thread-safe. Fail with invalid_argument
// beginning with the field. An empty body is read as {}.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "pki/secret_box.h"
#include "reconcile/commands/commands.h"
#include "reconcile/commands/migration.h"
#include "reconcile/commands/netboot.h"
#include "reconcile/commands/planning.h"
#include "reconcile/commands/plans.h"
#include "reconcile/commands/power_profiles.h"

namespace bridgehead::control_api {

// `random` salts the hash of a plain password in cloud_init, which goes no further than here.
Result<reconcile::CreateVms> read_create_vms(std::string_view body, RandomSource& random);
Result<reconcile::UpdateVm> read_update_vm(std::string_view body, RandomSource& random);
Result<reconcile::PowerRequest> read_power(std::string_view body, reconcile::PowerAction action);
Result<reconcile::MigrateVm> read_migrate_vm(std::string_view body);
Result<reconcile::DiskRequest> read_add_disk(std::string_view body);
Result<reconcile::NicRequest> read_add_nic(std::string_view body);
Result<std::string> read_snapshot_name(std::string_view body);
Result<reconcile::ImportImage> read_import_image(std::string_view body);
Result<std::string> read_migrate_image(std::string_view body);  // the pool
Result<reconcile::AddPool> read_add_pool(std::string_view body);
Result<reconcile::CreateNetwork> read_create_network(std::string_view body);
Result<reconcile::UpdateNode> read_update_node(std::string_view body, const pki::SecretBox* secrets);
Result<reconcile::AddRule> read_add_rule(std::string_view body);
Result<reconcile::PolicyChange> read_policy_change(std::string_view body);
inline constexpr std::size_t kLongestTrace = 10'000;                               // guests of a what-if
Result<reconcile::SetPowerProfile> read_set_power_profile(std::string_view body);  // its machine stands in the path
Result<reconcile::WhatIf> read_what_if(std::string_view body);
Result<reconcile::CreateToken> read_create_token(std::string_view body);

Result<std::string> read_session_token(std::string_view body);

struct JoinTokenRequest {
  reconcile::CreateJoinToken command;
  std::string address;  // where this agent should dial in, "host[:port]"; "" = the manager's own idea
};
Result<JoinTokenRequest> read_create_join_token(std::string_view body);

Result<reconcile::EnableNetboot> read_enable_netboot(std::string_view body);  // address may be ""
Result<reconcile::ApproveNodes> read_approve_nodes(std::string_view body);
Result<reconcile::AssignNodes> read_assign_nodes(std::string_view body);
// Its name stands in the path. The content of secret files is sealed as it is read and goes no further than here; where
// `secrets` is null there can be none.
Result<reconcile::ProfileRequest> read_profile(std::string_view body, const pki::SecretBox* secrets);

struct NodeImageRequest {
  std::string base;
  std::optional<std::string> path;  // none = build it
  std::string role = "compute";
  std::string initramfs;  // with a path
  std::string nic_drivers = "servers";
};
Result<NodeImageRequest> read_node_image(std::string_view body);
// For actions that take nothing: an empty body or {}.
Status read_nothing(std::string_view body);

// A text message of a console: {"columns": 80, "rows": 25}, each 1 to 10000.
struct TerminalSize {
  std::uint32_t columns = 0;
  std::uint32_t rows = 0;
};
Result<TerminalSize> read_terminal_size(std::string_view message);

}  // namespace bridgehead::control_api
