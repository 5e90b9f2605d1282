#include "host_agent/assignments/flatten_disk.h"

#include "host_agent/assignments/disk_work.h"
#include "host_agent/assignments/lease.h"

namespace bridgehead::host_agent {

using storage::ImagePool;
using storage::StoredImage;

Outcome FlattenDiskHandler::run(const model::FlattenDisk& work, const Task& task) {
  if (!is_uuid(work.image.id.str()) || (!work.vm.empty() && !is_uuid(work.vm.str()))) {
    return failed({ErrorCode::invalid_argument, "the assignment names no disk", {}});
  }
  const auto pool = services_.pools.ensure(work.pool);
  if (!pool) return failed(pool.error());
  const auto guest = guest_of_disk(services_, work.vm, work.lease, task);
  if (!guest) return failed(guest.error());
  if (!work.vm.empty()) {
    if (auto held = check_lease(claim_of(services_, work.vm, work.lease, work.past), {*pool}); !held)
      return failed(held.error());
  }
  auto flat = lives(guest->state) ? flatten_under_guest(work, task) : flatten_at_rest(work, *pool, task);
  if (!flat) return failed(flat.error());
  const auto stored =
      pool->call<StoredImage>([image = work.image](ImagePool& images) { return images.inspect(image); });
  if (!stored) return failed(stored.error());
  return {.images = {stored_as(work.image, *stored)}};
}

Status FlattenDiskHandler::flatten_under_guest(const model::FlattenDisk& work, const Task& task) const {
  auto flat = through_job(services_, work.vm, task, [&] {
    return services_.hypervisor.flatten_disk(work.vm, work.disk, task.progress, task.stop);
  });
  if (flat || task.leaving()) return flat;
  auto ended = services_.hypervisor.end_disk_job(work.vm, work.disk);
  return ended ? flat : ended;
}

Status FlattenDiskHandler::flatten_at_rest(const model::FlattenDisk& work, const PoolHandle& pool,
                                           const Task& task) const {
  auto call = pool.begin<StoredImage>([image = work.image, progress = task.progress, stop = task.stop](
                                          ImagePool& images) { return images.flatten_disk(image, progress, stop); });
  const auto flat = call.wait_unless_stopped(task.stop, pool.deadlines().cancel);
  if (!flat) return forward(flat);
  if (work.vm.empty()) return {};
  const auto use = services_.hypervisor.disk_in_use(work.vm, work.disk);
  if (!use) return forward(use);
  if (!*use) return {};
  // Its definition names the golden image, which QEMU would open.
  return services_.hypervisor.use_file(work.vm, {.name = work.disk,
                                                 .path = flat->path,
                                                 .format = flat->format,
                                                 .size = flat->virtual_size,
                                                 .direct_io = pool.abilities().direct_io});
}

}  // namespace bridgehead::host_agent
