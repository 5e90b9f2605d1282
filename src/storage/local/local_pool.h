// LocalPool: images in a directory of this node's own file system. Thread-safe.
// A clone shares its golden image's blocks by reflink where the file system has it (found by trial at attach),
// otherwise through a qcow2 overlay. A blank disk is a sparse raw file. See local/README.md.
#pragma once

#include <atomic>
#include <mutex>

#include "base/command.h"
#include "base/random.h"
#include "storage/active_owners.h"
#include "storage/image_pool.h"
#include "storage/lease_stamps.h"
#include "storage/pool_layout.h"

namespace bridgehead::storage {

class LocalPool final : public ImagePool {
 public:
  LocalPool(model::Pool pool, std::unique_ptr<CommandRunner> runner);

  model::PoolOnNode attach() override;
  Result<model::PoolOnNode> status() const override;
  Result<StoredImage> import_golden(const ImportRequest& request, const ProgressSink& progress,
                                    std::stop_token stop) override;
  Result<StoredImage> create_disk(const model::Image& disk, const model::Image* golden, Bytes size) override;
  Result<StoredImage> grow_disk(const model::Image& disk, Bytes size) override;
  Result<StoredImage> inspect(const model::Image& image) const override;
  Status remove(const model::Image& image) override;
  Status export_image(const model::Image& image, model::ImageFormat format,
                      const std::function<bool(std::string_view)>& sink, const ProgressSink& progress,
                      std::stop_token stop) const override;
  Status stamp_lease(const LeaseStamp& stamp) override;
  Result<std::optional<LeaseStamp>> read_lease(const model::VmId& vm) const override;
  Status remove_lease(const model::VmId& vm) override;
  Status collect_garbage(const std::function<bool(const model::OperationId&)>& alive) override;

 private:
  Status make_layout();
  Status claim();
  Status check_attached() const;
  model::PoolAbilities abilities() const;
  Status make_clone(const std::filesystem::path& staging, const StoredImage& golden, Bytes size,
                    model::ImageFormat& format);
  Status publish_disk(const std::filesystem::path& staging, const std::filesystem::path& path) const;
  Status refuse_if_backing(const model::Image& golden) const;

  const model::Pool pool_;
  const PoolLayout layout_;
  const LeaseStamps leases_;
  const std::unique_ptr<CommandRunner> runner_;
  mutable ActiveOwners active_;
  mutable SystemRandom random_;
  mutable std::mutex mutex_;
  std::optional<model::PoolOnNode> attached_;
};

}  // namespace bridgehead::storage
