// What the core makes of messages from agents, and of their silence.
#include <algorithm>

#include "reconcile/core.h"
#include "reconcile/hung_guests.h"
#include "reconcile/messages.h"
#include "reconcile/operations/records.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

constexpr std::size_t kObservationsAtOnce = 256;  // in one transaction
constexpr int kTries = 5;

}  // namespace

void Core::take_in(std::deque<Message> messages) {
  for (auto& thunk : std::exchange(postponed_, {})) observe(std::move(thunk));
  // What all nodes say about a pool is written once, however many nodes have just come back.
  std::map<model::PoolId, PoolReports> pools;
  std::set<model::NodeId> reported;
  for (auto& message : messages) {
    if (auto* report = std::get_if<NodeReported>(&message)) {
      auto& agent = agents_.note_connected(report->node, now_);
      agent.secrets = report->report.secrets;
      agent.helps_imports = report->report.helps_imports;
      reported.insert(report->node);
      for (const auto& pool : inventory_.all<model::Pool>()) {
        const auto found = report->report.pools.find(pool->value.id);
        pools[pool->value.id][report->node] =
            found == report->report.pools.end() ? std::nullopt : std::optional(found->second);
      }
      take_in(*report);
    } else if (const auto* heard = std::get_if<NodeHeard>(&message)) {
      agents_.note_heard(heard->node, now_);
      if (lost_.contains(heard->node)) judge(heard->node);
    } else if (const auto* gone = std::get_if<NodeDisconnected>(&message)) {
      agents_.note_disconnected(gone->node);
      mark_all_dirty();
    } else if (const auto* observed = std::get_if<VmObserved>(&message)) {
      agents_.note_heard(observed->node, now_);
      metrics_.observations += 1;
      observe([this, node = observed->node, seen = observed->observed] { return take_in_vm(node, seen, false); });
    } else if (const auto* vm = std::get_if<VmGone>(&message)) {
      agents_.note_heard(vm->node, now_);
      orphans_[vm->node].erase(vm->vm);
      observe([this, node = vm->node, id = vm->vm] { return observe_gone(moment(), node, id); });
    } else if (const auto* assignment = std::get_if<AssignmentReported>(&message)) {
      agents_.note_heard(assignment->node, now_);
      take_in(*assignment);
    }
  }
  for (const auto& [pool, reports] : pools) {
    observe([this, pool = pool, reports = reports] { return observe_pool(moment(), pool, reports); });
  }
  flush_observations();
  for (const auto& node : reported) judge(node);
}

void Core::take_in(NodeReported& message) {
  const auto& node = message.node;
  const auto record = inventory_.find<model::Node>(node);
  if (!record) {
    log::warning(message::unknown_node, "node {}", node);
    return;
  }
  const auto& report = message.report;
  mark_all_dirty();
  orphans_.erase(node);
  inventory_.note_node_load(node, report.load);
  observe([this, node, facts = report.facts] { return observe_facts(moment(), node, facts); });

  if (report.load.uptime_seconds != 0) {
    booted_[node] = clock_.now() - std::chrono::seconds(report.load.uptime_seconds);
  }
  std::set<model::VmId> there;
  for (const auto& seen : report.vms) {
    there.insert(seen.vm);
    metrics_.observations += 1;
    observe([this, node, seen] { return take_in_vm(node, seen, true); });
  }
  for (const auto& vm : inventory_.vms_on_node(node)) {
    const auto& id = vm->value.id;
    if (!there.contains(id)) observe([this, node, id] { return observe_gone(moment(), node, id); });
    if (vm->value.deleting) {
      observe([this, id] {
        const auto now = inventory_.find<model::Vm>(id);
        return now ? resume_deletion(moment(), now) : Changes();
      });
    }
  }
  for (const auto& assignment : report.assignments) take_in(AssignmentReported{node, assignment});
}

void Core::take_in(const AssignmentReported& message) {
  const auto& report = message.report;
  const auto id = operations::operation_of(report.operation);
  const auto record = inventory_.find<model::Operation>(id);
  const bool ended = report.state != model::AssignmentState::running;
  // Its end is in the store already, or it isn't ours: the agent may forget it. What still runs for an operation that
  // has ended is stopped.
  const bool undo_report = report.operation != id;
  const bool current = record && !record->value.terminal() && undo_report == operations::is_undoing(record->value);
  if (!current) {
    if (ended) {
      port_.acknowledge(message.node, report.operation);
    } else {
      port_.cancel(message.node, report.operation);
    }
    return;
  }
  agents_.note_report(report, message.node, now_);
  auto& known = known_[id];
  known.dirty = known.dirty || ended || now_ - known.progress_saved >= std::chrono::seconds(2);
  const auto& node = record->value.node;  // that leads it, where others help
  const bool counts = node.empty() || node == message.node;
  if (counts && !ended && !report.progress.phase.empty()) progress_.note(record->value, report.progress);
}

Changes Core::take_in_vm(const model::NodeId& node, const model::ObservedVm& seen, bool whole_report) {
  Circumstances circumstances{.whole_report = whole_report};
  if (const auto booted = booted_.find(node); booted != booted_.end()) circumstances.booted = booted->second;
  const auto record = inventory_.find<model::Vm>(seen.vm);
  if (record) {
    const auto& home = record->value.node;
    circumstances.home_is_judged =
        agents_.connected(home) || lost_.contains(home) || !inventory_.find<model::Node>(home);
  }
  auto result = observe_vm(moment(), node, seen, circumstances);
  if (result.orphan) {
    note_orphan(node, seen);
  } else if (const auto orphans = orphans_.find(node); orphans != orphans_.end()) {
    orphans->second.erase(seen.vm);
  }
  return std::move(result.changes);
}

void Core::note_orphan(const model::NodeId& node, const model::ObservedVm& seen) {
  if (!orphans_[node].insert_or_assign(seen.vm, seen).second) return;
  log::warning(message::orphan_guest, "guest {} on node {}", seen.vm, node);
}

void Core::judge(const model::NodeId& id) {
  const auto record = inventory_.find<model::Node>(id);
  if (!record || !agents_.connected(id)) return;
  lost_.erase(id);
  const auto found = orphans_.find(id);
  auto verdict = judge_node(inventory_, record->value, found == orphans_.end() ? 0 : found->second.size(),
                            agents_.node(id)->secrets);
  const bool ready = verdict.state == model::NodeState::ready;
  inventory_.note_node_state(id, verdict.state, std::move(verdict.message));
  if (ready)
    observe([this, id] {
      const auto node = inventory_.find<model::Node>(id);
      return node ? observe_awake(moment(), node->value) : Changes();
    });
}

void Core::watch_nodes() {
  next_watch_ = now_ + options_.heartbeat;
  for (const auto& node : inventory_.all<model::Node>()) {
    const auto& id = node->value.id;
    if (node->value.netboot && node->value.certificate_serial.empty()) continue;  // seen, but never in the cluster
    const auto* known = agents_.node(id);
    const auto last_heard = known == nullptr ? started_ : std::max(known->last_heard, started_);
    if (now_ - last_heard > 3 * options_.heartbeat) lose_node(node);
  }
  flush_observations();
}

void Core::lose_node(const state::Record<model::Node>& node) {
  const auto& id = node->value.id;
  if (!lost_.insert(id).second) return;
  log::warning(message::node_unreachable, "node '{}'", node->value.name);
  inventory_.note_node_state(id, model::NodeState::unreachable, "its agent isn't connected");
  for (const auto& vm : inventory_.vms_on_node(id)) {
    observe([this, vm_id = vm->value.id, name = node->value.name] {
      const auto now = inventory_.find<model::Vm>(vm_id);
      return now ? observe_unreachable(moment(), now, name) : Changes();
    });
  }
}

void Core::sweep() {
  next_sweep_ = now_ + options_.sweep;
  mark_all_dirty();
  std::set<model::OperationId> open;
  for (const auto& operation : inventory_.open_operations()) open.insert(operation->value.id);
  std::erase_if(known_, [&](const auto& entry) { return !open.contains(entry.first); });
  for (const auto& [node, guests] : std::map(orphans_)) {
    if (!agents_.connected(node)) continue;
    // One that waited for an operation's end, say.
    for (const auto& [id, seen] : guests) {
      observe([this, node = node, seen = seen] { return take_in_vm(node, seen, false); });
    }
  }
  for (const auto& vm : inventory_.all<model::Vm>()) {
    const auto& value = vm->value;
    if (value.node.empty() || lost_.contains(value.node) || !agents_.connected(value.node)) continue;
    const auto look_again = [&](auto what) {
      observe([this, id = value.id, what] {
        const auto now = inventory_.find<model::Vm>(id);
        return now ? what(now) : Changes();
      });
    };
    if (judge_hung(inventory_, value, clock_.now()).what == HungGuest::What::reset) {
      look_again([this](const auto& now) { return reset_hung(moment(), now); });
    }
    const auto power = operations::power_of(value.status.phase);
    if (!power || *power == value.spec.power) continue;
    look_again([this](const auto& now) { return adopt_power(moment(), now, now->value.status); });
  }
  flush_observations();
}

void Core::observe(Thunk thunk) {
  auto changes = thunk();
  if (changes.empty()) return;
  const auto& touches = changes.touched();
  const bool overlaps =
      std::any_of(touches.begin(), touches.end(), [&](const auto& key) { return touched_.contains(key); });
  if (overlaps || thunks_.size() >= kObservationsAtOnce) {
    flush_observations();
    changes = thunk();  // on what the ones before it have changed
    if (changes.empty()) return;
  }
  touched_.insert(changes.touched().begin(), changes.touched().end());
  observed_.append(std::move(changes));
  thunks_.push_back(std::move(thunk));
}

void Core::flush_observations() {
  if (thunks_.empty()) return;
  const auto thunks = std::exchange(thunks_, {});
  const auto together = std::exchange(observed_, {});
  touched_.clear();
  if (commit_one(together)) return;
  for (const auto& thunk : thunks) {
    for (int i = 0; i < kTries && !retry_at_; ++i) {
      const auto changes = thunk();
      if (changes.empty() || commit_one(changes)) break;
    }
    if (retry_at_) postponed_.push_back(thunk);
  }
}

}  // namespace bridgehead::reconcile
