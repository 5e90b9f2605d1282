// flatten_disk: a disk becomes independent of its golden image, in its place, while its guest runs or not. Cut off at
// any time it is as good as before, so a run that follows simply does it.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class FlattenDiskHandler {
 public:
  explicit FlattenDiskHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::FlattenDisk& work, const Task& task);

 private:
  Status flatten_under_guest(const model::FlattenDisk& work, const Task& task) const;
  Status flatten_at_rest(const model::FlattenDisk& work, const PoolHandle& pool, const Task& task) const;

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
