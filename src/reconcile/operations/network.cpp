// network.create, network.delete: one assignment to each connected node. Nodes that are away get the networks when
// their stream opens. A create that works on no node is undone: the record goes.
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace network_steps {
namespace {

std::vector<model::NodeId> network_nodes(const View& view) {
  std::vector<model::NodeId> nodes;
  const auto network = network_of(view);
  if (!network) return nodes;
  for (const auto& node : view.inventory.all<model::Node>()) {
    const auto& id = node->value.id;
    if (view.agents.connected(id)) nodes.push_back(id);
  }
  return nodes;
}

Start start(const View& view, Changes&, model::Operation&) {
  if (!network_of(view)) return end_with({ErrorCode::not_found, "the network's record is gone", {}});
  // After a restart the agents need a moment to be back.
  if (!view.settled && network_nodes(view).empty() && !view.inventory.all<model::Node>().empty()) {
    return wait_for("waiting for the nodes", view.monotonic + std::chrono::seconds(1));
  }
  return begin();
}

template <typename Body>
Result<model::AssignmentBody> body(const View& view, const model::NodeId&) {
  const auto network = network_of(view);
  if (!network) return fail(ErrorCode::not_found, "the network's record is gone");
  return model::AssignmentBody(Body{network->value});
}

void created(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  if (const auto network = network_of(view)) {
    changes.event("network.created", "network", network->value.id.str(), network->value.name,
                  fmt::format("Network '{}' was created", network->value.name), operation.created_by);
  }
}

After create_failed(const View& view, const Error&, unsigned, Changes& changes, model::Operation& operation) {
  const auto record = network_of(view);
  if (!record || operation.created_by == "manager") return After::end;  // it had been there before
  auto network = record->value;
  network.deleting = true;
  changes.update(record, network);
  return After::undo;
}

void drop(const View& view, Changes& changes, model::Operation& operation) {
  const auto network = network_of(view);
  if (!network) return;
  changes.remove(network);
  changes.event("network.deleted", "network", network->value.id.str(), network->value.name,
                fmt::format("Network '{}' is gone", network->value.name), operation.created_by);
}

void create_undone(const View& view, const std::optional<Error>&, Changes& changes, model::Operation& operation) {
  drop(view, changes, operation);
}

void removed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  drop(view, changes, operation);
}

// Back to what it was; nodes that had let go of it take it up again.
void restore(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = network_of(view);
  if (!record || !record->value.deleting) return;
  auto network = record->value;
  network.deleting = false;
  changes.update(record, network);
  if (operation.state == model::OperationState::pending) return;
  changes.create(internal_operation(view.random, view.now, model::operation_kind::network_create, "network",
                                    network.id.str(), network.name, 0));
}

After delete_failed(const View& view, const Error&, unsigned, Changes& changes, model::Operation& operation) {
  restore(view, changes, operation);
  return After::end;
}

}  // namespace
}  // namespace network_steps

const Logic network_create{.kind = model::operation_kind::network_create,
                           .load = Load::none,
                           .nodes = network_steps::network_nodes,
                           .one_is_enough = true,
                           .start = network_steps::start,
                           .body = network_steps::body<model::EnsureNetwork>,
                           .succeed = network_steps::created,
                           .fail = network_steps::create_failed,
                           .undo_body = network_steps::body<model::RemoveNetwork>,
                           .undone = network_steps::create_undone,
                           .withdraw = network_steps::drop};

const Logic network_delete{.kind = model::operation_kind::network_delete,
                           .load = Load::none,
                           .nodes = network_steps::network_nodes,
                           .start = network_steps::start,
                           .body = network_steps::body<model::RemoveNetwork>,
                           .succeed = network_steps::removed,
                           .fail = network_steps::delete_failed,
                           .withdraw = network_steps::restore};

}  // namespace bridgehead::reconcile::operations
