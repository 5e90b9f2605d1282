// Removes a golden image or a detached disk. Missing is success; whether it is in use was checked by the manager.
// See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class RemoveImageHandler {
 public:
  explicit RemoveImageHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::RemoveImage& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
