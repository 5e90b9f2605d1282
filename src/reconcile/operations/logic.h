// Logic: what is peculiar to each kind of operation; decide.cpp is what they have in common. All functions are pure.
//
// An operation lives like this. pending: `start` finds its node, or ends it, or lets it wait. running: `body` is sent
// to its node until the node reports; then `succeed` or `fail`. A failed one that has left something behind is undone:
// its error is set while it still runs, `undo_body` is sent under another assignment id, and `undone` ends it.
// `withdraw` takes the desired state back when it is cancelled before anything was sent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/view.h"

namespace bridgehead::reconcile::operations {

enum class Load { none, vm, image, migration };

// The answer of `start`.
struct Start {
  enum class What { begin, wait, end } what = What::begin;
  std::string waiting_for;              // wait: for people
  std::optional<Monotonic> look_again;  // wait
  std::optional<Error> error;           // end: why it failed; none = it succeeded
};
Start begin();
Start wait_for(std::string reason, std::optional<Monotonic> look_again = {});
Start end_well();
Start end_with(Error error);

// How an operation of `work` ended; no error = well.
struct Ended {
  std::optional<Error> error;
};

// The answer of `fail`.
enum class After { end, undo, retry };

struct Logic {
  std::string_view kind;
  Load load = Load::vm;
  // One assignment to each connected node of `nodes` instead of one to one node.
  std::vector<model::NodeId> (*nodes)(const View&) = nullptr;
  bool one_is_enough = false;  // of those nodes; otherwise all must succeed
  // Where it takes a slot of its load while it runs. Null: on operation.node.
  std::vector<model::NodeId> (*occupies)(const model::Operation&) = nullptr;
  // Nodes that help operation.node, each with what `body` says for it, under the same assignment id. What they report
  // decides nothing; whatever ends the operation ends them. They take slots as well.
  std::vector<model::NodeId> (*helpers)(const model::Operation&) = nullptr;
  // Its node isn't waited for without end: when that is lost, or the user cancels while it is away, it fails.
  bool gives_lost_nodes_up = false;
  bool undo_without_end = false;  // undoing it is tried for as long as its node is in the cluster

  Start (*start)(const View&, Changes&, model::Operation&) = nullptr;
  // Of an operation that is carried out by others, which this makes and follows. It is asked whenever one of them ends.
  // None: it goes on. Null: an agent carries it out, by all that is below but `withdraw`.
  std::optional<Ended> (*work)(const View&, Changes&, model::Operation&) = nullptr;
  Result<model::AssignmentBody> (*body)(const View&, const model::NodeId&) = nullptr;
  // Of an operation with several steps, each on one node: whether its success leads to the next, for which this has set
  // operation.node. No node is met twice, so that one assignment id does for all. Null: there is one step.
  bool (*advance)(const View&, const model::AssignmentReport&, model::Operation&) = nullptr;
  void (*succeed)(const View&, const model::AssignmentReport&, Changes&, model::Operation&) = nullptr;
  After (*fail)(const View&, const Error&, unsigned failures, Changes&, model::Operation&) = nullptr;
  Result<model::AssignmentBody> (*undo_body)(const View&, const model::NodeId&) = nullptr;
  // `left` = why the undoing itself failed for good. Clearing operation.error makes a success of it after all.
  void (*undone)(const View&, const std::optional<Error>& left, Changes&, model::Operation&) = nullptr;
  void (*withdraw)(const View&, Changes&, model::Operation&) = nullptr;
};

// Null for a kind that this version doesn't know.
const Logic* logic_of(std::string_view kind);

extern const Logic vm_create, vm_delete, vm_update, vm_start, vm_stop, vm_pause, vm_resume, vm_reboot, vm_migrate,
    vm_clear, vm_restart, vm_snapshot_create, vm_snapshot_rollback, vm_snapshot_delete, image_import, image_migrate,
    image_flatten, image_clear, image_delete, pool_add, pool_remove, network_create, network_delete, plan_apply,
    node_maintain, node_image_rollout, node_upgrade, agent_rollout;

// The assignment that undoes an operation has an id of its own, derived from the operation's (the UUID's version
// becomes 8, "custom" in RFC 9562), so that nothing needs to be remembered to tell whose it is.
model::OperationId undo_id(const model::OperationId& operation);
// The operation that an assignment belongs to.
model::OperationId operation_of(const model::OperationId& assignment);
bool is_undoing(const model::Operation& operation);

// How often what must be done in the end (deleting, undoing) is tried, and the pause before the next try.
inline constexpr unsigned kTries = 6;
std::chrono::milliseconds pause_after(unsigned failures);

}  // namespace bridgehead::reconcile::operations
