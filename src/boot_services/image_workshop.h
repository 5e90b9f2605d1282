// ImageWorkshop: makes, publishes, compares and removes node images. What is made of what is bounded here, whoever
// asks: recipes come from the configured directory and the built-in ones, imports from the configured directories.
// Thread-safe.
#pragma once

#include <filesystem>
#include <mutex>
#include <vector>

#include "base/command.h"
#include "base/progress.h"
#include "model/boot_services.h"
#include "nodeimage/builder.h"
#include "nodeimage/store.h"

namespace bridgehead::boot_services {

// What images are made with.
struct ImageTools {
  std::filesystem::path init;                             // our initramfs's init
  std::filesystem::path busybox;                          // a static one
  std::filesystem::path agent_package;                    // the agent's .deb; built images need it
  std::filesystem::path recipes;                          // those of one's own
  std::vector<std::filesystem::path> import_directories;  // what lies below them may be imported
  bool keep_trees = true;                                 // for roots by nfs
};

class ImageWorkshop {
 public:
  // Removes what killed builds left.
  ImageWorkshop(nodeimage::ImageStore& images, CommandRunner& runner, ImageTools tools);

  Result<model::NodeImage> make(const model::NodeImageOrder& order, const ProgressSink& progress, std::stop_token stop);
  Status remove(const model::NodeImageId& id);
  Result<model::NodeImageDifference> compare(const model::NodeImageComparison& comparison) const;

 private:
  Result<nodeimage::StagedImage> build(const model::NodeImageOrder& order, const ProgressSink& progress,
                                       std::stop_token stop);
  Result<nodeimage::StagedImage> import(const model::NodeImageOrder& order, const ProgressSink& progress,
                                        std::stop_token stop);
  Status check_tools(const model::NodeImageOrder& order) const;
  Result<std::filesystem::path> allowed_source(const std::string& path) const;
  nodeimage::InitramfsMaker initramfs_maker(const model::NodeImageOrder& order) const;

  nodeimage::ImageStore& images_;
  const ImageTools tools_;
  nodeimage::ImageBuilder builder_;
  std::timed_mutex making_;
};

}  // namespace bridgehead::boot_services
