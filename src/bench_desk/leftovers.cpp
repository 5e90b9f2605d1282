#include "bench_desk/leftovers.h"

#include <set>

#include "bench_desk/ask_node.h"
#include "bench_desk/messages.h"

namespace bridgehead::bench_desk {
namespace {

constexpr std::chrono::minutes kPatience{2};

// This node has removed it, or there is nobody to remove it.
bool is_removed(const Cleaning& with, const model::Benchmark& benchmark, const model::BenchmarkLeftover& left) {
  const auto pool = with.inventory.find<model::Pool>(left.pool);
  const auto node = with.inventory.find<model::Node>(left.node);
  if (!pool || !node) return true;
  if (!with.agents.connected(left.node)) return false;
  const auto answer = ask_node(with.tunnels, left.node, pool->value,
                               order_for(benchmark, node->value.name, {.action = load::ClientOrder::Action::clean}),
                               kPatience, with.stop);
  if (answer) return true;
  log::warning(bench_left_files, "{} in pool '{}' on node '{}': {}", benchmark.name, pool->value.name, node->value.name,
               answer.error().describe());
  return false;
}

}  // namespace

load::ClientOrder order_for(const model::Benchmark& benchmark, const std::string& node, load::ClientOrder order) {
  order.node = node;
  order.directory = "/" + std::string(load::kDirectoryPrefix) + benchmark.id.str();
  return order;
}

void clean(const Cleaning& with, const model::BenchmarkId& id) {
  const auto record = with.inventory.find<model::Benchmark>(id);
  if (!record) return;
  std::set<model::PoolId> whole;  // shared pools without it
  std::vector<model::BenchmarkLeftover> removed;
  for (const auto& left : record->value.leftovers) {
    if (!whole.contains(left.pool) && !is_removed(with, record->value, left)) continue;
    removed.push_back(left);
    const auto pool = with.inventory.find<model::Pool>(left.pool);
    const auto node = with.inventory.find<model::Node>(left.node);
    if (pool && node && model::is_shared(pool->value.driver)) whole.insert(left.pool);
  }
  const auto committed = state::change(with.inventory, [&](state::Edit& edit) -> Status {
    const auto now = with.inventory.find<model::Benchmark>(id);
    if (!now) return {};
    auto benchmark = now->value;
    std::erase_if(benchmark.leftovers, [&](const auto& left) {
      return whole.contains(left.pool) || std::find(removed.begin(), removed.end(), left) != removed.end();
    });
    if (benchmark != now->value) edit.update(now, benchmark);
    return {};
  });
  if (!committed) log::error(bench_not_noted, "{}: {}", record->value.name, committed.error().describe());
}

}  // namespace bridgehead::bench_desk
