// Every noun of `bh`; one file each (vm has several). Each adds its verbs to the command tree.
#pragma once

#include "cli/context.h"

namespace bridgehead::cli {

void add_vm_commands(CLI::App& root, Context& context);
void add_vm_change_commands(CLI::App& vm, Context& context);   // set, rename, resize, disk, nic
void add_vm_power_commands(CLI::App& vm, Context& context);    // start, stop, reboot, pause, resume
void add_vm_console_commands(CLI::App& vm, Context& context);  // console, log, vnc
void add_vm_create_command(CLI::App& vm, Context& context);
void add_vm_snapshot_commands(CLI::App& vm, Context& context);
void add_vm_migrate_command(CLI::App& vm, Context& context);
void add_image_commands(CLI::App& root, Context& context);
void add_pool_commands(CLI::App& root, Context& context);
void add_network_commands(CLI::App& root, Context& context);
void add_node_commands(CLI::App& root, Context& context);
void add_node_netboot_commands(CLI::App& node, Context& context);  // approve, refuse, assign, log, boot-script
void add_node_watch_command(CLI::App& node, Context& context);
void print_boot_steps(const nlohmann::json& boot);  // of a Boot: a table
void add_netboot_commands(CLI::App& root, Context& context);
void add_node_image_commands(CLI::App& root, Context& context);
void add_profile_commands(CLI::App& root, Context& context);
void add_plan_commands(CLI::App& root, Context& context);
void add_rule_commands(CLI::App& root, Context& context);
void add_policy_commands(CLI::App& root, Context& context);
void add_node_drain_commands(CLI::App& node, Context& context);  // drain, undrain
void add_node_upgrade_command(CLI::App& node, Context& context);
void add_node_power_commands(CLI::App& node, Context& context);  // power, bmc
void add_node_console_command(CLI::App& node, Context& context);
void add_alert_commands(CLI::App& root, Context& context);
void add_ha_commands(CLI::App& root, Context& context);
void add_energy_commands(CLI::App& root, Context& context);
void add_operation_commands(CLI::App& root, Context& context);
void add_event_commands(CLI::App& root, Context& context);
void add_token_commands(CLI::App& root, Context& context);
void add_status_commands(CLI::App& root, Context& context);  // status, version, login, whoami
void add_lab_command(CLI::App& root, Context& context);
Status run_lab(std::vector<std::string> arguments);  // becomes bridgehead-lab; returns only to say why not
void add_sim_command(CLI::App& root, Context& context);
Status run_sim(std::vector<std::string> arguments);             // likewise bridgehead-sim
void add_reference_commands(CLI::App& root, Context& context);  // completion, man

}  // namespace bridgehead::cli
