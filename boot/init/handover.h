// The last steps in the initramfs: the writable layer, the files that the root finds, and the root's own init.
#pragma once

#include <string>
#include <vector>

#include "boot_plan.h"
#include "command_line.h"
#include "network.h"
#include "result.h"
#include "root_mount.h"

namespace bridgehead::init {

inline constexpr auto new_root = "/sysroot";

// The root under a layer of tmpfs, at new_root.
Status mount_overlay(const BootPlan& plan, RootContext& context);
// Downloads the plan's bundle, if it has one, and unpacks it over new_root.
Status lay_bundle(const BootPlan& plan, RootContext& context);

struct HandoverFile {
  std::string path;
  std::string content;
  mode_t mode = 0644;
};
// Below /run: what keeps network services away from the uplink and udev from the root's device, and the plan for the
// agent. Pure.
std::vector<HandoverFile> handover_files(const BootPlan& plan, const Uplink& uplink, const CommandLine& line,
                                         const RootHoldings& root);
// The image's /etc/hosts, with the node's own name where it has it not. Pure.
std::string hosts_with(std::string hosts, const std::string& name, const std::string& address);
// Those, and what belongs into the root itself (/etc/hostname, /etc/hosts, /etc/resolv.conf).
Status write_handover(const BootPlan& plan, const Uplink& uplink, const CommandLine& line, const RootHoldings& root);

// The root's init: the command line's, or the first of the usual ones.
Result<std::string> find_init(const std::string& wanted);
// The directories that whoever moves into the root expects there.
void make_mount_points();
// Moves /dev, /proc, /sys and /run, empties the initramfs, and becomes `init`. Returns only where that fails, and then
// there is no way back.
Failure switch_root(const std::string& init, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment);

}  // namespace bridgehead::init
