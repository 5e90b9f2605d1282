// How a driver's file system is mounted, as values: which programs, with which options, tried in which order. Pure
// functions; each driver's are in its folder, with a page about why these options. storage/mount.h carries a plan out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/command.h"
#include "model/pool.h"
#include "model/pool_rules.h"

namespace bridgehead::storage {

struct MountWay {
  Command command;
  std::string package;  // what brings the program, for who must install it
};

struct MountPlan {
  std::vector<MountWay> ways;  // the next one is tried where the program or the kernel's part is missing
  std::string file_system;     // what is mounted then (MountEntry::file_system)
};

// invalid_argument where a field isn't what the driver needs; unsupported for drivers that mount nothing.
Result<MountPlan> plan_mount(const model::Pool& pool, const std::filesystem::path& point);

// A server that doesn't answer is given up on after this.
inline constexpr std::chrono::seconds kMountPatience{30};

// The value of an option, or `otherwise`.
std::string option_or(const model::Pool& pool, const std::string& name, std::string otherwise);

MountPlan plan_nfs_mount(const model::Pool& pool, const std::filesystem::path& point);
MountPlan plan_moosefs_mount(const model::Pool& pool, const std::filesystem::path& point);
MountPlan plan_cephfs_mount(const model::Pool& pool, const std::filesystem::path& point);
MountPlan plan_lustre_mount(const model::Pool& pool, const std::filesystem::path& point);

}  // namespace bridgehead::storage
