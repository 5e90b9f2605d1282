#include "storage/mount_plan.h"

namespace bridgehead::storage {
namespace {

MountWay kernel_way(const model::Pool& pool, const model::PoolSource& source, const std::filesystem::path& point) {
  std::string options = "nosuid,nodev,noatime,name=" + option_or(pool, "user", "admin");
  if (const auto file = option_or(pool, "secret_file", ""); !file.empty()) options += ",secretfile=" + file;
  if (const auto name = option_or(pool, "file_system", ""); !name.empty()) options += ",fs=" + name;
  if (const auto file = option_or(pool, "config", ""); !file.empty()) options += ",conf=" + file;
  return {.command = {.program = "mount.ceph",
                      .arguments = {source.servers + ":" + (source.folder.empty() ? "/" : source.folder),
                                    point.native(), "-o", options},
                      .timeout = kMountPatience},
          .package = "ceph-common"};
}

MountWay fuse_way(const model::Pool& pool, const model::PoolSource& source, const std::filesystem::path& point) {
  std::vector<std::string> arguments{point.native(),
                                     "-m",
                                     source.servers,
                                     "--id",
                                     option_or(pool, "user", "admin"),
                                     "-c",
                                     option_or(pool, "config", "/dev/null")};
  // With either of its caches buffered readers get data from before direct writes.
  arguments.insert(arguments.end(), {"--client_oc=false", "--fuse_disable_pagecache=true", "-o", "nosuid,nodev"});
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  add("-k", option_or(pool, "keyring", ""));
  add("-r", source.folder);
  add("--client_fs", option_or(pool, "file_system", ""));
  return {.command = {.program = "ceph-fuse", .arguments = std::move(arguments), .timeout = kMountPatience},
          .package = "ceph-fuse"};
}

}  // namespace

// Which client, and why each option: README.md beside this file.
MountPlan plan_cephfs_mount(const model::Pool& pool, const std::filesystem::path& point) {
  const auto source = model::split_source(pool.source);
  const auto client = option_or(pool, "client", "");
  MountPlan plan{.file_system = "cephfs"};
  if (client != "fuse") plan.ways.push_back(kernel_way(pool, source, point));
  if (client != "kernel") plan.ways.push_back(fuse_way(pool, source, point));
  return plan;
}

}  // namespace bridgehead::storage
