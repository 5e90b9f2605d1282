#include "host_agent/assignments/migrate_vm.h"

#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;

namespace {

Status restarted() {
  return fail_with_hint(ErrorCode::unavailable, "the agent of the source was restarted on the way",
                        "Migrate it again.");
}

}  // namespace

// What counts is where the guest is when all is over, not what was heard on the way: it has moved when it isn't here
// any more. (One that vanished meanwhile is not here either; the target then starts it, under its newer lease.)
Outcome MigrateVmHandler::run(const model::MigrateVm& work, const Task& task) {
  const auto before = look_at_guest(services_, work.vm, task);
  if (!before) return failed(before.error());
  if (before->state == GuestState::absent) return moved(work.vm);
  const auto done = task.resumed ? restarted() : move(work, task);
  if (done) return moved(work.vm);
  // What an agent before this one carried libvirt is just giving up.
  const auto after = task.resumed ? look_at_settled_guest(services_, work.vm, task, false)
                                  : look_at_guest(services_, work.vm, resumed(task));
  if (after && after->state == GuestState::absent) return moved(work.vm);
  auto end = failed(done.error());
  if (!after || after->migrating) return end;
  // One that goes on here, or has ended here, can't go on there. A paused one may: libvirt keeps it so, too, when the
  // target's last word was lost.
  // (Off after a restart of this agent may also mean that its host was reset, or its libvirtd killed, once it had gone
  // on there.)
  const bool off = after->state == GuestState::stopped && !task.resumed;
  end.guest_is_here = off || after->state == GuestState::running;
  if (off) end.error = Error{ErrorCode::failed_precondition, "the guest was shut down on the way", {}};
  return end;
}

Status MigrateVmHandler::move(const model::MigrateVm& work, const Task& task) {
  const auto guest = require_guest(services_, work.vm, work.lease, task);
  if (!guest) return forward(guest);
  if (!guest->snapshots.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, "a guest with snapshots can't move while it runs",
                          "Delete its snapshots, or stop it first.");
  }
  task.progress({.phase = "connect"});
  services_.gates.close(work.vm);  // by which it came in itself; both use one place for their sockets
  const auto way = MigrationWay::build(services_.migration, work.vm, work.target, work.gate);
  if (!way) return forward(way);
  const auto mode = work.post_copy ? hypervisor::MigrationMode::post_copy : hypervisor::MigrationMode::pre_copy;
  return services_.hypervisor.migrate(work.vm, {.control = way->control_socket(), .data = way->data_socket()}, mode,
                                      task.progress, task.stop);
}

// The disks and the lease's stamp are the target's now; what this node kept for the guest goes.
Outcome MigrateVmHandler::moved(const model::VmId& vm) {
  if (auto removed = services_.files.remove(vm); !removed) return failed(removed.error());
  return {.change = VmChange{vm, std::nullopt}};
}

}  // namespace bridgehead::host_agent
