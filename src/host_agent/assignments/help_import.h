// help_import: copies parts of an image that another node imports from one shared pool to another.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class HelpImportHandler {
 public:
  explicit HelpImportHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::HelpImport& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
