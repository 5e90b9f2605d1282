#include "reconcile/decide.h"

#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/operations/logic.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {
namespace {

using operations::After;
using operations::Logic;
using operations::Start;

Error cancelled_error() { return {ErrorCode::cancelled, "cancelled before it was done", {}}; }

void look_again_at(Decision& decision, Monotonic when) {
  if (!decision.look_again || when < *decision.look_again) decision.look_again = when;
}

const model::AssignmentReport* end_of(const Agents::Sent* sent) {
  if (sent == nullptr || !sent->report || sent->report->state == model::AssignmentState::running) return nullptr;
  return &*sent->report;
}

void let_helpers_go(const View& view, const model::Operation& operation, Decision& decision) {
  const auto* logic = operations::logic_of(operation.kind);
  if (logic == nullptr || logic->helpers == nullptr) return;
  for (const auto& node : logic->helpers(operation)) {
    const auto* sent = view.agents.sent(operation.id, node);
    if (sent == nullptr) continue;
    (end_of(sent) != nullptr ? decision.acknowledgements : decision.cancels).push_back({node, operation.id});
  }
}

void finish(const View& view, Decision& decision, model::Operation& operation, std::optional<Error> error) {
  let_helpers_go(view, operation, decision);
  operation.state = !error                                ? model::OperationState::succeeded
                    : error->code == ErrorCode::cancelled ? model::OperationState::cancelled
                                                          : model::OperationState::failed;
  operation.finished = view.now;
  const std::string how = error && operation.state == model::OperationState::failed
                              ? "failed: " + error->message
                              : std::string(model::to_string(operation.state));
  decision.changes.event(
      "operation.finished", "operation", operation.id.str(), operation.target_name,
      fmt::format("{} of {} '{}' {}", operation.kind, operation.target_kind, operation.target_name, how),
      operation.created_by);
  operation.error = std::move(error);
  decision.changes.update(view.record, operation);
  decision.ended = operation.state;
}

void save_if_changed(const View& view, Decision& decision, const model::Operation& operation) {
  if (operation != view.operation()) decision.changes.update(view.record, operation);
}

void begin_or_wait(const View& view, const Logic& logic, Decision& decision) {
  auto operation = view.operation();
  if (operation.cancel_requested) {
    logic.withdraw(view, decision.changes, operation);
    return finish(view, decision, operation, cancelled_error());
  }
  if (!view.first) {
    decision.waiting = true;
    return;
  }
  const auto start = logic.start(view, decision.changes, operation);
  switch (start.what) {
    case Start::What::end: return finish(view, decision, operation, start.error);
    case Start::What::wait:
      decision.waiting = true;
      if (start.look_again) look_again_at(decision, *start.look_again);
      if (start.waiting_for == "queued") return;  // not worth a write for each of a thousand
      operation.progress = {.phase = start.waiting_for};
      return save_if_changed(view, decision, operation);
    case Start::What::begin:
      operation.state = model::OperationState::running;
      operation.started = view.now;
      operation.progress = {.phase = "sent"};
      decision.changes.update(view.record, operation);
      decision.changes.event(
          "operation.started", "operation", operation.id.str(), operation.target_name,
          fmt::format("{} of {} '{}' has begun", operation.kind, operation.target_kind, operation.target_name),
          operation.created_by);
  }
}

Error stamped_elsewhere(const View& view, const model::LeaseStamp& stamp) {
  return {
      ErrorCode::failed_precondition,
      fmt::format("its disks are stamped for node '{}' under lease {}, of which this manager knows nothing (its "
                  "records may be those of a backup)",
                  operations::node_name(view, stamp.node), stamp.token),
      fmt::format("If it runs there, have that node's agent connected: it is taken over as it is. If it runs nowhere, "
                  "for certain: bh ha confirm-stopped {}",
                  view.operation().target_name)};
}

Error error_of(const View& view, const model::AssignmentReport& report) {
  if (report.stamp) return stamped_elsewhere(view, *report.stamp);
  if (operations::parameter(view.operation(), "timed_out", false)) {
    return {ErrorCode::timeout, "no data of the upload came for too long",
            "Start the import again and let the upload run to its end."};
  }
  if (report.state == model::AssignmentState::cancelled) return cancelled_error();
  return report.error.value_or(Error{ErrorCode::internal, "the node gave no reason", {}});
}

// Sends what the node must know by now. An error = the assignment can't even be written.
Status pursue(const View& view, const Logic& logic, const model::NodeId& node, Decision& decision) {
  const auto& operation = view.operation();
  const bool undoing = operations::is_undoing(operation);
  const auto id = undoing ? operations::undo_id(operation.id) : operation.id;
  const auto* sent = view.agents.sent(id, node);
  if (!view.agents.connected(node)) return {};
  if (sent != nullptr && sent->not_before > view.monotonic) {
    look_again_at(decision, sent->not_before);
    return {};
  }
  const auto session = view.agents.session(node);
  const bool silent = sent != nullptr && view.monotonic - sent->last_word >= view.options.sweep;
  const bool send = sent == nullptr || sent->session != session || silent;
  if (send) {
    auto body = undoing ? logic.undo_body(view, node) : logic.body(view, node);
    if (!body) return forward(body);
    decision.sends.push_back({node, {id, std::move(*body)}});
  }
  if (!undoing && operation.cancel_requested && (send || sent->cancel_session != session)) {
    decision.cancels.push_back({node, id});
  }
  look_again_at(decision, (send ? view.monotonic : sent->last_word) + view.options.sweep);
  return {};
}

// One that has ended isn't asked again: there was nothing left for it, or it can't.
void pursue_helpers(const View& view, const Logic& logic, Decision& decision) {
  if (logic.helpers == nullptr) return;
  const auto& operation = view.operation();
  for (const auto& node : logic.helpers(operation)) {
    const auto* sent = view.agents.sent(operation.id, node);
    if (end_of(sent) != nullptr || (sent == nullptr && operation.cancel_requested)) continue;
    (void)pursue(view, logic, node, decision);  // what can't be written for it can't for the leader either
  }
}

// An upload whose sender has gone is given up: it would hold one of the node's few slots for ever.
bool upload_timed_out(const View& view, Decision& decision) {
  const auto& operation = view.operation();
  if (operation.kind != model::operation_kind::image_import || operation.cancel_requested) return false;
  const auto source = operation.parameters.find("source");
  if (source == operation.parameters.end() || source->value("kind", std::string()) != "upload") return false;
  const auto* sent = view.agents.sent(operation.id, operation.node);
  if (sent == nullptr) return false;
  const auto until = sent->last_progress + view.options.upload_patience;
  if (view.monotonic < until) {
    look_again_at(decision, until);
    return false;
  }
  auto timed_out = operation;
  timed_out.parameters["timed_out"] = true;
  timed_out.cancel_requested = true;
  decision.changes.update(view.record, timed_out);
  return true;
}

void failed(const View& view, const Logic& logic, Decision& decision, const Error& error, unsigned failures,
            const std::optional<model::LeaseStamp>& stamp = {}) {
  auto operation = view.operation();
  if (stamp) operation.parameters[operations::kStamp] = *stamp;
  const auto after = logic.fail(view, error, failures, decision.changes, operation);
  switch (after) {
    case After::end: return finish(view, decision, operation, error);
    case After::undo:
      operation.error = error;  // from now on it is being undone
      operation.progress = {.phase = "cleaning up"};
      decision.changes.update(view.record, operation);
      return;
    case After::retry: {
      const auto when = view.monotonic + operations::pause_after(failures);
      decision.retries.push_back({{operation.node, operation.id}, when});
      look_again_at(decision, when);
      operation.progress = {.phase = "trying again after: " + error.message};
      return save_if_changed(view, decision, operation);
    }
  }
}

void undo_ended(const View& view, const Logic& logic, Decision& decision, const std::optional<Error>& error,
                unsigned failures) {
  auto operation = view.operation();
  const bool lost = !view.inventory.find<model::Node>(operation.node);
  if (error && (failures < operations::kTries || (logic.undo_without_end && !lost))) {
    const auto when = view.monotonic + operations::pause_after(failures);
    decision.retries.push_back({{operation.node, operations::undo_id(operation.id)}, when});
    look_again_at(decision, when);
    operation.progress = {.phase = "cleaning up again after: " + error->message};
    return save_if_changed(view, decision, operation);
  }
  logic.undone(view, error, decision.changes, operation);
  finish(view, decision, operation, operation.error);
}

// True: the operation's node is away and isn't waited for any longer.
bool node_was_lost(const View& view, const Logic& logic, Decision& decision) {
  const auto& operation = view.operation();
  const auto absence = operations::absence_of(view, operation.node);
  if (operations::is_undoing(operation)) {
    if (view.inventory.find<model::Node>(operation.node)) return false;
    undo_ended(view, logic, decision, absence.lost, operations::kTries);
    return true;
  }
  const bool removed = !view.inventory.find<model::Node>(operation.node);
  if (!logic.gives_lost_nodes_up && !removed) return false;
  if (!operation.cancel_requested && !absence.lost) {
    look_again_at(decision, absence.until);
    return false;
  }
  failed(view, logic, decision, operation.cancel_requested ? cancelled_error() : *absence.lost, operations::kTries);
  return true;
}

void run_on_one(const View& view, const Logic& logic, Decision& decision) {
  const auto& operation = view.operation();
  const bool undoing = operations::is_undoing(operation);
  const auto id = undoing ? operations::undo_id(operation.id) : operation.id;
  const auto* sent = view.agents.sent(id, operation.node);
  const unsigned failures = sent == nullptr ? 1 : sent->failures + 1;

  if (const auto* report = end_of(sent)) {
    decision.acknowledgements.push_back({operation.node, id});
    const bool succeeded = report->state == model::AssignmentState::succeeded;
    if (undoing) {
      return undo_ended(view, logic, decision, succeeded ? std::optional<Error>() : error_of(view, *report), failures);
    }
    if (!succeeded) return failed(view, logic, decision, error_of(view, *report), failures, report->stamp);
    auto done = operation;
    done.progress = report->progress;
    if (logic.advance != nullptr && logic.advance(view, *report, done))
      return decision.changes.update(view.record, done);
    logic.succeed(view, *report, decision.changes, done);
    return finish(view, decision, done, {});
  }
  if (upload_timed_out(view, decision)) return;
  if (!view.agents.connected(operation.node) && node_was_lost(view, logic, decision)) return;
  if (auto pursued = pursue(view, logic, operation.node, decision); !pursued) {
    if (undoing) return undo_ended(view, logic, decision, pursued.error(), operations::kTries);
    return failed(view, logic, decision, pursued.error(), operations::kTries);
  }
  pursue_helpers(view, logic, decision);

  auto seen = operation;
  if (!view.agents.connected(operation.node)) {
    seen.progress = {.phase = fmt::format("waiting for node '{}', whose agent isn't connected",
                                          operations::node_name(view, operation.node))};
  } else if (sent != nullptr && sent->report && view.save_progress && !sent->report->progress.phase.empty()) {
    seen.progress = sent->report->progress;
  }
  save_if_changed(view, decision, seen);
}

void run_on_many(const View& view, const Logic& logic, Decision& decision) {
  const auto& operation = view.operation();
  const bool undoing = operations::is_undoing(operation);
  const auto id = undoing ? operations::undo_id(operation.id) : operation.id;
  std::optional<model::AssignmentReport> success;
  std::optional<Error> first_error;
  std::string errors;
  bool all = true;
  const auto nodes = logic.nodes(view);
  for (const auto& node : nodes) {
    const auto* report = end_of(view.agents.sent(id, node));
    if (report == nullptr) {
      all = false;
      if (auto pursued = pursue(view, logic, node, decision); !pursued) {
        if (undoing) return undo_ended(view, logic, decision, pursued.error(), operations::kTries);
        return failed(view, logic, decision, pursued.error(), operations::kTries);
      }
      continue;
    }
    if (report->state == model::AssignmentState::succeeded) {
      success = *report;
      continue;
    }
    const auto error = error_of(view, *report);
    if (!first_error) first_error = error;
    errors +=
        fmt::format("{}node '{}': {}", errors.empty() ? "" : "; ", operations::node_name(view, node), error.message);
  }
  if (!all) return;
  for (const auto& node : nodes) {
    if (view.agents.sent(id, node) != nullptr) decision.acknowledgements.push_back({node, id});
  }
  if (undoing) return undo_ended(view, logic, decision, {}, 0);
  const bool good = !first_error || (logic.one_is_enough && success);
  if (!good) return failed(view, logic, decision, {first_error->code, errors, first_error->hint}, operations::kTries);
  auto done = operation;
  if (first_error) done.parameters["failed_on"] = errors;
  logic.succeed(view, success.value_or(model::AssignmentReport{}), decision.changes, done);
  finish(view, decision, done, {});
}

void work_on(const View& view, const Logic& logic, Decision& decision) {
  auto operation = view.operation();
  const auto ended = logic.work(view, decision.changes, operation);
  if (ended) return finish(view, decision, operation, ended->error);
  decision.waiting = true;
  look_again_at(decision, view.monotonic + view.options.sweep);
  save_if_changed(view, decision, operation);
}

}  // namespace

Decision decide(const View& view) {
  Decision decision;
  const auto* logic = operations::logic_of(view.operation().kind);
  if (logic == nullptr) {
    auto operation = view.operation();
    finish(view, decision, operation,
           Error{ErrorCode::unsupported, fmt::format("this manager knows no operation '{}'", operation.kind),
                 "It was asked of a newer one; install that again."});
  } else if (view.operation().state == model::OperationState::pending) {
    begin_or_wait(view, *logic, decision);
  } else if (logic->work != nullptr) {
    work_on(view, *logic, decision);
  } else if (logic->nodes != nullptr) {
    run_on_many(view, *logic, decision);
  } else {
    run_on_one(view, *logic, decision);
  }
  return decision;
}

}  // namespace bridgehead::reconcile
