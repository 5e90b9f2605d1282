#include "reconcile/core.h"

#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/cluster.h"
#include "reconcile/decide.h"
#include "reconcile/messages.h"
#include "reconcile/operations/logic.h"

namespace bridgehead::reconcile {
namespace {

constexpr int kRounds = 16;         // of deciding and committing in one pass
constexpr std::size_t kBatch = 64;  // decisions in one transaction
constexpr std::chrono::seconds kProgressEvery{2};
constexpr std::chrono::seconds kStorePause{1};

bool is_conflict(const Error& error) {
  return error.code == ErrorCode::conflict || error.code == ErrorCode::already_exists;
}

// Which of a target's open operations has its turn: what runs, then the oldest.
bool comes_before(const model::Operation& a, const model::Operation& b) {
  const auto rank = [](const model::Operation& o) {
    return std::tuple(o.state == model::OperationState::pending, o.created, o.generation, o.created_by == "manager",
                      o.id);
  };
  return rank(a) < rank(b);
}

std::size_t limit_of(operations::Load load, const Options& options) {
  switch (load) {
    case operations::Load::image: return options.image_operations_per_node;
    case operations::Load::migration: return options.migrations_per_node;
    default: return options.vm_operations_per_node;
  }
}

std::vector<model::NodeId> occupied_by(const operations::Logic& logic, const model::Operation& operation,
                                       const model::NodeId& node) {
  if (logic.occupies != nullptr) return logic.occupies(operation);
  auto nodes = logic.helpers != nullptr ? logic.helpers(operation) : std::vector<model::NodeId>();
  nodes.push_back(node);
  return nodes;
}

}  // namespace

Core::Core(state::Inventory& inventory, AgentPort& port, const Clock& clock, RandomSource& random,
           const Options& options, ReconcileMetrics& metrics, ProgressBoard& progress)
    : inventory_(inventory),
      port_(port),
      clock_(clock),
      random_(random),
      options_(options),
      metrics_(metrics),
      progress_(progress),
      started_(clock.monotonic()),
      now_(started_),
      next_watch_(started_ + options.heartbeat),
      next_sweep_(started_ + options.sweep) {}

Monotonic Core::pass(std::deque<Message> messages) {
  const auto began = std::chrono::steady_clock::now();  // only for the metric
  now_ = clock_.monotonic();
  retry_at_.reset();
  take_in(std::move(messages));
  if (now_ >= next_watch_) watch_nodes();
  if (now_ >= next_sweep_) sweep();
  work();

  const auto took = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began).count());
  metrics_.passes += 1;
  metrics_.pass_microseconds += took;
  if (took > metrics_.longest_pass_microseconds) metrics_.longest_pass_microseconds = took;
  return next_pass();
}

Moment Core::moment() const { return {.inventory = inventory_, .random = random_, .now = clock_.now()}; }

void Core::mark_all_dirty() {
  for (auto& [id, known] : known_) known.dirty = true;
}

void Core::work() {
  for (int i = 0; i < kRounds; ++i) {
    if (!round()) return;
  }
  retry_at_ = now_;  // there is more: after taking in what has come meanwhile
}

View Core::view_of(const state::Record<model::Operation>& record, bool first) {
  const auto* logic = operations::logic_of(record->value.kind);
  const auto load = logic == nullptr ? operations::Load::none : logic->load;
  auto& known = known_[record->value.id];
  const bool save = now_ - known.progress_saved >= kProgressEvery;
  if (save) known.progress_saved = now_;
  return View{.inventory = inventory_,
              .agents = agents_,
              .options = options_,
              .random = random_,
              .record = record,
              .now = clock_.now(),
              .monotonic = now_,
              .first = first,
              .save_progress = save,
              .settled = now_ - started_ >= 3 * options_.heartbeat,
              .has_slot =
                  [this, load, logic, record](const model::NodeId& node) {
                    if (load == operations::Load::none) return true;
                    const auto nodes = occupied_by(*logic, record->value, node);
                    const auto running = [&](const model::NodeId& on) -> std::size_t& {
                      return running_[{on, static_cast<int>(load)}];
                    };
                    for (const auto& on : nodes) {
                      if (running(on) >= limit_of(load, options_)) return false;
                    }
                    for (const auto& on : nodes) ++running(on);
                    return true;
                  },
              .cluster = [this]() -> scheduler::ClusterSnapshot& {
                if (!cluster_) {
                  cluster_ = cluster_snapshot(inventory_, options_.limits);
                  count_sleeping_nodes_in(*cluster_, inventory_, clock_.now());
                }
                return *cluster_;
              }};
}

// Some operations are carried out by other parts of the manager, and others of ours wait for them.
void Core::notice_ends_elsewhere(const std::vector<state::Record<model::Operation>>& open) {
  std::set<model::OperationId> elsewhere;
  for (const auto& record : open) {
    if (model::operation_kind::is_managers_own(record->value.kind)) elsewhere.insert(record->value.id);
  }
  if (!std::includes(elsewhere.begin(), elsewhere.end(), elsewhere_.begin(), elsewhere_.end())) mark_all_dirty();
  elsewhere_ = std::move(elsewhere);
}

// One round over the open operations that have anything new about them. True when there may be more to do at once.
bool Core::round() {
  const auto open = inventory_.open_operations();
  notice_ends_elsewhere(open);
  running_.clear();
  cluster_.reset();
  std::unordered_map<std::string_view, const model::Operation*> heads;
  std::vector<state::Record<model::Operation>> dirty;
  heads.reserve(open.size());
  std::set<std::string_view> news;  // whose operations have changed, or got another one
  for (const auto& record : open) {
    const auto& operation = record->value;
    if (model::operation_kind::is_managers_own(operation.kind)) continue;
    auto& head = heads[operation.target];
    if (head == nullptr || comes_before(operation, *head)) head = &operation;
    if (operation.state == model::OperationState::running) {
      if (const auto* logic = operations::logic_of(operation.kind)) {
        for (const auto& node : occupied_by(*logic, operation, operation.node)) {
          ++running_[{node, static_cast<int>(logic->load)}];
        }
      }
    }
    auto& known = known_[operation.id];
    if (known.revision != record->revision) {
      known.revision = record->revision;
      known.dirty = true;
      news.insert(operation.target);
    }
    if (known.look_again && *known.look_again <= now_) known.dirty = true;
  }
  for (const auto& record : open) {
    if (model::operation_kind::is_managers_own(record->value.kind)) continue;
    auto& known = known_[record->value.id];
    // What comes behind the first tells it that its guest is to be somewhere else than on the node that it waits for.
    const bool first = heads[record->value.target]->id == record->value.id;
    if (first && news.contains(record->value.target)) known.dirty = true;
    if (known.dirty) dirty.push_back(record);
  }
  if (dirty.empty()) return false;
  // A burst of creates is placed in the order in which it was asked for.
  std::vector<Planned> planned;
  std::set<std::string> touched;
  bool more = false;
  for (const auto& record : dirty) {
    auto& known = known_[record->value.id];
    auto decision = decide(view_of(record, heads[record->value.target]->id == record->value.id));
    const auto& touches = decision.changes.touched();
    if (std::any_of(touches.begin(), touches.end(), [&](const auto& key) { return touched.contains(key); })) {
      more = true;  // decided again, on what the others will have committed
      continue;
    }
    touched.insert(touches.begin(), touches.end());
    known.dirty = false;
    known.waiting = decision.waiting;
    known.look_again = decision.look_again;
    if (decision.changes.empty()) {
      carry_out({record, std::move(decision)});
      continue;
    }
    planned.push_back({record, std::move(decision)});
    if (planned.size() == kBatch) commit_all(planned);
  }
  const bool wrote = more || !planned.empty() || !touched.empty();
  commit_all(planned);
  return wrote && !retry_at_;
}

bool Core::commit_one(const Changes& changes) {
  auto edit = inventory_.edit();
  changes.apply(edit);
  const auto committed = inventory_.commit(std::move(edit));
  if (committed) return true;
  metrics_.conflicts += 1;
  if (!is_conflict(committed.error())) {
    log::error(message::commit_failed, "{}", committed.error().describe());
    retry_at_ = now_ + kStorePause;
  }
  return false;
}

void Core::commit_all(std::vector<Planned>& planned) {
  if (planned.empty()) return;
  Changes together;
  for (const auto& one : planned) together.append(one.decision.changes);
  if (commit_one(together)) {
    for (const auto& one : planned) carry_out(one);
  } else {
    cluster_.reset();  // has placements in it that may not have happened
    for (const auto& one : planned) {
      if (!retry_at_ && commit_one(one.decision.changes)) {
        carry_out(one);
      } else {
        known_[one.operation->value.id].dirty = true;
      }
    }
  }
  planned.clear();
}

void Core::carry_out(const Planned& planned) {
  const auto& decision = planned.decision;
  for (const auto& send : decision.sends) {
    if (!port_.assign(send.node, send.assignment)) continue;  // its stream is gone; on the next one it is sent again
    agents_.note_sent(send.assignment.operation, send.node, now_);
    metrics_.assignments_sent += 1;
    log::debug(message::operation_sent, "{} {} to node {}", model::kind_of(send.assignment.body),
               send.assignment.operation, send.node);
  }
  for (const auto& cancel : decision.cancels) {
    if (port_.cancel(cancel.node, cancel.assignment)) agents_.note_cancel_sent(cancel.assignment, cancel.node, now_);
  }
  for (const auto& done : decision.acknowledgements) port_.acknowledge(done.node, done.assignment);
  for (const auto& retry : decision.retries) agents_.retry(retry.assignment, retry.node, retry.when);
  if (decision.ended) end(planned);
}

void Core::end(const Planned& planned) {
  const auto& operation = planned.operation->value;
  agents_.forget(operation.id);
  agents_.forget(operations::undo_id(operation.id));
  known_.erase(operation.id);
  progress_.forget(operation.id);
  switch (*planned.decision.ended) {
    case model::OperationState::succeeded: metrics_.operations_succeeded += 1; break;
    case model::OperationState::cancelled: metrics_.operations_cancelled += 1; break;
    default: metrics_.operations_failed += 1; break;
  }
  log::info(message::operation_ended, "{} {} of '{}': {}", operation.kind, operation.id, operation.target_name,
            model::to_string(*planned.decision.ended));
  for (auto& [id, known] : known_) {
    if (known.waiting) known.dirty = true;
  }
}

Monotonic Core::next_pass() const {
  auto next = std::min(next_watch_, next_sweep_);
  if (retry_at_) next = std::min(next, *retry_at_);
  for (const auto& [id, known] : known_) {
    if (known.look_again) next = std::min(next, *known.look_again);
    if (known.dirty && !retry_at_) next = std::min(next, now_);
  }
  return next;
}

}  // namespace bridgehead::reconcile
