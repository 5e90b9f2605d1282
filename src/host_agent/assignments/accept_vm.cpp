#include "host_agent/assignments/accept_vm.h"

#include <algorithm>

#include "host_agent/assignments/coming_disks.h"
#include "host_agent/assignments/ensure_network.h"
#include "host_agent/assignments/guest_config.h"
#include "host_agent/assignments/guest_disks.h"
#include "host_agent/assignments/lease.h"
#include "host_agent/assignments/require_guest.h"
#include "hypervisor/nocloud_seed.h"

namespace bridgehead::host_agent {

Outcome AcceptVmHandler::run(const model::AcceptVm& work, const Task& task) {
  const auto& vm = work.guest.vm;
  if (!is_uuid(vm.id.str())) {
    return failed({ErrorCode::invalid_argument, fmt::format("'{}' is not a VM's id", vm.id), {}});
  }
  services_.gates.close(vm.id);  // of an attempt before, with the memory that it holds
  auto memory = check(work.guest, task);
  if (!memory) return failed(memory.error());
  if (task.stop.stop_requested()) return failed(cancelled_error());
  auto disks = prepare(work, task);
  MigrationGates::TakeOver taking_over;
  if (!work.disks.empty()) taking_over = [&services = services_, work] { return take_over(services, work); };
  auto gate = disks ? services_.gates.open(vm.id, work.source, std::move(*memory), std::move(taking_over))
                    : Result<model::MigrationGate>(forward(disks));
  if (gate) {
    gate->disks = std::move(*disks);
    return {.gate = std::move(*gate)};
  }
  if (auto removed = services_.files.remove(vm.id); !removed) return failed(removed.error());
  return failed_under(services_, claim(work), work.guest.pools, gate.error());
}

model::LeaseClaim AcceptVmHandler::claim(const model::AcceptVm& work) const {
  auto claim = claim_of(services_, work.guest.vm);
  claim.source = model::LeaseHolder{.node = work.source, .token = work.source_lease};
  return claim;
}

// What only this node can know; the manager has checked what its records tell.
Result<MemoryBudget::Reservation> AcceptVmHandler::check(const model::EnsureVm& guest, const Task& task) {
  const auto& vm = guest.vm;
  // What a migration before has left half-way is just being dropped.
  const auto info = look_at_settled_guest(services_, vm.id, task, true);
  if (!info) return forward(info);
  if (info->state != hypervisor::GuestState::absent) {
    return fail(ErrorCode::conflict, "the target has this guest already");
  }
  const auto capacity = services_.capacity();
  if (vm.spec.cpus > capacity.cpus) {
    return fail(ErrorCode::resource_exhausted, "the guest has {} CPUs, the target {}", vm.spec.cpus, capacity.cpus);
  }
  return services_.memory.reserve(vm.spec.memory, capacity.memory_available);
}

Result<std::vector<model::WaitingDisk>> AcceptVmHandler::prepare(const model::AcceptVm& work, const Task& task) {
  const auto& guest = work.guest;
  const auto& vm = guest.vm;
  task.progress({.phase = "disks on the target"});
  const auto nics = resolve_nics(guest);
  if (!nics) return forward(nics);
  const auto disks = GuestDisks::look(services_, guest);
  if (!disks) return forward(disks);
  for (const auto& missing : disks->missing()) {
    const auto comes_along = [&](const auto& coming) { return coming.image == missing.id; };
    if (std::any_of(work.disks.begin(), work.disks.end(), comes_along)) continue;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the target does not see the disk {}", missing.name),
                          "Its pool must be the same storage, at the same place, on both nodes.");
  }
  for (const auto& network : used_networks(guest)) {
    if (auto ensured = ensure_network(services_, network); !ensured) return forward(ensured);
  }
  // A NIC may have a VLAN of its own on its network's bridge.
  for (const auto& nic : *nics) {
    if (!nic.vlan) continue;
    const model::Network tagged{.kind = model::NetworkKind::bridge, .bridge = nic.bridge, .vlan = nic.vlan};
    if (auto ensured = services_.hypervisor.ensure_network(tagged); !ensured) return forward(ensured);
  }
  if (auto made = services_.files.prepare(vm.id); !made) return forward(made);
  if (const auto seed = hypervisor::ensure_seed(vm, services_.files.seed(vm.id)); !seed) return forward(seed);
  if (auto stamped = stamp_lease(claim(work), disks->pools()); !stamped) return forward(stamped);
  return make_waiting_disks(services_, work, task.operation);
}

}  // namespace bridgehead::host_agent
