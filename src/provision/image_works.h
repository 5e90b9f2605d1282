// ImageWorks: has the operations about node images (node_image.build, .import, .delete) carried out by BootServices,
// one after the other, on a thread of its own. A manager that is killed begins the open ones again, and so it does with
// one whose helper went away; a half-made image is never visible. Thread-safe. Errors end in the operation.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "boot_services/boot_services.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::provision {

class ImageWorks {
 public:
  ImageWorks(state::Inventory& inventory, boot_services::BootServices& services, reconcile::ProgressBoard& progress,
             const Clock& clock);
  ~ImageWorks();  // stops; what runs is cancelled and done again at the next start

 private:
  void run(const std::stop_token& stop);
  state::Record<model::Operation> next() const;
  void carry_out(const state::Record<model::Operation>& operation, const std::stop_token& stop);
  Result<model::NodeImage> make(const model::Operation& operation, const std::stop_token& cancelled);
  Status remove(const model::Operation& operation, const std::stop_token& stop);
  Error give_up(const model::Operation& operation, const std::stop_token& stop);
  Status begin(const state::Record<model::Operation>& operation);
  void finish(const model::OperationId& id, const std::optional<Error>& error, const model::NodeImage* made);

  state::Inventory& inventory_;
  boot_services::BootServices& services_;
  reconcile::ProgressBoard& progress_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool look_ = true;
  model::OperationId running_;
  std::stop_source cancel_;
  std::unique_ptr<state::StateStore::Watch> watch_;
  std::jthread thread_;  // last
};

}  // namespace bridgehead::provision
