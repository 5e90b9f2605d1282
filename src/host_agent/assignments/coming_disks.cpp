#include "host_agent/assignments/coming_disks.h"

#include <algorithm>

#include "host_agent/assignments/disk_work.h"
#include "host_agent/messages.h"

namespace bridgehead::host_agent {
namespace {

using storage::ImagePool;
using storage::StoredImage;

Result<PoolHandle> pool_of(const NodeServices& services, const model::Image& disk,
                           const std::vector<model::Pool>& pools) {
  const auto record = std::find_if(pools.begin(), pools.end(), [&](const auto& pool) { return pool.id == disk.pool; });
  if (record == pools.end()) {
    return fail(ErrorCode::invalid_argument, "the assignment names disk {} but not its pool", disk.name);
  }
  return services.pools.ensure(*record);
}

Result<model::Image> image_of(const model::EnsureVm& guest, const model::ImageId& id) {
  for (const auto& image : guest.images) {
    if (image.id == id) return image;
  }
  return fail(ErrorCode::invalid_argument, "the assignment lacks the image {}", id);
}

std::string name_of(const model::EnsureVm& guest, const model::ImageId& id) {
  for (const auto& disk : guest.vm.spec.disks) {
    if (disk.image == id) return disk.name;
  }
  return {};
}

Status check_place(const PoolHandle& pool, const model::Image& disk) {
  const auto there = pool.call<StoredImage>([disk](ImagePool& images) { return images.inspect(disk); });
  if (there) {
    return fail_with_hint(
        ErrorCode::conflict,
        fmt::format("pool {} has a file of disk {} already: {}", pool.pool().name, disk.name, there->path.native()),
        "One that was left behind is removed by the manager; try again later.");
  }
  return there.error().code == ErrorCode::not_found ? Status{} : forward(there);
}

Status check_room(const PoolHandle& pool, Bytes needed) {
  const auto state = pool.call<model::PoolOnNode>([](ImagePool& images) { return images.status(); });
  if (!state) return forward(state);
  if (state->available >= needed) return {};
  return fail_with_hint(ErrorCode::resource_exhausted,
                        fmt::format("the guest's disks may take {}, pool {} has {} left", needed.human(),
                                    pool.pool().name, state->available.human()),
                        "Free space in that pool, or choose another.");
}

}  // namespace

Result<std::vector<model::WaitingDisk>> make_waiting_disks(const NodeServices& services, const model::AcceptVm& work,
                                                           const model::OperationId& operation) {
  std::map<model::PoolId, Bytes> needed;
  for (const auto& coming : work.disks) {
    const auto disk = image_of(work.guest, coming.image);
    if (!disk) return forward(disk);
    const auto pool = pool_of(services, *disk, work.guest.pools);
    if (!pool) return forward(pool);
    if (auto free = check_place(*pool, *disk); !free) return forward(free);
    needed[disk->pool] += coming.room;
    if (auto room = check_room(*pool, needed[disk->pool]); !room) return forward(room);
  }
  std::vector<model::WaitingDisk> waiting;
  for (const auto& coming : work.disks) {
    const auto disk = image_of(work.guest, coming.image);
    const auto pool = pool_of(services, *disk, work.guest.pools);
    if (!pool) return forward(pool);
    const auto format = copy_format(disk->format, *pool);
    const auto made = pool->call<StoredImage>([operation, disk = *disk, format](ImagePool& images) {
      return images.begin_copy(operation, disk, format, disk.virtual_size);
    });
    if (!made) return forward(made);
    waiting.push_back({.name = name_of(work.guest, disk->id),
                       .path = made->path.native(),
                       .format = format,
                       .size = disk->virtual_size,
                       .direct_io = pool->abilities().direct_io});
  }
  return waiting;
}

Status keep_disks(const NodeServices& services, const std::vector<model::Image>& disks,
                  const std::vector<model::Pool>& pools) {
  for (const auto& disk : disks) {
    const auto pool = pool_of(services, disk, pools);
    if (!pool) return forward(pool);
    auto kept = pool->call<void>([disk](ImagePool& images) { return images.end_copy(disk); });
    if (!kept) return kept;
  }
  return {};
}

Result<bool> were_kept(const NodeServices& services, const std::vector<model::Image>& disks,
                       const std::vector<model::Pool>& pools) {
  for (const auto& disk : disks) {
    const auto pool = pool_of(services, disk, pools);
    if (!pool) return forward(pool);
    const auto kept =
        pool->call<std::optional<model::OperationId>>([disk](ImagePool& images) { return images.copied_by(disk); });
    if (!kept) return forward(kept);
    if (!*kept) return false;
  }
  return !disks.empty();
}

Status take_over(const NodeServices& services, const model::AcceptVm& work) {
  const auto& vm = work.guest.vm;
  const auto info = services.hypervisor.get(vm.id);
  if (!info) return forward(info);
  if (!lives(info->state) || info->migrating || info->uncertain) {
    return fail(ErrorCode::failed_precondition, "the guest that was given up has not come in whole");
  }
  std::vector<model::Image> disks;
  for (const auto& coming : work.disks) {
    auto disk = image_of(work.guest, coming.image);
    if (!disk) return forward(disk);
    disks.push_back(std::move(*disk));
  }
  if (auto kept = keep_disks(services, disks, work.guest.pools); !kept) return kept;
  if (vm.spec.power != model::PowerState::running) return {};
  // It is this node's now in any case: the manager, too, will see to it that it goes on.
  if (auto resumed = services.hypervisor.resume(vm.id); !resumed) {
    log::warning(messages::guest_not_resumed, "VM {}: {}", vm.id, resumed.error().describe());
  }
  return {};
}

}  // namespace bridgehead::host_agent
