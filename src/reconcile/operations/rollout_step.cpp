#include "reconcile/operations/rollout_step.h"

#include <algorithm>

namespace bridgehead::reconcile::operations {

std::optional<Ended> RolloutStep::go_on() {
  follow();
  begin_more();
  return end();
}

void RolloutStep::follow() {
  for (auto& one : progress_.nodes) {
    if (one.state != "running") continue;
    const auto operation = view_.inventory.find<model::Operation>(one.operation);
    if (operation && !operation->value.terminal()) continue;
    const auto node = view_.inventory.find<model::Node>(one.node);
    // Its record may be trimmed already.
    const bool well =
        operation ? operation->value.state == model::OperationState::succeeded : node && is_well(node->value);
    one.state = well ? "done" : "failed";
    if (!well) one.message = operation && operation->value.error ? operation->value.error->message : "it didn't end";
  }
}

void RolloutStep::begin_more() {
  const auto canaries = std::min<std::size_t>(progress_.canary, progress_.nodes.size());
  const bool proven =
      std::all_of(progress_.nodes.begin(), progress_.nodes.begin() + static_cast<std::ptrdiff_t>(canaries),
                  [](const auto& one) { return one.state == "done"; });
  const auto end = proven ? progress_.nodes.size() : canaries;
  for (std::size_t i = 0; i < end; ++i) {
    if (stopping() || count("running") >= progress_.max_unavailable) return;
    if (progress_.nodes[i].state == "waiting") begin(progress_.nodes[i]);
  }
}

std::optional<Ended> RolloutStep::end() {
  if (count("running") != 0 || (!stopping() && count("waiting") != 0)) return {};
  for (auto& one : progress_.nodes) {
    if (one.state == "waiting") one.state = "left";
  }
  const auto how_far = fmt::format("{} of {} nodes run {}", count("done"), progress_.nodes.size(), goal());
  const auto bad = std::find_if(progress_.nodes.begin(), progress_.nodes.end(),
                                [](const auto& one) { return one.state == "failed"; });
  if (bad != progress_.nodes.end()) {
    return Ended{Error{ErrorCode::failed_precondition, fmt::format("stopped: {} ({})", bad->message, how_far),
                       where_to_look(*bad)}};
  }
  if (count("left") != 0) return Ended{Error{ErrorCode::cancelled, fmt::format("cancelled: {}", how_far), {}}};
  return all_done();
}

Progress RolloutStep::progress(const std::string& phase) const {
  std::string names;
  for (const auto& one : progress_.nodes) {
    if (one.state == "running") names += fmt::format("{}{}", names.empty() ? "" : ", ", one.name);
  }
  const bool canaries = count("done") < progress_.canary && progress_.canary < progress_.nodes.size();
  return {.phase = fmt::format("{}{}", canaries ? "canary " : "", phase.empty() ? names : phase),
          .done = count("done"),
          .total = progress_.nodes.size()};
}

std::size_t RolloutStep::count(std::string_view state) const {
  return static_cast<std::size_t>(std::count_if(progress_.nodes.begin(), progress_.nodes.end(),
                                                [&](const auto& one) { return one.state == state; }));
}

void RolloutStep::started(RolloutNode& one, model::Operation child) {
  child.created_by = view_.operation().created_by;
  child.parameters["rollout"] = view_.operation().id.str();
  one.state = "running";
  one.operation = child.id;
  changes_.create(std::move(child));
}

void RolloutStep::done(RolloutNode& one, std::string why) {
  one.state = "done";
  one.message = std::move(why);
}

void RolloutStep::failed(RolloutNode& one, std::string_view why) {
  one.state = "failed";
  one.message = fmt::format("node '{}': {}", one.name, why);
}

bool RolloutStep::is_ready(RolloutNode& one, const model::Node& node) {
  if (node.state == model::NodeState::ready) return true;
  // After its own restart the manager knows nobody yet.
  if (view_.settled) failed(one, node.message.empty() ? "it isn't ready" : node.message);
  return false;
}

}  // namespace bridgehead::reconcile::operations
