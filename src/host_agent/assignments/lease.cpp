#include "host_agent/assignments/lease.h"

namespace bridgehead::host_agent {
namespace {

Error leased_elsewhere(const model::VmId& vm, const storage::LeaseStamp& stamp) {
  return {ErrorCode::failed_precondition,
          fmt::format("VM {} is leased to node {} under token {}, so this node must not touch its disks", vm,
                      stamp.node, stamp.token),
          "Nothing to do here if it runs there; the manager decides who may run it."};
}

}  // namespace

Result<std::optional<storage::LeaseStamp>> read_stamp(const PoolHandle& pool, const model::VmId& vm) {
  return pool.call<std::optional<storage::LeaseStamp>>(
      [vm](storage::ImagePool& images) { return images.read_lease(vm); });
}

Status stamp_lease(const NodeServices& services, const model::VmId& vm, std::uint64_t token,
                   const std::vector<PoolHandle>& pools) {
  for (const auto& pool : pools) {
    const auto held = read_stamp(pool, vm);
    if (!held) return forward(held);
    if (*held && (*held)->token == token && (*held)->node == services.node) continue;
    if (*held && (*held)->token >= token) return fail(leased_elsewhere(vm, **held));
    const storage::LeaseStamp stamp{.vm = vm, .node = services.node, .token = token};
    auto stamped = pool.call<void>([stamp](storage::ImagePool& images) { return images.stamp_lease(stamp); });
    if (!stamped) return stamped;
  }
  return {};
}

Status release_lease(const model::VmId& vm, std::uint64_t token, const std::vector<PoolHandle>& pools) {
  for (const auto& pool : pools) {
    const auto held = read_stamp(pool, vm);
    if (!held) return forward(held);
    if (!*held || (*held)->token > token) continue;
    auto removed = pool.call<void>([vm](storage::ImagePool& images) { return images.remove_lease(vm); });
    if (!removed) return removed;
  }
  return {};
}

Status check_lease(const model::VmId& vm, std::uint64_t token, const std::vector<PoolHandle>& pools) {
  for (const auto& pool : pools) {
    const auto held = read_stamp(pool, vm);
    if (!held) return forward(held);
    if (*held && (*held)->token > token) return fail(leased_elsewhere(vm, **held));
  }
  return {};
}

}  // namespace bridgehead::host_agent
