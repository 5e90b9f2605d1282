#include "host_agent/assignments/migrate_vm.h"

#include "host_agent/assignments/lease.h"
#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;

namespace {

Status restarted() {
  return fail_with_hint(ErrorCode::unavailable, "the source or its agent was restarted on the way",
                        "Migrate it again.");
}

// Asked again until it is known.
Outcome not_known(Error error) {
  error.code = ErrorCode::unavailable;
  return failed(std::move(error));
}

constexpr int kTells = 3;

// Whether this agent doesn't know all of what became of the guest since its move was asked for.
bool is_taken_up(const Task& task, const hypervisor::GuestInfo& before) { return task.resumed || before.unexplained; }

}  // namespace

// What counts is where the guest is when all is over, not what was heard on the way: it has moved when it isn't here
// any more. (One that vanished meanwhile is not here either; the target then starts it, under its newer lease.)
Outcome MigrateVmHandler::run(const model::MigrateVm& work, const Task& task) {
  if (!work.leaving.empty()) return run_with_disks(work, task);
  const auto before = look_at_guest(services_, work.vm, task);
  if (!before) return failed(before.error());
  if (before->state == GuestState::absent) return moved(work.vm);
  const bool taken_up = is_taken_up(task, *before);
  const auto done = taken_up ? restarted() : move(work, task);
  if (done) return moved(work.vm);
  // What an agent before this one carried libvirt is just giving up.
  const auto after = taken_up ? look_at_settled_guest(services_, work.vm, task, false)
                              : look_at_guest(services_, work.vm, resumed(task));
  if (after && after->state == GuestState::absent) return moved(work.vm);
  auto end = failed(done.error());
  if (!after || after->migrating) return end;
  // One that goes on here, or has ended here, can't go on there. A paused one may: libvirt keeps it so, too, when the
  // target's last word was lost.
  // (Off after a restart of this agent may also mean that its host was reset, or its libvirtd killed, once it had gone
  // on there.)
  const bool off = after->state == GuestState::stopped && !taken_up;
  end.guest_is_here = off || after->state == GuestState::running;
  if (off) end.error = Error{ErrorCode::failed_precondition, "the guest was shut down on the way", {}};
  return end;
}

// The target's copy stands still until this node has given the guest up, which it does when libvirt has moved it, and
// notes down before it tells. Until then one that is here in whatever state is the guest, so it goes on here, or is
// started from here.
Outcome MigrateVmHandler::run_with_disks(const model::MigrateVm& work, const Task& task) {
  if (work.gate.disks.empty()) {
    auto end = failed({ErrorCode::unsupported, "the target's agent knows nothing of disks that come along",
                       "Bring both nodes to the newer version first."});
    end.guest_is_here = true;
    return end;
  }
  if (services_.journal.meta(given_up(work.vm)) == task.operation.str()) return give_up(work, task);
  const auto before = look_at_guest(services_, work.vm, task);
  if (!before) return not_known(before.error());
  if (before->state == GuestState::absent) return give_up(work, task);
  const bool taken_up = is_taken_up(task, *before);
  const auto done = taken_up ? restarted() : move(work, task);
  if (done) return give_up(work, task);
  const auto after = taken_up ? look_at_settled_guest(services_, work.vm, task, false)
                              : look_at_guest(services_, work.vm, resumed(task));
  if (!after) return not_known(after.error());
  if (after->state == GuestState::absent) return give_up(work, task);
  if (after->migrating) return not_known(done.error());
  auto end = failed(definite(done.error()));
  if (after->state == GuestState::stopped) {  // `unavailable`: maybe by a power cut, after which it is to run again
    end.error =
        taken_up ? done.error() : Error{ErrorCode::failed_precondition, "the guest was shut down on the way", {}};
  }
  end.guest_is_here = true;
  return end;
}

// libvirt has nothing of it here any more. Whether the target has it the target says.
Outcome MigrateVmHandler::give_up(const model::MigrateVm& work, const Task& task) {
  if (auto noted = services_.journal.set_meta(given_up(work.vm), task.operation.str()); !noted) {
    return not_known(noted.error());
  }
  task.progress({.phase = "hand over"});
  Status told;
  for (int i = 0; i < kTells; ++i) {
    told = MigrationWay::give_up(services_.migration, work.vm, work.target, work.gate);
    if (told) return moved(work.vm);
    if (task.leaving()) return failed(cancelled_error());
    services_.events.wait({}, services_.events.count({}), services_.timings.undo_repeat, task.stop);
  }
  return failed(definite(told.error()));
}

// Where the disks lie that go along, so that from here on nobody starts the guest from them under an older lease.
Status MigrateVmHandler::stamp_for_target(const model::MigrateVm& work) {
  const model::LeaseClaim claim{.vm = work.vm,
                                .node = work.target,
                                .token = work.token,
                                .past = work.past,
                                .source = model::LeaseHolder{.node = services_.node, .token = work.lease}};
  for (const auto& record : work.leaving) {
    const auto pool = services_.pools.ensure(record);
    if (!pool) return forward(pool);
    if (auto stamped = stamp_lease(claim, {*pool}); !stamped) return stamped;
  }
  return {};
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
  if (auto stamped = stamp_for_target(work); !stamped) return stamped;
  hypervisor::MigrationRoute route{
      .control = way->control_socket(), .data = way->data_socket(), .disks = way->disks_socket(), .copied = {}};
  for (const auto& disk : work.gate.disks) {
    route.copied.push_back(
        {.name = disk.name, .path = disk.path, .format = disk.format, .size = disk.size, .direct_io = disk.direct_io});
  }
  return services_.hypervisor.migrate(work.vm, route, mode, task.progress, task.stop);
}

// The disks and the lease's stamp are the target's now; what this node kept for the guest goes.
Outcome MigrateVmHandler::moved(const model::VmId& vm) {
  if (auto removed = services_.files.remove(vm); !removed) return failed(removed.error());
  return {.change = VmChange{vm, std::nullopt}};
}

}  // namespace bridgehead::host_agent
