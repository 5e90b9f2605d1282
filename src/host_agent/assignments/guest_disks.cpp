#include "host_agent/assignments/guest_disks.h"

namespace bridgehead::host_agent {
namespace {

using storage::ImagePool;
using storage::StoredImage;

template <typename Records, typename IdType>
auto find_record(const Records& records, const IdType& id) {
  return std::find_if(records.begin(), records.end(), [&](const auto& record) { return record.id == id; });
}

}  // namespace

Result<GuestDisks> GuestDisks::look(const NodeServices& services, const model::EnsureVm& work) {
  GuestDisks disks;
  for (const auto& spec : work.vm.spec.disks) {
    Disk disk{.spec = spec};
    const auto image = find_record(work.images, spec.image);
    if (image == work.images.end()) {
      return fail(ErrorCode::invalid_argument, "the assignment names disk {} but not its image {}", spec.name,
                  spec.image);
    }
    disk.image = *image;
    if (!image->parent.empty()) {
      const auto golden = find_record(work.images, image->parent);
      // A disk that exists may outlive the knowledge of its parent; only a new one needs it.
      if (golden != work.images.end()) disk.golden = *golden;
    }
    const auto known = std::find_if(disks.pools_.begin(), disks.pools_.end(),
                                    [&](const PoolHandle& pool) { return pool.pool().id == image->pool; });
    if (known == disks.pools_.end()) {
      const auto record = find_record(work.pools, image->pool);
      auto pool = record != work.pools.end() ? services.pools.ensure(*record) : services.pools.find(image->pool);
      if (!pool) return forward(pool);
      disks.pools_.push_back(std::move(*pool));
      disk.pool = disks.pools_.size() - 1;
    } else {
      disk.pool = static_cast<std::size_t>(known - disks.pools_.begin());
    }
    disks.disks_.push_back(std::move(disk));
  }
  std::vector<PendingCall<StoredImage>> looks;
  for (const auto& disk : disks.disks_) {
    looks.push_back(disks.pools_[disk.pool].begin<StoredImage>(
        [image = disk.image](ImagePool& images) { return images.inspect(image); }));
  }
  for (std::size_t i = 0; i < looks.size(); ++i) {
    auto& disk = disks.disks_[i];
    auto stored = looks[i].wait(disks.pools_[disk.pool].deadlines().call);
    if (stored) {
      disk.stored = std::move(*stored);
    } else if (stored.error().code != ErrorCode::not_found) {
      return forward(stored);
    } else if (!disk.image.parent.empty() && !disk.golden) {
      return fail(ErrorCode::invalid_argument, "the assignment lacks the golden image {} of disk {}", disk.image.parent,
                  disk.spec.name);
    }
  }
  return disks;
}

std::vector<model::Image> GuestDisks::missing() const {
  std::vector<model::Image> images;
  for (const auto& disk : disks_) {
    if (!disk.stored) images.push_back(disk.image);
  }
  return images;
}

void GuestDisks::begin_creating() {
  for (auto& disk : disks_) {
    if (disk.stored) continue;
    disk.creating.emplace(pools_[disk.pool].begin<StoredImage>(
        [image = disk.image, golden = disk.golden, size = disk.spec.size](ImagePool& images) {
          return images.create_disk(image, golden ? &*golden : nullptr, size);
        }));
  }
}

Status GuestDisks::finish_creating() {
  Status result;
  for (auto& disk : disks_) {
    if (!disk.creating) continue;
    auto stored = disk.creating->wait(pools_[disk.pool].deadlines().call);
    disk.creating.reset();
    if (stored) {
      disk.stored = std::move(*stored);
    } else if (result) {
      result = fail({stored.error().code, fmt::format("disk {}: {}", disk.spec.name, stored.error().message),
                     stored.error().hint});
    }
  }
  if (!result) return result;
  for (auto& disk : disks_) {
    if (disk.stored->format != model::ImageFormat::qcow2 || !disk.golden) continue;
    const auto golden = pools_[disk.pool].call<StoredImage>(
        [image = *disk.golden](ImagePool& images) { return images.inspect(image); });
    // Without it the hypervisor reads the overlay's header.
    if (golden) disk.backing = golden->path;
  }
  return result;
}

Status GuestDisks::grow() {
  for (auto& disk : disks_) {
    if (!disk.stored || disk.stored->virtual_size >= disk.spec.size) continue;
    auto grown = pools_[disk.pool].call<StoredImage>(
        [image = disk.image, size = disk.spec.size](ImagePool& images) { return images.grow_disk(image, size); });
    if (!grown) return forward(grown);
    disk.stored = std::move(*grown);
  }
  return {};
}

std::vector<hypervisor::GuestDisk> GuestDisks::for_hypervisor() const {
  std::vector<hypervisor::GuestDisk> all;
  for (const auto& disk : disks_) {
    all.push_back({.name = disk.spec.name,
                   .path = disk.stored->path,
                   .format = disk.stored->format,
                   .size = std::max(disk.spec.size, disk.stored->virtual_size),
                   .direct_io = pools_[disk.pool].abilities().direct_io,
                   .backing = disk.backing});
  }
  return all;
}

std::vector<model::Image> GuestDisks::images() const {
  std::vector<model::Image> all;
  for (const auto& disk : disks_) {
    auto image = disk.image;
    image.format = disk.stored->format;
    image.virtual_size = std::max(disk.spec.size, disk.stored->virtual_size);
    image.allocated = disk.stored->allocated;
    image.state = model::ImageState::ready;
    image.message.clear();
    all.push_back(std::move(image));
  }
  return all;
}

}  // namespace bridgehead::host_agent
