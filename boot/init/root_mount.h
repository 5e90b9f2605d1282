// Mounts the root file system read-only, by one of three transports. One thread; every call has an end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "boot_plan.h"
#include "journal.h"
#include "manager.h"
#include "module_loader.h"
#include "result.h"

namespace bridgehead::init {

inline constexpr auto lower_directory = "/run/bridgehead/root";

// What a root needs as long as it is used; given back by release(), which a failed attempt calls.
struct RootHoldings {
  std::vector<std::string> mounts;  // in the order in which they were made
  pid_t nbd_daemon = 0;
  pid_t prefetch_daemon = 0;
  bool nbd_connected = false;
  std::uint32_t nbd_index = 0;
  int loop = -1;  // number of the loop device

  void release();
};

struct RootContext {
  Journal& journal;
  ModuleLoader& loader;
  Manager& manager;
  Ipv4 address;  // ours
  std::chrono::seconds wait;
  RootHoldings& holdings;
};

// Onto lower_directory. What was done so far is in `holdings`, also after a failure.
Status mount_root(const BootPlan& plan, RootContext& context);

// mount(2) in a child with a deadline; recorded in `holdings`.
Status mount_guarded(RootHoldings& holdings, const std::string& what, const std::string& source,
                     const std::string& target, const std::string& type, unsigned long flags, const std::string& data);

// The data of a mount(2) of NFS: what mount.nfs would have found out. Pure.
std::string nfs_mount_data(const std::string& options, const Ipv4& server, const Ipv4& ours);

}  // namespace bridgehead::init
