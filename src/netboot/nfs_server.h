// NFS-Ganesha as a value: a user-space NFS 4 server for nodes whose root is a directory tree. Its configuration is
// generated; a change of exports is read at SIGHUP. Free functions; thread-safe as the file system is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/supervisor.h"

namespace bridgehead::netboot {

struct NfsExport {
  std::uint16_t id = 1;  // 1 to 65,535, unique; clients keep it in file handles, so it must stay the same
  std::filesystem::path path;
  std::string pseudo;                // what clients mount: "/images/img-..."
  std::vector<std::string> clients;  // addresses or networks; none = all
  bool writable = false;
  bool operator==(const NfsExport&) const = default;
};

struct NfsServerPlan {
  std::string address;  // to listen on
  std::uint16_t port = 2049;
  std::filesystem::path directory;  // ours: ganesha.conf, run/, state/
  std::vector<NfsExport> exports;
  bool operator==(const NfsServerPlan&) const = default;

  std::filesystem::path config_file() const { return directory / "ganesha.conf"; }
};

// invalid_argument: a bad address or path (characters that would end a string), ids or pseudo paths that appear twice.
Result<std::string> nfs_config(const NfsServerPlan& plan);

// Makes the directories and writes the configuration atomically. True: it has changed (SIGHUP to ganesha if it runs).
Result<bool> install_nfs(const NfsServerPlan& plan);

// What has to run, in this order, after install_nfs. The last is named "ganesha".
std::vector<ServiceSpec> nfs_services(const NfsServerPlan& plan);

}  // namespace bridgehead::netboot
