// The handlers of all routes, by resource; the table in routes.cpp names them. See routes.h for the threads they run
// on.
#pragma once

#include "control_api/routes.h"

namespace bridgehead::control_api {

#define BRIDGEHEAD_ANSWER(name) Result<http::Response> name(Services& services, const Call& call)
#define BRIDGEHEAD_STREAM(name) void name(Services& services, const std::shared_ptr<Call>& call)

// system.cpp
BRIDGEHEAD_ANSWER(get_version);
BRIDGEHEAD_ANSWER(get_openapi);
BRIDGEHEAD_ANSWER(get_health);
BRIDGEHEAD_ANSWER(get_metrics);
BRIDGEHEAD_ANSWER(get_status);
// session.cpp
BRIDGEHEAD_ANSWER(begin_session);
BRIDGEHEAD_ANSWER(end_session);
// vms.cpp
BRIDGEHEAD_ANSWER(list_vms);
BRIDGEHEAD_ANSWER(create_vm);
BRIDGEHEAD_ANSWER(get_vm);
BRIDGEHEAD_ANSWER(patch_vm);
BRIDGEHEAD_ANSWER(delete_vm_by_name);
BRIDGEHEAD_ANSWER(start_vm);
BRIDGEHEAD_ANSWER(stop_vm);
BRIDGEHEAD_ANSWER(reboot_vm);
BRIDGEHEAD_ANSWER(migrate_vm_by_name);
BRIDGEHEAD_ANSWER(get_vm_migration_checks);
BRIDGEHEAD_ANSWER(pause_vm);
BRIDGEHEAD_ANSWER(resume_vm);
// alerts.cpp
BRIDGEHEAD_ANSWER(list_alerts);
BRIDGEHEAD_ANSWER(get_webhook);
BRIDGEHEAD_ANSWER(put_webhook);
BRIDGEHEAD_ANSWER(delete_webhook);
BRIDGEHEAD_ANSWER(post_webhook_test);
// upgrades.cpp
BRIDGEHEAD_ANSWER(post_agents_upgrade);
// availability.cpp
BRIDGEHEAD_ANSWER(get_availability);
BRIDGEHEAD_ANSWER(post_availability_go_on);
BRIDGEHEAD_ANSWER(post_node_confirm_off);
BRIDGEHEAD_ANSWER(post_vm_confirm_stopped);
BRIDGEHEAD_ANSWER(post_node_bmc_trust);
// use.cpp
BRIDGEHEAD_ANSWER(get_node_use);
// energy.cpp
BRIDGEHEAD_ANSWER(get_energy);
BRIDGEHEAD_ANSWER(list_power_profiles);
BRIDGEHEAD_ANSWER(put_power_profile);
BRIDGEHEAD_ANSWER(delete_power_profile);
BRIDGEHEAD_ANSWER(get_vm_use);
// vm_devices.cpp
BRIDGEHEAD_ANSWER(add_vm_disk);
BRIDGEHEAD_ANSWER(remove_vm_disk);
BRIDGEHEAD_ANSWER(add_vm_nic);
BRIDGEHEAD_ANSWER(remove_vm_nic);
BRIDGEHEAD_ANSWER(list_vm_snapshots);
BRIDGEHEAD_ANSWER(create_vm_snapshot);
BRIDGEHEAD_ANSWER(rollback_vm_snapshot);
BRIDGEHEAD_ANSWER(delete_vm_snapshot);
// consoles.cpp
BRIDGEHEAD_STREAM(open_console);
BRIDGEHEAD_STREAM(open_node_console);
BRIDGEHEAD_STREAM(open_vnc);
BRIDGEHEAD_STREAM(get_vm_log);
// images.cpp
BRIDGEHEAD_ANSWER(list_images);
BRIDGEHEAD_ANSWER(import_image);
BRIDGEHEAD_ANSWER(get_image);
BRIDGEHEAD_ANSWER(delete_image_by_name);
BRIDGEHEAD_ANSWER(migrate_image_by_name);
BRIDGEHEAD_ANSWER(flatten_image_by_name);
// image_transfer.cpp
BRIDGEHEAD_STREAM(export_image);
BRIDGEHEAD_STREAM(put_upload);
// pools.cpp
BRIDGEHEAD_ANSWER(list_pools);
BRIDGEHEAD_ANSWER(create_pool);
BRIDGEHEAD_ANSWER(get_pool);
BRIDGEHEAD_ANSWER(delete_pool);
// pool_layouts.cpp
BRIDGEHEAD_STREAM(get_image_layout);
BRIDGEHEAD_STREAM(get_pool_balance);
// networks.cpp
BRIDGEHEAD_ANSWER(list_networks);
BRIDGEHEAD_ANSWER(create_network_record);
BRIDGEHEAD_ANSWER(get_network);
BRIDGEHEAD_ANSWER(delete_network_by_name);
// nodes.cpp
BRIDGEHEAD_ANSWER(list_nodes);
BRIDGEHEAD_ANSWER(get_node);
BRIDGEHEAD_ANSWER(patch_node);
BRIDGEHEAD_ANSWER(delete_node_by_name);
BRIDGEHEAD_ANSWER(create_join_token_ticket);
BRIDGEHEAD_ANSWER(drain_node_by_name);
BRIDGEHEAD_ANSWER(undrain_node_by_name);
// power.cpp
BRIDGEHEAD_ANSWER(get_node_bmc);
BRIDGEHEAD_ANSWER(put_node_bmc);
BRIDGEHEAD_ANSWER(delete_node_bmc);
BRIDGEHEAD_ANSWER(post_node_power);
BRIDGEHEAD_STREAM(get_node_power);
BRIDGEHEAD_STREAM(get_node_bmc_check);
// netboot.cpp
BRIDGEHEAD_ANSWER(get_netboot);
BRIDGEHEAD_ANSWER(put_netboot);
BRIDGEHEAD_ANSWER(delete_netboot);
BRIDGEHEAD_ANSWER(post_netboot_approve);
BRIDGEHEAD_ANSWER(post_netboot_assign);
BRIDGEHEAD_ANSWER(get_node_boot);
BRIDGEHEAD_ANSWER(list_node_boots);
BRIDGEHEAD_ANSWER(get_node_boot_script);
// profiles.cpp
BRIDGEHEAD_ANSWER(list_profiles);
BRIDGEHEAD_ANSWER(get_profile);
BRIDGEHEAD_ANSWER(put_profile);
BRIDGEHEAD_ANSWER(delete_profile_by_name);
// node_images.cpp
BRIDGEHEAD_ANSWER(list_node_images);
BRIDGEHEAD_ANSWER(create_node_image);
BRIDGEHEAD_ANSWER(get_node_image);
BRIDGEHEAD_ANSWER(delete_node_image_by_name);
BRIDGEHEAD_ANSWER(diff_node_images);
BRIDGEHEAD_ANSWER(post_node_image_rollout);
// benchmarks.cpp
BRIDGEHEAD_ANSWER(list_benchmarks);
BRIDGEHEAD_ANSWER(start_benchmark);
BRIDGEHEAD_ANSWER(keep_benchmark);
BRIDGEHEAD_ANSWER(keep_more_of_benchmark);
BRIDGEHEAD_ANSWER(get_benchmark);
BRIDGEHEAD_ANSWER(remove_benchmark);

// plans.cpp
BRIDGEHEAD_ANSWER(get_plan_now);
BRIDGEHEAD_ANSWER(post_what_if);
BRIDGEHEAD_ANSWER(list_plans);
BRIDGEHEAD_ANSWER(get_plan);
BRIDGEHEAD_ANSWER(get_plan_input);
BRIDGEHEAD_ANSWER(get_plan_replay);
BRIDGEHEAD_ANSWER(apply_plan_by_id);
BRIDGEHEAD_ANSWER(cancel_plan_by_id);
// rules.cpp
BRIDGEHEAD_ANSWER(list_rules);
BRIDGEHEAD_ANSWER(create_rule);
BRIDGEHEAD_ANSWER(get_rule);
BRIDGEHEAD_ANSWER(delete_rule);
BRIDGEHEAD_ANSWER(get_policy);
BRIDGEHEAD_ANSWER(patch_policy);
// operations.cpp
BRIDGEHEAD_ANSWER(list_operations);
BRIDGEHEAD_STREAM(get_operation);
BRIDGEHEAD_ANSWER(cancel_operation_by_id);
// events.cpp
BRIDGEHEAD_ANSWER(list_events);
BRIDGEHEAD_STREAM(stream_events);
// tokens.cpp
BRIDGEHEAD_ANSWER(list_tokens);
BRIDGEHEAD_ANSWER(create_token_secret);
BRIDGEHEAD_ANSWER(delete_token_by_name);
BRIDGEHEAD_ANSWER(get_whoami);

#undef BRIDGEHEAD_ANSWER
#undef BRIDGEHEAD_STREAM

}  // namespace bridgehead::control_api
