#include "reconcile/operations/logic.h"

#include <array>

namespace bridgehead::reconcile::operations {
namespace {
constexpr std::size_t kVersionDigit = 14;
}

Start begin() { return {}; }
Start wait_for(std::string reason, std::optional<Monotonic> look_again) {
  return {.what = Start::What::wait, .waiting_for = std::move(reason), .look_again = look_again};
}
Start end_well() { return {.what = Start::What::end}; }
Start end_with(Error error) { return {.what = Start::What::end, .error = std::move(error)}; }

const Logic* logic_of(std::string_view kind) {
  static constexpr std::array all = {&vm_create,
                                     &vm_delete,
                                     &vm_update,
                                     &vm_start,
                                     &vm_stop,
                                     &vm_pause,
                                     &vm_resume,
                                     &vm_restart,
                                     &vm_reboot,
                                     &vm_migrate,
                                     &vm_clear,
                                     &vm_snapshot_create,
                                     &vm_snapshot_rollback,
                                     &vm_snapshot_delete,
                                     &image_import,
                                     &image_migrate,
                                     &image_flatten,
                                     &image_clear,
                                     &image_delete,
                                     &pool_add,
                                     &pool_remove,
                                     &network_create,
                                     &network_delete,
                                     &plan_apply,
                                     &node_maintain,
                                     &node_image_rollout,
                                     &node_upgrade,
                                     &agent_rollout};
  for (const auto* logic : all) {
    if (logic->kind == kind) return logic;
  }
  return nullptr;
}

model::OperationId undo_id(const model::OperationId& operation) {
  std::string text = operation.str();
  if (text.size() > kVersionDigit) text[kVersionDigit] = '8';
  return model::OperationId(std::move(text));
}

model::OperationId operation_of(const model::OperationId& assignment) {
  std::string text = assignment.str();
  if (text.size() > kVersionDigit && text[kVersionDigit] == '8') text[kVersionDigit] = '4';
  return model::OperationId(std::move(text));
}

bool is_undoing(const model::Operation& operation) { return !operation.terminal() && operation.error.has_value(); }

std::chrono::milliseconds pause_after(unsigned failures) {
  return std::chrono::seconds(std::min(60u, 1u << std::min(failures, 6u)));
}

}  // namespace bridgehead::reconcile::operations
