// ImageWorks: carries out the operations about node images (node_image.build, .import, .delete), one after the other,
// on a thread of its own. A manager that is killed begins the open ones again; a half-made image is never visible.
// Thread-safe. Errors end in the operation.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/command.h"
#include "netboot/initramfs/initramfs.h"
#include "nodeimage/builder.h"
#include "nodeimage/store.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::provision {

// What images are made with.
struct ImageTools {
  std::filesystem::path init;           // our initramfs's init
  std::filesystem::path busybox;        // a static one
  std::filesystem::path agent_package;  // the agent's .deb; built images need it
  std::vector<std::filesystem::path> recipes;
  bool keep_trees = true;  // for roots by nfs
};

class ImageWorks {
 public:
  ImageWorks(state::Inventory& inventory, nodeimage::ImageStore& store, reconcile::ProgressBoard& progress,
             CommandRunner& runner, const Clock& clock, ImageTools tools);
  ~ImageWorks();  // stops; what runs is cancelled and done again at the next start

 private:
  void run(const std::stop_token& stop);
  state::Record<model::Operation> next() const;
  void carry_out(const state::Record<model::Operation>& operation, const std::stop_token& stop);
  Result<nodeimage::Manifest> make(const model::Operation& operation, const model::NodeImage& image,
                                   const ProgressSink& progress, const std::stop_token& stop);
  nodeimage::InitramfsMaker initramfs_maker(const std::string& role, const netboot::NicDrivers& nics,
                                            const std::string& given = {}) const;
  Status begin(const state::Record<model::Operation>& operation);
  void finish(const model::OperationId& id, const std::optional<Error>& error, const nodeimage::Manifest* made);
  void remove(const model::Operation& operation);

  state::Inventory& inventory_;
  nodeimage::ImageStore& store_;
  reconcile::ProgressBoard& progress_;
  CommandRunner& runner_;
  const Clock& clock_;
  const ImageTools tools_;
  nodeimage::ImageBuilder builder_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool look_ = true;
  model::OperationId running_;
  std::stop_source cancel_;
  std::unique_ptr<state::StateStore::Watch> watch_;
  std::jthread thread_;  // last
};

}  // namespace bridgehead::provision
