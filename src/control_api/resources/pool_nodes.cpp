#include "control_api/resources/pool_nodes.h"

namespace bridgehead::control_api {

Result<model::NodeId> node_with(const Services& services, const model::Pool& pool) {
  for (const auto& [node, on_node] : pool.nodes) {
    if (on_node.ready && services.agents.connected(node)) return node;
  }
  return fail(ErrorCode::unavailable, "no node that can read pool '{}' is connected", pool.name);
}

Result<model::NodeId> node_with(const Services& services, const model::Image& image, const model::Pool& pool) {
  return image.node.empty() ? node_with(services, pool) : image.node;
}

}  // namespace bridgehead::control_api
