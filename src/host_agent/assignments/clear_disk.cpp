#include "host_agent/assignments/clear_disk.h"

#include "host_agent/assignments/lease.h"
#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

using storage::ImagePool;

Outcome ClearDiskHandler::run(const model::ClearDisk& work, const Task& task) {
  if (!is_uuid(work.vm.str()) || !is_uuid(work.image.id.str())) {
    return failed({ErrorCode::invalid_argument, "the assignment names no disk of a guest", {}});
  }
  if (task.stop.stop_requested()) return failed(cancelled_error());
  const auto pool = services_.pools.ensure(work.pool);
  if (!pool) return failed(pool.error());
  auto unused = work.guest_is_here ? check_unused(work, *pool, task) : clear_guest(work.vm, task);
  if (!unused) return failed(unused.error());
  auto removed = pool->call<void>([image = work.image](ImagePool& images) { return images.remove(image); });
  if (removed && !work.others_stay) removed = release_lease(work.vm, work.lease, {*pool});
  if (!removed) return failed(removed.error());
  if (work.guest_is_here) return {};
  return {.change = VmChange{work.vm, std::nullopt}};
}

Status ClearDiskHandler::clear_guest(const model::VmId& vm, const Task& task) {
  services_.gates.close(vm);
  const auto info = look_at_settled_guest(services_, vm, resumed(task), true);
  if (!info) return forward(info);
  if (info->state == hypervisor::GuestState::running) {
    return fail_with_hint(ErrorCode::failed_precondition, "the guest runs on this node, so its disk can't be removed",
                          "Find out where it should run, and stop it elsewhere.");
  }
  if (auto removed = services_.hypervisor.remove(vm); !removed) return removed;
  if (auto removed = services_.files.remove(vm); !removed) return removed;
  return services_.journal.set_meta(given_up(vm), "");
}

Status ClearDiskHandler::check_unused(const model::ClearDisk& work, const PoolHandle& pool, const Task& task) {
  if (const auto there = look_at_guest(services_, work.vm, resumed(task)); !there) return forward(there);
  const auto file =
      pool.call<storage::StoredImage>([image = work.image](ImagePool& images) { return images.inspect(image); });
  if (!file) return file.error().code == ErrorCode::not_found ? Status{} : forward(file);
  for (const auto& disk : work.disks) {
    const auto use = services_.hypervisor.disk_in_use(work.vm, disk);
    if (!use) return forward(use);
    if (*use && (*use)->disk.path == file->path) {
      return fail(ErrorCode::failed_precondition, "the guest uses {}", file->path.native());
    }
  }
  return {};
}

}  // namespace bridgehead::host_agent
