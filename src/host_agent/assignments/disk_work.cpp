#include "host_agent/assignments/disk_work.h"

#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

Result<hypervisor::GuestInfo> guest_of_disk(const NodeServices& services, const model::VmId& vm, std::uint64_t lease,
                                            const Task& task) {
  if (vm.empty()) return hypervisor::GuestInfo{};
  auto guest = look_at_guest(services, vm, task);
  if (!guest) return guest;
  if (guest->lease > lease) {
    return fail(ErrorCode::failed_precondition, "the guest runs under the newer lease {}, this request is from {}",
                guest->lease, lease);
  }
  if (!guest->snapshots.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, "the guest has snapshots, which hold its disks",
                          "Delete its snapshots first.");
  }
  return guest;
}

Status through_job(const NodeServices& services, const model::VmId& vm, const Task& task,
                   const std::function<Status()>& job) {
  for (;;) {
    auto done = job();
    const bool away = !done && done.error().code == ErrorCode::unavailable;
    if (!away || task.stop.stop_requested() || !look_at_guest(services, vm, resumed(task))) return done;
    services.events.wait({}, services.events.count({}), services.timings.undo_repeat, task.stop);
  }
}

model::ImageFormat copy_format(model::ImageFormat now, const PoolHandle& to) {
  return to.abilities().punch_hole ? now : model::ImageFormat::qcow2;
}

model::Image stored_as(model::Image image, const storage::StoredImage& stored) {
  image.format = stored.format;
  image.virtual_size = stored.virtual_size;
  image.allocated = stored.allocated;
  image.state = model::ImageState::ready;
  image.message.clear();
  image.parent = {};
  return image;
}

}  // namespace bridgehead::host_agent
