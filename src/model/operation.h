// One journalled, idempotent piece of work that a user can watch and cancel.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/progress.h"
#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class OperationState { pending, running, succeeded, failed, cancelled };

struct Operation {
  OperationId id;
  std::string kind;         // "vm.create", "vm.start", "image.import", ... (all below)
  std::string target_kind;  // "vm", "image", "pool", "network", "node", "node_image", "plan", "benchmark"
  std::string target;       // the record's id
  std::string target_name;
  OperationState state = OperationState::pending;
  nlohmann::json parameters = nlohmann::json::object();  // what the executor needs beside the target's spec
  NodeId node;                                           // where it is carried out; empty = not decided
  std::uint64_t generation = 0;                          // of the target's spec
  bool cancel_requested = false;
  Progress progress;
  std::optional<Error> error;
  std::string created_by;  // token name
  Timestamp created{};
  Timestamp started{};
  Timestamp finished{};

  bool terminal() const {
    return state == OperationState::succeeded || state == OperationState::failed || state == OperationState::cancelled;
  }
  bool operator==(const Operation&) const = default;
};

// What a node is emptied for: its machine is switched off and on, switched off, or boots the image it is assigned to.
enum class AfterDrain { reboot, off, update };

// The closed set of kinds.
namespace operation_kind {
inline constexpr char vm_create[] = "vm.create";
inline constexpr char vm_update[] = "vm.update";  // spec changed: resize, disks, NICs, cloud-init, rename, power
inline constexpr char vm_start[] = "vm.start";
inline constexpr char vm_stop[] = "vm.stop";      // parameters: {"force": bool, "grace_seconds": n}
inline constexpr char vm_reboot[] = "vm.reboot";  // parameters: {"force": bool}
inline constexpr char vm_pause[] = "vm.pause";
inline constexpr char vm_resume[] = "vm.resume";
inline constexpr char vm_migrate[] = "vm.migrate";  // parameters: in reconcile/operations/vm_migrate.cpp
inline constexpr char vm_clear[] = "vm.clear";      // an old copy on another node; parameters: {"node", "lease"}
inline constexpr char vm_restart[] = "vm.restart";  // its node is gone: elsewhere, or there once it is back
inline constexpr char vm_delete[] = "vm.delete";
inline constexpr char vm_snapshot_create[] = "vm.snapshot.create";  // parameters: {"name": s}
inline constexpr char vm_snapshot_rollback[] = "vm.snapshot.rollback";
inline constexpr char vm_snapshot_delete[] = "vm.snapshot.delete";
inline constexpr char image_import[] =
    "image.import";  // parameters: {"source": ImageSource, ...}: operations/image.cpp
// On the disk's VM, which they are serialised with; on the image where it is detached. Parameters: {"image": id,
// "disk": its name in the VM}; image_migrate also {"from", "to": pool ids}.
inline constexpr char image_migrate[] = "image.migrate";
inline constexpr char image_flatten[] = "image.flatten";
// A disk's file on a node that it was moved from, or to in vain; on that node. Parameters: {"disk": Image, as it was
// there, "lease": the newest that may be stamped beside it}.
inline constexpr char image_clear[] = "image.clear";
inline constexpr char image_delete[] = "image.delete";
inline constexpr char pool_add[] = "pool.add";
inline constexpr char pool_remove[] = "pool.remove";
inline constexpr char network_create[] = "network.create";
inline constexpr char network_delete[] = "network.delete";
inline constexpr char plan_apply[] = "plan.apply";                // on the plan, whose record says how far it is
inline constexpr char node_image_build[] = "node_image.build";    // parameters: {"recipe": s, "nic_drivers": s}
inline constexpr char node_image_import[] = "node_image.import";  // parameters: {"path": s}
inline constexpr char node_image_delete[] = "node_image.delete";
inline constexpr char node_image_rollout[] = "node_image.rollout";  // parameters: reconcile/operations/rollout_state.h
inline constexpr char node_power[] = "node.power";                  // parameters: src/power_desk/README.md
inline constexpr char node_maintain[] = "node.maintain";  // parameters: reconcile/operations/maintenance_state.h
inline constexpr char bench_run[] = "bench.run";          // on the benchmark, whose record says all

// Done by the manager itself, not by an agent.
inline bool makes_node_images(std::string_view kind) {
  return kind == node_image_build || kind == node_image_import || kind == node_image_delete;
}
inline bool is_managers_own(std::string_view kind) {
  return makes_node_images(kind) || kind == node_power || kind == bench_run;
}
}  // namespace operation_kind

}  // namespace bridgehead::model
