#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "scheduler/scheduler.h"

namespace bridgehead::scheduler {
namespace {

const model::PoolId kOnlyPool{"pool-1"};

ClusterSnapshot any_cluster() {
  ClusterSnapshot cluster;
  cluster.limits.cpu_overcommit = *rc::gen::element(1.0, 2.5, 4.0);
  const int nodes = *rc::gen::inRange(0, 12);
  for (int i = 0; i < nodes; ++i) {
    NodeSnapshot node;
    node.id = model::NodeId(fmt::format("node-{}", i));
    node.name = node.id.str();
    node.state = *rc::gen::element(model::NodeState::ready, model::NodeState::ready, model::NodeState::not_ready,
                                   model::NodeState::unreachable);
    node.schedulable = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
    node.cpus = *rc::gen::inRange<std::uint32_t>(0, 9);
    node.memory = Bytes(*rc::gen::inRange<std::uint64_t>(0, 33) << 30);
    node.pools[kOnlyPool] = {.ready = *rc::gen::weightedElement<bool>({{4, true}, {1, false}}),
                             .message = "",
                             .total = 64_GiB,
                             .available = Bytes(*rc::gen::inRange<std::uint64_t>(0, 65) << 30)};
    cluster.nodes.push_back(std::move(node));
  }
  return cluster;
}

VmRequest any_request(const ClusterSnapshot& cluster) {
  VmRequest request;
  request.cpus = *rc::gen::inRange<std::uint32_t>(1, 9);
  request.memory = Bytes(*rc::gen::inRange<std::uint64_t>(1, 17) << 29);
  request.disk_room[kOnlyPool] = Bytes(*rc::gen::inRange<std::uint64_t>(0, 5) << 30);
  if (!cluster.nodes.empty() && *rc::gen::weightedElement<bool>({{1, true}, {5, false}})) {
    request.pinned = (*rc::gen::elementOf(cluster.nodes)).id;
  }
  return request;
}

// Places one guest after another until the list ends, charging each to its node, as the reconciler does.
TEST(SchedulerProperty, NeverOverCapacityAndOnlyWhereAllowed) {
  EXPECT_TRUE(rc::check("never over capacity", [] {
    auto cluster = any_cluster();
    const int guests = *rc::gen::inRange(1, 60);
    for (int i = 0; i < guests; ++i) {
      const auto request = any_request(cluster);
      const auto placed = place(cluster, request);
      if (!placed) continue;
      const auto node = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                     [&](const NodeSnapshot& n) { return n.id == placed->node; });
      RC_ASSERT(node != cluster.nodes.end());
      RC_ASSERT(node->state == model::NodeState::ready);
      RC_ASSERT(node->schedulable);
      RC_ASSERT(!request.pinned || *request.pinned == node->id);
      auto& pool = node->pools[kOnlyPool];
      RC_ASSERT(pool.ready);
      RC_ASSERT(pool.available >= request.disk_room.at(kOnlyPool) + cluster.limits.pool_reserve);
      pool.available = pool.available - request.disk_room.at(kOnlyPool);
      node->allocated.cpus += request.cpus;
      node->allocated.memory += request.memory;
      RC_ASSERT(node->allocated.cpus <= usable_cpus(*node, cluster.limits));
      RC_ASSERT(node->allocated.memory <= usable_memory(*node, cluster.limits));
      RC_ASSERT(node->allocated.memory + cluster.limits.least_reserve <= node->memory);
    }
  }));
}

TEST(SchedulerProperty, DeterministicWhateverTheOrderOfNodes) {
  EXPECT_TRUE(rc::check("deterministic", [] {
    auto cluster = any_cluster();
    const auto request = any_request(cluster);
    const auto first = place(cluster, request);
    const auto turn = *rc::gen::inRange<std::size_t>(0, cluster.nodes.size() + 1);
    std::rotate(cluster.nodes.begin(), cluster.nodes.begin() + static_cast<std::ptrdiff_t>(turn), cluster.nodes.end());
    const auto second = place(cluster, request);
    RC_ASSERT(first.has_value() == second.has_value());
    if (first) {
      RC_ASSERT(first->node == second->node);
    } else {
      RC_ASSERT(first.error() == second.error());
    }
  }));
}

// An error is only given when really nothing fits: checked against the plainest possible statement of the rule.
TEST(SchedulerProperty, RefusesOnlyWhenNothingFits) {
  EXPECT_TRUE(rc::check("complete", [] {
    const auto cluster = any_cluster();
    const auto request = any_request(cluster);
    const bool any = std::any_of(cluster.nodes.begin(), cluster.nodes.end(), [&](const NodeSnapshot& node) {
      const auto& pool = node.pools.at(kOnlyPool);
      return node.state == model::NodeState::ready && node.schedulable &&
             (!request.pinned || *request.pinned == node.id) && pool.ready &&
             pool.available >= request.disk_room.at(kOnlyPool) + cluster.limits.pool_reserve &&
             usable_cpus(node, cluster.limits) >= request.cpus && usable_memory(node, cluster.limits) >= request.memory;
    });
    const auto placed = place(cluster, request);
    RC_ASSERT(placed.has_value() == any);
    if (!placed) {
      RC_ASSERT(!placed.error().message.empty());
      RC_ASSERT(!placed.error().hint.empty() || placed.error().code == ErrorCode::not_found);
    }
  }));
}

}  // namespace
}  // namespace bridgehead::scheduler
