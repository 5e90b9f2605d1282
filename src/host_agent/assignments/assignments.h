// Assignments: every handler, and the choice of the one that an assignment is for. Thread-safe: handlers keep no state.
#pragma once

#include <string>

#include "host_agent/assignments/accept_vm.h"
#include "host_agent/assignments/clear_disk.h"
#include "host_agent/assignments/ensure_network.h"
#include "host_agent/assignments/ensure_pool.h"
#include "host_agent/assignments/ensure_vm.h"
#include "host_agent/assignments/flatten_disk.h"
#include "host_agent/assignments/help_import.h"
#include "host_agent/assignments/import_image.h"
#include "host_agent/assignments/migrate_vm.h"
#include "host_agent/assignments/move_disk.h"
#include "host_agent/assignments/reboot_vm.h"
#include "host_agent/assignments/remove_image.h"
#include "host_agent/assignments/remove_network.h"
#include "host_agent/assignments/remove_pool.h"
#include "host_agent/assignments/remove_vm.h"
#include "host_agent/assignments/settle_vm.h"
#include "host_agent/assignments/snapshot_vm.h"

namespace bridgehead::host_agent {

class Assignments {
 public:
  explicit Assignments(NodeServices& services);
  Outcome run(const model::Assignment& assignment, const Task& task);

 private:
  EnsureVmHandler ensure_vm_;
  RemoveVmHandler remove_vm_;
  RebootVmHandler reboot_vm_;
  SnapshotVmHandler snapshot_vm_;
  AcceptVmHandler accept_vm_;
  MigrateVmHandler migrate_vm_;
  SettleVmHandler settle_vm_;
  MoveDiskHandler move_disk_;
  FlattenDiskHandler flatten_disk_;
  ClearDiskHandler clear_disk_;
  ImportImageHandler import_image_;
  HelpImportHandler help_import_;
  RemoveImageHandler remove_image_;
  EnsurePoolHandler ensure_pool_;
  RemovePoolHandler remove_pool_;
  EnsureNetworkHandler ensure_network_;
  RemoveNetworkHandler remove_network_;
};

// What an assignment is about: work in one lane is done one at a time, in the order it came.
std::string lane_of(const model::AssignmentBody& body);
std::string lane_of(const model::VmId& vm);
std::string lane_of(const model::PoolId& pool);
std::string lane_of(const model::NetworkId& network);
// Whole images are copied: hours, not seconds.
bool takes_long(const model::AssignmentBody& body);
// The guest it is about; empty for images, pools, networks.
model::VmId guest_of(const model::AssignmentBody& body);

}  // namespace bridgehead::host_agent
