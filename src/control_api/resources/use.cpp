// What nodes, guests and pools have used, as agents measure it.
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/pool_use.h"

namespace bridgehead::control_api {
namespace {

using reconcile::UseHistory;

constexpr std::chrono::seconds kHour{3600};

nlohmann::json point_of(const UseHistory::Cpu& cpus) { return {{"cpus", cpus.mean}, {"cpus_peak", cpus.peak}}; }
nlohmann::json point_of(const UseHistory::Use& use, bool with_network) {
  auto point = point_of(use.cpus);
  point["memory"] = use.memory;
  point["storage"] = use.storage;
  if (with_network) point["network"] = use.network;
  return point;
}

// `values` end with the step that runs at `now`.
template <typename T, typename Show>
Result<http::Response> past_answer(const std::vector<std::optional<T>>& values, std::chrono::seconds step,
                                   Timestamp now, Show&& show) {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  const auto running = since - since % step;
  nlohmann::json points = nlohmann::json::array();
  for (const auto& value : values) points.push_back(value ? show(*value) : nlohmann::json());
  const Timestamp from(running - step * (static_cast<std::int64_t>(values.size()) - 1));
  return json_answer(
      200, nlohmann::json{{"from", to_rfc3339(from)}, {"step_seconds", step.count()}, {"points", std::move(points)}});
}

}  // namespace

Result<http::Response> get_node_use(Services& services, const Call& call) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  const auto now = services.commander.clock.now();
  std::vector<std::optional<UseHistory::Use>> steps(1);
  if (const auto* use = services.commander.use) {
    steps = use->steps((*node)->value.id, now + UseHistory::kStep, UseHistory::kSteps);
  }
  return past_answer(steps, UseHistory::kStep, now, [](const auto& use) { return point_of(use, true); });
}

Result<http::Response> get_vm_use(Services& services, const Call& call) {
  const auto vm = reconcile::resolve<model::Vm>(services.inventory(), call.parameters[0]);
  if (!vm) return forward(vm);
  const auto span = call.request().query("span").value_or("day");
  if (span != "day" && span != "weeks") return fail(ErrorCode::invalid_argument, "span: must be day or weeks");
  const auto now = services.commander.clock.now();
  const auto* use = services.commander.use;
  const auto& id = (*vm)->value.id;
  if (span == "day") {
    std::vector<std::optional<UseHistory::Cpu>> steps(1);
    if (use != nullptr) steps = use->steps(id, now + UseHistory::kStep, UseHistory::kSteps);
    return past_answer(steps, UseHistory::kStep, now, [](const auto& cpus) { return point_of(cpus); });
  }
  std::vector<std::optional<UseHistory::Use>> hours(1);
  if (use != nullptr) hours = use->hours(id, now + kHour, UseHistory::kHours);
  return past_answer(hours, kHour, now, [](const auto& one) { return point_of(one, false); });
}

PoolUse::PoolUse(const Services& services) {
  const auto* use = services.commander.use;
  if (use == nullptr) return;
  const auto now = services.commander.clock.now();
  for (const auto& vm : services.inventory().all<model::Vm>()) {
    const auto seen = use->newest(vm->value.id, now);
    if (!seen) continue;
    std::vector<model::PoolId> pools;
    for (const auto& disk : vm->value.spec.disks) {
      if (const auto image = services.inventory().find<model::Image>(disk.image)) pools.push_back(image->value.pool);
    }
    for (const auto& pool : pools) storage_[pool] += seen->storage / static_cast<double>(pools.size());
  }
}

double PoolUse::storage(const model::PoolId& pool) const {
  const auto found = storage_.find(pool);
  return found == storage_.end() ? 0 : found->second;
}

}  // namespace bridgehead::control_api
