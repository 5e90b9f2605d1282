// Makes a golden image from an upload, a URL, a file of this node or a golden image of another pool. Everything about
// bytes is the pool's business; here are where they come from, who may be read, and cancelling. See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class ImportImageHandler {
 public:
  explicit ImportImageHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::ImportImage& work, const Task& task);

 private:
  void forget(const Task& task, const PoolHandle& pool);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
