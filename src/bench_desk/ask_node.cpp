#include "bench_desk/ask_node.h"

#include "reconcile/ask_agent.h"

namespace bridgehead::bench_desk {

Result<load::ClientAnswer> ask_node(reconcile::TunnelBroker& tunnels, const model::NodeId& node,
                                    const model::Pool& pool, const load::ClientOrder& order,
                                    std::chrono::milliseconds patience, const std::stop_token& stop) {
  const auto answer = reconcile::ask_agent(
      tunnels, node, {.kind = reconcile::TunnelKind::bench, .pool = pool, .bench_order = load::write_order(order)},
      patience, stop);
  if (!answer) return forward(answer);
  return load::read_answer(*answer);
}

}  // namespace bridgehead::bench_desk
