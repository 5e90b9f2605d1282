// pool.add, pool.remove: one assignment to each connected node that has or should have the pool. Nodes that are away
// get the pools they should have when their stream opens. An add that works on no node is undone: the record goes.
#include "reconcile/desired.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace pool_steps {
namespace {

std::vector<model::NodeId> pool_nodes(const View& view) {
  std::vector<model::NodeId> nodes;
  const auto pool = pool_of(view);
  if (!pool) return nodes;
  for (const auto& node : view.inventory.all<model::Node>()) {
    const auto& id = node->value.id;
    if (view.agents.connected(id) && pool_wanted_on(pool->value, id)) nodes.push_back(id);
  }
  return nodes;
}

Start start(const View& view, Changes&, model::Operation&) {
  if (!pool_of(view)) return end_with({ErrorCode::not_found, "the pool's record is gone", {}});
  // After a restart the agents need a moment to be back.
  if (!view.settled && pool_nodes(view).empty() && !view.inventory.all<model::Node>().empty()) {
    return wait_for("waiting for the nodes", view.monotonic + std::chrono::seconds(1));
  }
  return begin();
}

template <typename Body>
Result<model::AssignmentBody> body(const View& view, const model::NodeId&) {
  const auto pool = pool_of(view);
  if (!pool) return fail(ErrorCode::not_found, "the pool's record is gone");
  Body assignment{pool->value};
  assignment.pool.nodes.clear();
  return model::AssignmentBody(std::move(assignment));
}

void added(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  if (const auto pool = pool_of(view)) {
    changes.event("pool.added", "pool", pool->value.id.str(), pool->value.name,
                  fmt::format("Pool '{}' was added", pool->value.name), operation.created_by);
  }
}

After add_failed(const View& view, const Error&, unsigned, Changes& changes, model::Operation& operation) {
  const auto record = pool_of(view);
  if (!record || operation.created_by == "manager") return After::end;  // it had been there before
  auto pool = record->value;
  pool.deleting = true;
  changes.update(record, pool);
  return After::undo;
}

void drop(const View& view, Changes& changes, model::Operation& operation) {
  const auto pool = pool_of(view);
  if (!pool) return;
  changes.remove(pool);
  changes.event("pool.removed", "pool", pool->value.id.str(), pool->value.name,
                fmt::format("Pool '{}' was removed", pool->value.name), operation.created_by);
}

void add_undone(const View& view, const std::optional<Error>&, Changes& changes, model::Operation& operation) {
  drop(view, changes, operation);
}

void removed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  drop(view, changes, operation);
}

// Back to what it was; nodes that had let go of it take it up again.
void restore(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = pool_of(view);
  if (!record || !record->value.deleting) return;
  auto pool = record->value;
  pool.deleting = false;
  changes.update(record, pool);
  if (operation.state == model::OperationState::pending) return;
  changes.create(
      internal_operation(view.random, view.now, model::operation_kind::pool_add, "pool", pool.id.str(), pool.name, 0));
}

After remove_failed(const View& view, const Error&, unsigned, Changes& changes, model::Operation& operation) {
  restore(view, changes, operation);
  return After::end;
}

}  // namespace
}  // namespace pool_steps

const Logic pool_add{.kind = model::operation_kind::pool_add,
                     .load = Load::none,
                     .nodes = pool_steps::pool_nodes,
                     .one_is_enough = true,
                     .start = pool_steps::start,
                     .body = pool_steps::body<model::EnsurePool>,
                     .succeed = pool_steps::added,
                     .fail = pool_steps::add_failed,
                     .undo_body = pool_steps::body<model::RemovePool>,
                     .undone = pool_steps::add_undone,
                     .withdraw = pool_steps::drop};

const Logic pool_remove{.kind = model::operation_kind::pool_remove,
                        .load = Load::none,
                        .nodes = pool_steps::pool_nodes,
                        .start = pool_steps::start,
                        .body = pool_steps::body<model::RemovePool>,
                        .succeed = pool_steps::removed,
                        .fail = pool_steps::remove_failed,
                        .withdraw = pool_steps::restore};

}  // namespace bridgehead::reconcile::operations
