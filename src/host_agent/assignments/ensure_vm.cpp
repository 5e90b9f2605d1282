#include "host_agent/assignments/ensure_vm.h"

#include "host_agent/assignments/ensure_network.h"
#include "host_agent/assignments/guest_config.h"
#include "host_agent/assignments/guest_power.h"
#include "host_agent/assignments/lease.h"
#include "host_agent/assignments/require_guest.h"
#include "host_agent/assignments/undo_creation.h"
#include "host_agent/messages.h"
#include "hypervisor/nocloud_seed.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;
using model::PowerState;

struct EnsureVmHandler::Plan {
  hypervisor::GuestInfo info;
  HostCapacity capacity;
  GuestDisks disks;
  std::vector<hypervisor::GuestNic> nics;
  std::optional<Creation> creation;  // this is a first create
  bool creation_known = false;       // ... and the journal has it already
  std::optional<MemoryBudget::Reservation> memory;
};

namespace {

Status unless_stopped(const Task& task) {
  if (task.stop.stop_requested()) return fail(cancelled_error());
  return {};
}

}  // namespace

Outcome EnsureVmHandler::run(const model::EnsureVm& work, const Task& task) {
  const auto& vm = work.vm;
  auto plan = check(work, task);
  if (!plan) {
    // Nothing was made by this run; but an earlier one, killed in its middle, may have.
    if (const auto creation = services_.journal.creation(vm.id); creation && !services_.journal.applied(vm.id)) {
      Plan known{.creation = creation};
      return undo(work, known, plan.error());
    }
    return failed_under(services_, claim_of(services_, vm), work.pools, plan.error());
  }
  auto done = carry_out(work, *plan, task);
  if (!done && wants_another_run(done.error(), task)) {
    plan->memory.reset();
    return run(work, resumed(task));
  }
  if (!done && plan->creation) return undo(work, *plan, done.error());
  if (!done) return failed_under(services_, claim_of(services_, vm), work.pools, done.error());

  AppliedVm applied{.generation = vm.generation,
                    .lease = vm.lease,
                    .power = vm.spec.power,
                    .autostart = vm.spec.autostart,
                    .waits_for_manager = vm.spec.ha == model::HaMode::restart,
                    .memory = vm.spec.memory};
  for (const auto& pool : plan->disks.pools()) applied.pools.push_back(pool.pool().id);
  return {.images = plan->disks.images(), .change = VmChange{vm.id, std::move(applied)}};
}

// Everything that can be refused before anything is made.
Result<EnsureVmHandler::Plan> EnsureVmHandler::check(const model::EnsureVm& work, const Task& task) {
  const auto& vm = work.vm;
  if (!is_uuid(vm.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a VM's id", vm.id);
  if (auto go_on = unless_stopped(task); !go_on) return forward(go_on);
  const auto applied = services_.journal.applied(vm.id);
  if (applied && applied->generation > vm.generation) {
    return fail(ErrorCode::conflict, "this node has already applied generation {} of the guest; {} is outdated",
                applied->generation, vm.generation);
  }
  if (vm.lease == 0 && vm.spec.power != PowerState::stopped) {
    return fail(ErrorCode::failed_precondition, "the guest has no lease, so it must not be started");
  }
  Plan plan;
  auto info = look_at_settled_guest(services_, vm.id, task, false);
  if (!info) return forward(info);
  plan.info = std::move(*info);
  plan.capacity = services_.capacity();
  auto nics = resolve_nics(work);
  if (!nics) return forward(nics);
  plan.nics = std::move(*nics);
  if (auto rendered = hypervisor::render_seed(vm); !rendered) return forward(rendered);
  auto disks = GuestDisks::look(services_, work);
  if (!disks) return forward(disks);
  plan.disks = std::move(*disks);
  for (const auto& missing : plan.disks.missing()) {
    // A clone or a blank disk in its place would look like the disk, without what the guest wrote.
    if (missing.state != model::ImageState::ready) continue;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("disk {} is gone from its pool; it isn't made anew", missing.name),
                          "Bring its file back from a backup, or remove the disk from the guest.");
  }
  if (auto reserved = reserve_memory(work, plan); !reserved) return forward(reserved);
  if (vm.lease > 0) {
    if (auto held = check_lease(claim_of(services_, vm), plan.disks.pools()); !held) return forward(held);
  }

  plan.creation = services_.journal.creation(vm.id);
  plan.creation_known = plan.creation.has_value();
  if (applied) {
    plan.creation.reset();  // it once was brought to its end: nothing of it may be removed
  } else if (!plan.creation && plan.info.state == GuestState::absent) {
    plan.creation = Creation{.operation = task.operation, .lease = vm.lease, .disks = plan.disks.missing()};
  } else if (plan.creation && plan.creation->lease < vm.lease) {
    // An undo goes by the stamp, which will be this one's.
    plan.creation->lease = vm.lease;
    plan.creation_known = false;
  }
  return plan;
}

Status EnsureVmHandler::reserve_memory(const model::EnsureVm& work, Plan& plan) {
  const auto& spec = work.vm.spec;
  if (spec.power == PowerState::stopped) return {};
  if (spec.cpus > plan.capacity.cpus) {
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("too few CPUs: needs {}, the node has {}", spec.cpus, plan.capacity.cpus),
                          "Give the guest fewer CPUs or use another node.");
  }
  Bytes needed = spec.memory;
  if (lives(plan.info.state)) needed = spec.memory > plan.info.memory ? spec.memory - plan.info.memory : Bytes(0);
  if (needed == Bytes(0)) return {};
  auto reserved = services_.memory.reserve(needed, plan.capacity.memory_available);
  if (!reserved) return forward(reserved);
  plan.memory.emplace(std::move(*reserved));
  return {};
}

Status EnsureVmHandler::carry_out(const model::EnsureVm& work, Plan& plan, const Task& task) {
  const auto& vm = work.vm;
  const auto& spec = vm.spec;
  if (plan.creation && !plan.creation_known) {
    if (auto begun = services_.journal.begin_creation(vm.id, *plan.creation); !begun) return begun;
  }
  if (vm.lease > 0) {
    if (auto stamped = stamp_lease(claim_of(services_, vm), plan.disks.pools()); !stamped) return stamped;
  }
  if (auto prepared = prepare_parts(work, plan, task); !prepared) return prepared;
  if (auto go_on = unless_stopped(task); !go_on) return go_on;

  auto state = plan.info.state;
  if (spec.power == PowerState::stopped && state != GuestState::absent && state != GuestState::stopped) {
    const StopPolicy policy{.force = work.force_stop, .grace = std::chrono::seconds(work.stop_grace_seconds)};
    if (auto stopped = stop_guest(services_, vm.id, policy, task); !stopped) return stopped;
    state = GuestState::stopped;
  }
  if (!lives(state)) {
    if (auto grown = plan.disks.grow(); !grown) return grown;
  }
  task.progress({.phase = plan.creation ? "define" : "configure"});
  const auto configured =
      services_.hypervisor.configure(guest_config(services_, work, plan.capacity, plan.disks, plan.nics));
  if (!configured) return forward(configured);
  if (spec.power == PowerState::stopped) return {};
  if (auto go_on = unless_stopped(task); !go_on) return go_on;
  task.progress({.phase = "start"});
  return run_guest(services_, vm.id, configured->state, spec.power == PowerState::paused, task.stop);
}

// Disks are made in the pools while seed and networks are looked after here.
Status EnsureVmHandler::prepare_parts(const model::EnsureVm& work, Plan& plan, const Task& task) {
  task.progress({.phase = "disks"});
  plan.disks.begin_creating();
  Status result = services_.files.prepare(work.vm.id);
  if (result) {
    if (const auto seed = hypervisor::ensure_seed(work.vm, services_.files.seed(work.vm.id)); !seed)
      result = forward(seed);
  }
  for (const auto& network : used_networks(work)) {
    if (result) result = ensure_network(services_, network);
  }
  // Waited for in any case: an undo must not race with a disk that is still being made.
  auto created = plan.disks.finish_creating();
  return result ? created : result;
}

Outcome EnsureVmHandler::undo(const model::EnsureVm& work, const Plan& plan, Error reason) {
  auto creation = *plan.creation;
  creation.lease = std::max(creation.lease, work.vm.lease);
  if (auto undone = undo_creation(services_, work.vm.id, creation); !undone) {
    log::warning(messages::cleanup_incomplete, "VM {}: {}", work.vm.id, undone.error().describe());
    reason.hint += fmt::format("{}What was made of it could not be removed yet ({}); the agent tries that again.",
                               reason.hint.empty() ? "" : " ", undone.error().message);
    return failed(std::move(reason));  // the journal keeps the creation
  }
  return {.error = std::move(reason), .change = VmChange{work.vm.id, std::nullopt}};
}

}  // namespace bridgehead::host_agent
