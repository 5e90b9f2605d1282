#include "host_agent/assignments/lease.h"

namespace bridgehead::host_agent {
namespace {

using model::LeaseClaim;
using model::LeaseStamp;
using model::StampVerdict;

Error leased_elsewhere(const LeaseStamp& stamp) {
  return {ErrorCode::failed_precondition,
          fmt::format("VM {} is leased to node {} under token {}, so this node must not touch its disks", stamp.vm,
                      stamp.node, stamp.token),
          "Nothing to do here if it runs there; the manager decides who may run it."};
}

}  // namespace

LeaseClaim claim_of(const NodeServices& services, const model::VmId& vm, std::uint64_t token,
                    const std::optional<model::PastLeases>& past) {
  return {
      .vm = vm, .node = services.node, .token = token, .past = past, .source = {}, .terms = model::LeaseTerms::keep};
}

Result<std::optional<LeaseStamp>> read_stamp(const PoolHandle& pool, const model::VmId& vm) {
  return pool.call<std::optional<LeaseStamp>>([vm](storage::ImagePool& images) { return images.read_lease(vm); });
}

Status stamp_lease(const LeaseClaim& claim, const std::vector<PoolHandle>& pools) {
  for (const auto& pool : pools) {
    const auto held = read_stamp(pool, claim.vm);
    if (!held) return forward(held);
    const auto verdict = model::judge_stamp(*held, claim);
    if (verdict == StampVerdict::refuse) return fail(leased_elsewhere(**held));
    if (verdict == StampVerdict::good) continue;
    auto stamped = pool.call<void>([claim](storage::ImagePool& images) { return images.stamp_lease(claim); });
    if (!stamped) return stamped;
  }
  return {};
}

Status check_lease(const LeaseClaim& claim, const std::vector<PoolHandle>& pools) {
  for (const auto& pool : pools) {
    const auto held = read_stamp(pool, claim.vm);
    if (!held) return forward(held);
    if (model::judge_stamp(*held, claim) == StampVerdict::refuse) return fail(leased_elsewhere(**held));
  }
  return {};
}

Outcome failed_under(const NodeServices& services, const LeaseClaim& claim, const std::vector<model::Pool>& pools,
                     Error error) {
  Outcome outcome = failed(std::move(error));
  if (outcome.error->code != ErrorCode::failed_precondition) return outcome;
  for (const auto& record : pools) {
    const auto pool = services.pools.find(record.id);
    if (!pool) continue;
    const auto held = read_stamp(*pool, claim.vm);
    if (held && model::judge_stamp(*held, claim) == StampVerdict::refuse) outcome.stamp = **held;
  }
  return outcome;
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

}  // namespace bridgehead::host_agent
