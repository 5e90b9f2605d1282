// Looking at the guest that an assignment is about.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// An end, which `unavailable` isn't.
inline Error definite(Error error) {
  if (error.code == ErrorCode::unavailable) error.code = ErrorCode::failed_precondition;
  return error;
}

// Work that a restarted agent takes up again may find libvirt still starting (a node that boots): it waits for it a
// while. New work is refused at once instead.
inline Result<hypervisor::GuestInfo> look_at_guest(const NodeServices& services, const model::VmId& vm,
                                                   const Task& task) {
  const auto started = services.clock.monotonic();
  for (;;) {
    auto info = services.hypervisor.get(vm);
    const bool away = !info && info.error().code == ErrorCode::unavailable;
    if (!away || !task.resumed || services.clock.monotonic() - started >= services.timings.undo_patience) return info;
    services.events.wait(vm, services.events.count(vm), services.timings.undo_repeat, task.stop);
    if (task.stop.stop_requested()) return fail(cancelled_error());
  }
}

// One that is on its way is waited for: libvirt drops a guest whose source has hung up before it had come in whole.
// `certainly`: also one of which that may be so. unavailable: it still is on its way.
inline Result<hypervisor::GuestInfo> look_at_settled_guest(const NodeServices& services, const model::VmId& vm,
                                                           const Task& task, bool certainly) {
  const auto started = services.clock.monotonic();
  for (;;) {
    const auto seen = services.events.count(vm);
    auto info = look_at_guest(services, vm, task);
    if (!info || (!info->migrating && !(certainly && info->uncertain))) return info;
    const auto left = services.timings.settle - (services.clock.monotonic() - started);
    if (left <= std::chrono::milliseconds(0)) {
      return fail(ErrorCode::unavailable, "the guest is still on its way to this node or from it");
    }
    const auto again = std::min<Monotonic::duration>(left, services.timings.settle / 10);
    services.events.wait(vm, seen, std::chrono::ceil<std::chrono::milliseconds>(again), task.stop);
    if (task.stop.stop_requested()) return fail(cancelled_error());
  }
}

// The guest must be here, and under no newer lease than the assignment's.
// not_found when this node hasn't got it; failed_precondition when its lease is newer; what the hypervisor says.
inline Result<hypervisor::GuestInfo> require_guest(const NodeServices& services, const model::VmId& vm,
                                                   std::uint64_t lease, const Task& task) {
  auto info = look_at_guest(services, vm, task);
  if (!info) return info;
  if (info->state == hypervisor::GuestState::absent) return fail(ErrorCode::not_found, "this node has no guest {}", vm);
  if (info->lease > lease) {
    return fail(ErrorCode::failed_precondition, "the guest runs under the newer lease {}, this request is from {}",
                info->lease, lease);
  }
  return info;
}

}  // namespace bridgehead::host_agent
