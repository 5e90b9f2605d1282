// DirectoryPool: images in a directory, whatever file system is under it. Thread-safe.
// The drivers differ in who mounts it (PoolParts::mount). What the file system can do is found out at attach: a clone
// shares its golden image's blocks by reflink, by MooseFS's snapshots, or else through a qcow2 overlay; new files are
// laid out where the file system takes orders (layout.h). A blank disk is a sparse raw file.
#pragma once

#include <atomic>
#include <mutex>

#include "base/command.h"
#include "base/random.h"
#include "storage/active_owners.h"
#include "storage/image_pool.h"
#include "storage/import.h"
#include "storage/layout.h"
#include "storage/lease_stamps.h"
#include "storage/mount.h"
#include "storage/pool_layout.h"

namespace bridgehead::storage {

struct PoolParts {
  std::shared_ptr<CommandRunner> runner;
  std::unique_ptr<Mount> mount;  // null: somebody else mounts it, or it is a directory of this machine
};

class DirectoryPool final : public ImagePool {
 public:
  DirectoryPool(model::Pool pool, PoolLayout layout, PoolParts parts);

  model::PoolOnNode attach() override;
  Status detach() override;
  Result<model::PoolOnNode> status() const override;
  Result<std::filesystem::path> directory() const override;
  Result<StoredImage> import_golden(const ImportRequest& request, const ProgressSink& progress,
                                    std::stop_token stop) override;
  Status help_import(const HelpRequest& request, const ProgressSink& progress, std::stop_token stop) override;
  Result<StoredImage> create_disk(const model::Image& disk, const model::Image* golden, Bytes size) override;
  Result<StoredImage> grow_disk(const model::Image& disk, Bytes size) override;
  Result<StoredImage> copy_disk(const DiskCopy& copy, const ProgressSink& progress, std::stop_token stop) override;
  Result<StoredImage> begin_copy(const model::OperationId& operation, const model::Image& disk,
                                 model::ImageFormat format, Bytes size) override;
  Status end_copy(const model::Image& disk) override;
  Status reopen_copy(const model::Image& disk) override;
  Result<std::optional<model::OperationId>> copied_by(const model::Image& disk) const override;
  Result<StoredImage> flatten_disk(const model::Image& disk, const ProgressSink& progress,
                                   std::stop_token stop) override;
  Result<StoredImage> inspect(const model::Image& image) const override;
  Status remove(const model::Image& image) override;
  Status export_image(const model::Image& image, model::ImageFormat format,
                      const std::function<bool(std::string_view)>& sink, const ProgressSink& progress,
                      std::stop_token stop) const override;
  Result<model::PoolSurvey> survey(const std::vector<model::Image>& images) const override;
  Status write_beat(const model::NodeId& node, std::uint64_t count) override;
  Result<std::uint64_t> read_beat(const model::NodeId& node) const override;
  Status write_claim(const model::NodeId& node, std::uint64_t claim) override;
  Status remove_claim(const model::NodeId& node, std::uint64_t claim) override;
  Result<std::vector<std::uint64_t>> read_claims(const model::NodeId& node) const override;
  Status stamp_lease(const model::LeaseClaim& claim) override;
  Status change_terms(const model::LeaseClaim& own) override;
  Result<std::optional<model::LeaseStamp>> read_lease(const model::VmId& vm) const override;
  Status remove_lease(const model::VmId& vm) override;
  Status collect_garbage(const std::function<bool(const model::OperationId&)>& alive) override;

 private:
  Result<model::PoolOnNode> try_attach();
  Result<std::optional<MountEntry>> find_mount() const;
  Result<model::PoolAbilities> try_abilities_here(const std::optional<MountEntry>& mount);
  Status try_layouts(const std::filesystem::path& file) const;
  Status make_layout();
  Status claim();
  Status check_marker() const;
  Result<UniqueFd> create_file(const std::filesystem::path& file, const LayoutNeed& need) const;
  std::shared_ptr<const LayoutControl> layouts() const;
  Status check_attached() const;
  Status check_mounted() const;
  // What a call has found, or not found, is only worth something if the file system was there: before, as
  // check_attached says, and after.
  template <typename T>
  Result<T> if_still_mounted(Result<T> result) const {
    if (auto mounted = check_mounted(); !mounted) return forward(mounted);
    return result;
  }
  model::PoolAbilities abilities() const;
  ImportEnvironment import_environment(model::LayoutWish wish) const;
  Result<StoredImage> make_disk(const model::Image& disk, const model::Image* golden, Bytes size);
  Result<StoredImage> enlarge_disk(const model::Image& disk, Bytes size);
  Status make_clone(const std::filesystem::path& staging, const StoredImage& golden, const LayoutNeed& need,
                    model::ImageFormat& format);
  Status rename_mark(const std::filesystem::path& from, const std::filesystem::path& to) const;
  Status publish_disk(const std::filesystem::path& staging, const std::filesystem::path& path) const;
  Status remove_files(const model::Image& image) const;
  Status write_copy(const DiskCopy& copy, const std::filesystem::path& staging, const ProgressSink& progress,
                    const std::stop_token& stop) const;
  Status refuse_if_backing(const model::Image& golden) const;

  const model::Pool pool_;
  const PoolLayout layout_;
  const LeaseStamps leases_;
  const std::shared_ptr<CommandRunner> runner_;
  const std::unique_ptr<Mount> mount_;
  mutable ActiveOwners active_;
  mutable SystemRandom random_;
  mutable std::mutex mutex_;
  std::optional<model::PoolOnNode> attached_;
  Place place_;                                   // at the last attach
  std::shared_ptr<const LayoutControl> layouts_;  // null: files can't be laid out
};

}  // namespace bridgehead::storage
