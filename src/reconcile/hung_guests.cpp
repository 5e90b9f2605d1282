#include "reconcile/hung_guests.h"

#include <algorithm>

#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {
namespace {

// What a reset hasn't mended three times it won't mend.
constexpr std::size_t kMostResets = 3;
constexpr std::chrono::hours kWithin{1};

constexpr char kHung[] = "hung";

// A guest that waits for its disks doesn't answer either, and a reset would only lose what it holds.
bool disks_are_there(const state::Inventory& inventory, const model::Vm& vm) {
  return std::all_of(vm.spec.disks.begin(), vm.spec.disks.end(), [&](const auto& disk) {
    const auto image = inventory.find<model::Image>(disk.image);
    const auto pool = image ? inventory.find<model::Pool>(image->value.pool) : nullptr;
    if (!pool) return false;
    const auto there = pool->value.nodes.find(vm.node);
    return there != pool->value.nodes.end() && there->second.ready;
  });
}

}  // namespace

HungGuest judge_hung(const state::Inventory& inventory, const model::Vm& vm, Timestamp now) {
  HungGuest judged;
  const auto& status = vm.status;
  if (vm.spec.restart_hung <= std::chrono::seconds::zero() || vm.deleting || vm.lease == 0) return judged;
  if (vm.spec.power != model::PowerState::running || status.phase != model::VmPhase::running) return judged;
  if (status.agent_silent_since == Timestamp{}) return judged;
  auto since = std::max(status.agent_silent_since, status.since);
  std::size_t resets = 0;
  for (const auto& record : inventory.operations_of(vm.id.str())) {
    const auto& operation = record->value;
    if (!operation.terminal()) return judged;  // it moves, is copied, or is being reset
    since = std::max(since, operation.finished);
    resets += now - operation.created < kWithin && operations::parameter(operation, kHung, false);
  }
  if (now - since < vm.spec.restart_hung || !disks_are_there(inventory, vm)) return judged;
  judged.silent = std::chrono::duration_cast<std::chrono::minutes>(now - status.agent_silent_since);
  judged.what = resets < kMostResets ? HungGuest::What::reset : HungGuest::What::given_up;
  judged.why = fmt::format("its guest agent has not answered for {} min", judged.silent.count());
  if (resets >= kMostResets) judged.why += fmt::format(", though it was reset {} times within the hour", resets);
  return judged;
}

Changes reset_hung(const Moment& moment, const state::Record<model::Vm>& record) {
  Changes changes;
  const auto& vm = record->value;
  const auto judged = judge_hung(moment.inventory, vm, moment.now);
  if (judged.what != HungGuest::What::reset) return changes;
  auto reset = operations::internal_operation(moment.random, moment.now, model::operation_kind::vm_reboot, "vm",
                                              vm.id.str(), vm.name, vm.generation);
  reset.parameters["force"] = true;
  reset.parameters[kHung] = true;
  reset.parameters["reason"] = judged.why;
  changes.create(std::move(reset));
  changes.event("vm.hung", "vm", vm.id.str(), vm.name, fmt::format("VM '{}' is reset: {}", vm.name, judged.why),
                "manager");
  return changes;
}

}  // namespace bridgehead::reconcile
