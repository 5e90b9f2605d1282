// node_image.rollout: has one node after the other boot an image, by an operation node.maintain for each. The canaries
// first; all others only when these are well. What fails takes its own node back to the image before; here it ends
// the rollout: what is under way goes to its end, nothing else begins. The same when it is cancelled. Its parameters
// say how far each node is; they and the operations change in one transaction, so a manager that is killed goes on.
#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/records.h"
#include "reconcile/operations/rollout_state.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile::operations {
namespace rollout_steps {
namespace {

Start start(const View&, Changes&, model::Operation&) { return begin(); }

bool runs(const View& view, const model::Node& node, const std::string& image) {
  const auto boot = view.inventory.find<model::Boot>(node.id);
  return boot && boot->value.image == image && node.state == model::NodeState::ready && node.netboot &&
         node.netboot->image == image;
}

// One pass over a rollout.
class Work {
 public:
  Work(const View& view, Changes& changes, const model::Operation& operation)
      : view_(view), changes_(changes), state_(rollout_of(operation)) {}

  void follow() {
    for (auto& one : state_.nodes) {
      if (one.state != "running") continue;
      const auto operation = view_.inventory.find<model::Operation>(one.operation);
      if (operation && !operation->value.terminal()) continue;
      const auto node = view_.inventory.find<model::Node>(one.node);
      // Its record may be trimmed already.
      const bool well = operation ? operation->value.state == model::OperationState::succeeded
                                  : node && runs(view_, node->value, state_.image);
      one.state = well ? "done" : "failed";
      if (!well) one.message = operation && operation->value.error ? operation->value.error->message : "it didn't end";
    }
  }

  void begin_more() {
    const auto canaries = std::min<std::size_t>(state_.canary, state_.nodes.size());
    const bool proven = std::all_of(state_.nodes.begin(), state_.nodes.begin() + static_cast<std::ptrdiff_t>(canaries),
                                    [](const auto& one) { return one.state == "done"; });
    const auto end = proven ? state_.nodes.size() : canaries;
    for (std::size_t i = 0; i < end; ++i) {
      if (stopping() || count("running") >= state_.max_unavailable) return;
      if (state_.nodes[i].state == "waiting") begin(state_.nodes[i]);
    }
  }

  bool stopping() const { return view_.operation().cancel_requested || count("failed") != 0; }
  std::size_t count(std::string_view state) const {
    return static_cast<std::size_t>(
        std::count_if(state_.nodes.begin(), state_.nodes.end(), [&](const auto& one) { return one.state == state; }));
  }

  std::optional<Ended> end() {
    if (count("running") != 0 || (!stopping() && count("waiting") != 0)) return {};
    for (auto& one : state_.nodes) {
      if (one.state == "waiting") one.state = "left";
    }
    const auto how_far = fmt::format("{} of {} nodes run {}", count("done"), state_.nodes.size(), state_.image);
    const auto bad =
        std::find_if(state_.nodes.begin(), state_.nodes.end(), [](const auto& one) { return one.state == "failed"; });
    if (bad != state_.nodes.end()) {
      return Ended{
          Error{ErrorCode::failed_precondition, fmt::format("stopped: {} ({})", bad->message, how_far),
                fmt::format("Node by node: bh node-image rollout --status; its boot: bh node show {}", bad->name)}};
    }
    if (count("left") != 0) return Ended{Error{ErrorCode::cancelled, fmt::format("cancelled: {}", how_far), {}}};
    if (state_.refill.empty()) state_.refill = kRefillWanted;
    // The planner answers; nobody needs to wait for the moves.
    return state_.refill == kRefillWanted && !view_.operation().cancel_requested ? std::nullopt
                                                                                 : std::optional(Ended{});
  }

  void put(model::Operation& operation) const {
    put_rollout(operation, state_);
    std::string names;
    for (const auto& one : state_.nodes) {
      if (one.state == "running") names += fmt::format("{}{}", names.empty() ? "" : ", ", one.name);
    }
    if (state_.refill == kRefillWanted) names = "letting guests come back";
    const bool canaries = count("done") < state_.canary && state_.canary < state_.nodes.size();
    operation.progress = {.phase = fmt::format("{}{}", canaries ? "canary " : "", names),
                          .done = count("done"),
                          .total = state_.nodes.size()};
  }

 private:
  void done(RolloutNode& one, std::string why) {
    one.state = "done";
    one.message = std::move(why);
  }
  void failed(RolloutNode& one, std::string why) {
    one.state = "failed";
    one.message = fmt::format("node '{}': {}", one.name, why);
  }

  void begin(RolloutNode& one) {
    const auto record = view_.inventory.find<model::Node>(one.node);
    if (!record || !record->value.netboot) return failed(one, "it was taken out of the cluster");
    const auto& node = record->value;
    if (maintenance_on(view_.inventory, node.id)) return;  // somebody else's; its turn comes after that
    if (runs(view_, node, state_.image)) return done(one, "it ran it already");
    if (is_asleep(view_.inventory, node)) {
      auto assigned = node;
      assigned.netboot->image = state_.image;
      if (assigned != node) changes_.update(record, assigned);
      return done(one, "it is off, and boots it when it is switched on");
    }
    if (node.state != model::NodeState::ready) {
      // After its own restart the manager knows nobody yet.
      if (view_.settled) failed(one, node.message.empty() ? "it isn't ready" : node.message);
      return;
    }
    auto child = internal_operation(view_.random, view_.now, model::operation_kind::node_maintain, "node",
                                    node.id.str(), node.name, 0);
    child.created_by = view_.operation().created_by;
    child.parameters["rollout"] = view_.operation().id.str();
    put_maintenance(child, {.then = model::AfterDrain::update,
                            .image = state_.image,
                            .before = one.from,
                            .boot_deadline = state_.boot_deadline});
    one.state = "running";
    one.operation = child.id;
    changes_.create(std::move(child));
  }

  const View& view_;
  Changes& changes_;
  RolloutState state_;
};

std::optional<Ended> work(const View& view, Changes& changes, model::Operation& operation) {
  Work step(view, changes, operation);
  step.follow();
  step.begin_more();
  auto ended = step.end();
  step.put(operation);
  return ended;
}

void withdraw(const View&, Changes&, model::Operation& operation) {
  auto state = rollout_of(operation);
  for (auto& one : state.nodes) one.state = "left";
  put_rollout(operation, state);
}

}  // namespace
}  // namespace rollout_steps

const Logic node_image_rollout{.kind = model::operation_kind::node_image_rollout,
                               .load = Load::none,
                               .start = rollout_steps::start,
                               .work = rollout_steps::work,
                               .withdraw = rollout_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
