// Reading and writing the records that operations are about. Free functions over the inventory; pure.
#pragma once

#include <string>
#include <vector>

#include "reconcile/operations/logic.h"

namespace bridgehead::reconcile::operations {

state::Record<model::Vm> vm_of(const View& view);
state::Record<model::Image> image_of(const View& view);
state::Record<model::Pool> pool_of(const View& view);
state::Record<model::Network> network_of(const View& view);

// The name of a node for messages; its id when the record is gone.
std::string node_name(const View& view, const model::NodeId& node);

// A node whose agent isn't connected: why it isn't worth waiting for any longer, or until when it is.
struct Absence {
  std::optional<Error> lost;
  Monotonic until{};
};
Absence absence_of(const View& view, const model::NodeId& node);

// For a VM's operation whose node is known: begin, or wait until the node is connected.
Start at_node(const View& view, model::Operation& operation, const model::NodeId& node);

// Its node is gone, and nobody has the right to run it until the availability desk gives it another one.
bool is_without_node(const model::Vm& vm);
inline constexpr char kWithoutNode[] = "its node is gone; what it waits for: bh ha status";

// More leases than a manager can have given between a backup and its loss. Who says that he has seen a token so far
// beyond what is known isn't believed: the numbers of all guests would be used up.
inline constexpr std::uint64_t kMostLeasesLost = std::uint64_t{1} << 32;

// The parameter of an operation that failed by a stamp beside the guest's disks: the stamp.
inline constexpr char kStamp[] = "stamp";
// The stamp by which a guest's newest operation has failed, so that nobody knows who may run it.
std::optional<model::LeaseStamp> stamp_in_the_way(const state::Inventory& inventory, const model::VmId& vm);

// Adds the pool as `node` should know it, once.
void add_pool(const View& view, const model::PoolId& id, const model::NodeId& node, std::vector<model::Pool>& pools);

// With everything that its disks and NICs refer to. not_found when a record is missing.
Result<model::EnsureVm> ensure_vm(const View& view, const model::Vm& vm);
// The assignment that says so of the operation's VM, whichever node it is for.
Result<model::AssignmentBody> ensure_vm_body(const View& view, const model::NodeId& node);
std::vector<state::Record<model::Image>> disks_of(const View& view, const model::VmId& vm);
model::RemoveVm remove_vm(const View& view, const model::Vm& vm, bool keep_disks);

// What the node says about the disks of `vm`: there and ready, with format and size.
void note_images(const View& view, const model::VmId& vm, const std::vector<model::Image>& reported, Changes& changes);

// Removes the VM's record and its disks' (or detaches those that are ready), and keeps in the operation what a late
// message might bring back: {"removed": {"vm": ..., "disks": [...]}}.
void drop_vm(const View& view, const state::Record<model::Vm>& vm, bool keep_disks, Changes& changes,
             model::Operation& operation);
// RemoveVm from {"removed": ...}; none when it isn't there.
std::optional<model::RemoveVm> removed_before(const View& view, const model::Operation& operation);

// Pools that are ready there, by id; and which of those that were isn't any more, for people ("" = none).
std::vector<std::string> ready_pools(const View& view, const model::NodeId& node);
std::string missing_pool(const View& view, const model::NodeId& node, const std::vector<std::string>& pools);

model::VmStatus with_phase(model::VmStatus status, model::VmPhase phase, std::string message, Timestamp now);
model::VmPhase phase_of(model::PowerState power);
std::optional<model::PowerState> power_of(model::VmPhase phase);  // of the three that rest

// An operation of the manager's own.
model::Operation internal_operation(RandomSource& random, Timestamp now, std::string kind, std::string target_kind,
                                    std::string target, std::string target_name, std::uint64_t generation);
// An operation of the manager's own that has the node bring the guest's definition, lease and power in line with the
// record.
void renew(const View& view, const model::Vm& vm, const char* reason, Changes& changes);
// Deletes these disks: their records become "deleting" with an operation each.
void delete_images(const View& view, const std::vector<model::ImageId>& images, Changes& changes);

template <typename T>
T parameter(const model::Operation& operation, const char* name, T otherwise) {
  const auto found = operation.parameters.find(name);
  if (found == operation.parameters.end()) return otherwise;
  try {
    return found->get<T>();
  } catch (const nlohmann::json::exception&) {
    return otherwise;  // only this program writes parameters; an older form means the default
  }
}

}  // namespace bridgehead::reconcile::operations
