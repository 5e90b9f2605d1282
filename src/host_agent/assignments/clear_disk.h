// Removes a disk's file on a node where it isn't the guest's disk: a migration took it away, or brought it in vain.
// What there may be of the guest goes first, so that nothing uses the file. Fails while the guest runs here.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class ClearDiskHandler {
 public:
  explicit ClearDiskHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::ClearDisk& work, const Task& task);

 private:
  Status clear_guest(const model::VmId& vm, const Task& task);
  Status check_unused(const model::ClearDisk& work, const PoolHandle& pool, const Task& task);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
